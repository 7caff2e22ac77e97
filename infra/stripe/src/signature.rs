//! `Stripe-Signature`: an HMAC over the time and the body.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Twice the age that receivers accept.
const STALE_SECONDS: i64 = 600;

/// Which signature a delivery carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Signature {
    #[default]
    Valid,
    /// Made with another secret.
    Wrong,
    /// Made with the right secret, ten minutes ago.
    Stale,
}

impl Signature {
    /// The header's value for this body.
    pub(crate) fn header(self, secret: &str, now: i64, body: &str) -> String {
        match self {
            Self::Valid => sign(secret, now, body),
            Self::Wrong => sign(&format!("not {secret}"), now, body),
            Self::Stale => sign(secret, now - STALE_SECONDS, body),
        }
    }
}

fn sign(secret: &str, at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
}
