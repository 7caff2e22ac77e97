//! The APIs as somebody may use them: during a visit, or for a stream that goes on afterwards.

use std::sync::Arc;

use common::limits::PAGE_CALLS_WITHIN;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;
use crate::live::Subject;
use crate::upstream::{Answer, Upstream};
use crate::visit::{broken, decoded, successful};

/// Whoever asks the APIs for what a page shows.
pub(crate) trait Asks {
    /// Reads something.
    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure>;

    /// Does something that may be done twice.
    async fn tell<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Failure>;
}

/// A visitor's access token, without the refresh token: a stream cannot set cookies any more, so it must not spend that. When the
/// access token ends, the stream does, and the browser comes back.
#[derive(Clone)]
pub(crate) struct Reader {
    upstream: Arc<Upstream>,
    headers: HeaderMap,
    rights: Option<[u8; 32]>,
    page: String,
}

impl Reader {
    pub(crate) fn new(upstream: Arc<Upstream>, headers: HeaderMap, token: Option<&str>, page: &str) -> Self {
        let rights = token.map(|token| Sha256::digest(token).into());
        Self { upstream, headers, rights, page: page.to_owned() }
    }

    /// For what everybody may see.
    pub(crate) fn of_anybody(upstream: Arc<Upstream>) -> Self {
        Self::new(upstream, HeaderMap::new(), None, "/")
    }

    /// Something as this visitor may see it.
    pub(crate) fn subject(&self, thing: String) -> Subject {
        Subject { thing, rights: self.rights }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let body = body.map(serde_json::to_vec).transpose().map_err(broken)?;
        let answer =
            self.upstream.send(method, path, self.headers.clone(), body, PAGE_CALLS_WITHIN).await.map_err(broken)?;
        successful(answer, &self.page)
    }
}

impl Asks for Reader {
    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        decoded(&self.send(Method::GET, path, None).await?)
    }

    async fn tell<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Failure> {
        decoded(&self.send(Method::POST, path, Some(body)).await?)
    }
}
