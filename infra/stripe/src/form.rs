//! Bodies and queries in Stripe's bracket syntax: `metadata[order]=x`, `expand[0]=latest_charge`.

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::ApiError;

const DEPTH: usize = 8;

/// Reads a form body or a query string.
pub(crate) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    serde_qs::Config::new()
        .max_depth(DEPTH)
        .use_form_encoding(true)
        .deserialize_str(text)
        .map_err(|error| ApiError::malformed(&error.to_string()))
}

/// Equal for equal requests, whatever the order of their fields: a client that
/// serialises a hash map sends the same metadata in another order every time.
pub(crate) fn fingerprint(path: &str, body: &str) -> String {
    let mut fields: Vec<(String, String)> = serde_urlencoded::from_str(body).unwrap_or_default();
    fields.sort();
    let mut hash = Sha256::new();
    for part in std::iter::once(path).chain(fields.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()])) {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}
