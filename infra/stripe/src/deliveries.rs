//! The log of webhook deliveries, for tests to look at.

use std::collections::VecDeque;

use serde::Serialize;

use crate::signature::Signature;

const KEPT: usize = 10_000;

/// One attempt to deliver one event.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Delivery {
    pub(crate) event: String,
    #[serde(rename = "type")]
    kind: String,
    url: String,
    signature: Signature,
    attempt: u32,
    at: i64,
    status: Option<u16>,
    error: Option<String>,
}

impl Delivery {
    pub(crate) fn new(
        event: &str,
        kind: String,
        url: String,
        signature: Signature,
        attempt: u32,
        at: i64,
        answer: &Result<reqwest::Response, reqwest::Error>,
    ) -> Self {
        let (status, error) = match answer {
            Ok(response) => (Some(response.status().as_u16()), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self { event: event.to_owned(), kind, url, signature, attempt, at, status, error }
    }

    pub(crate) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// The latest deliveries, oldest first.
#[derive(Default)]
pub(crate) struct Deliveries(VecDeque<Delivery>);

impl Deliveries {
    pub(crate) fn note(&mut self, delivery: Delivery) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(delivery);
    }

    pub(crate) fn all(&self) -> Vec<Delivery> {
        self.0.iter().cloned().collect()
    }
}
