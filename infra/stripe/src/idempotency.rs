//! One key, one piece of work: what was answered first is answered again.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::ApiError;

const KEPT_SECONDS: i64 = 24 * 60 * 60;

/// An answer as it went out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// The first answer given for a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedReply {
    pub(crate) key: String,
    pub(crate) fingerprint: String,
    pub(crate) created: i64,
    pub(crate) reply: Reply,
}

/// A first answer as it is kept: as text, which takes a tenth of its tree's room.
#[derive(Debug)]
struct KeptReply {
    fingerprint: String,
    created: i64,
    status: u16,
    body: Box<str>,
}

impl KeptReply {
    fn reply(&self) -> Reply {
        let body = serde_json::from_str(&self.body).expect("the text was made of an answer");
        Reply { status: self.status, body }
    }
}

/// What a request with a key should do.
#[derive(Debug)]
pub(crate) enum Turn {
    Work,
    Replay(Reply),
}

/// All keys, finished and running.
#[derive(Default)]
pub(crate) struct Idempotency {
    saved: HashMap<String, KeptReply>,
    running: HashMap<String, String>,
}

impl Idempotency {
    /// Claims the key for one request; the claim ends with [`Self::release`].
    pub(crate) fn claim(&mut self, key: &str, fingerprint: &str, now: i64) -> Result<Turn, ApiError> {
        if let Some(first) = self.saved.get(key).filter(|first| now - first.created < KEPT_SECONDS) {
            return match first.fingerprint == fingerprint {
                true => Ok(Turn::Replay(first.reply())),
                false => Err(ApiError::key_reused(key)),
            };
        }
        match self.running.get(key) {
            Some(other) if other == fingerprint => Err(ApiError::key_in_use(key)),
            Some(_) => Err(ApiError::key_reused(key)),
            None => {
                self.running.insert(key.to_owned(), fingerprint.to_owned());
                Ok(Turn::Work)
            }
        }
    }

    pub(crate) fn release(&mut self, key: &str) {
        self.running.remove(key);
    }

    pub(crate) fn save(&mut self, reply: SavedReply) {
        let SavedReply { key, fingerprint, created, reply: Reply { status, body } } = reply;
        let body = body.to_string().into();
        self.saved.insert(key, KeptReply { fingerprint, created, status, body });
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = SavedReply> {
        self.saved.iter().map(|(key, kept)| SavedReply {
            key: key.clone(),
            fingerprint: kept.fingerprint.clone(),
            created: kept.created,
            reply: kept.reply(),
        })
    }

    /// Forgets what nobody may repeat any more.
    pub(crate) fn expire(&mut self, now: i64) {
        self.saved.retain(|_, reply| now - reply.created < KEPT_SECONDS);
    }
}
