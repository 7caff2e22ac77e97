//! How the body of an answer is compressed (RFC 9110, content codings).
//!
//! What a compressed answer weighs tells a listener something of what is in it (BREACH), if a stranger can have the same person ask
//! again and again for a page with a text of the stranger's in it. Other sites can ask for our pages, but without cookies
//! (`SameSite=Lax`), so they get those of a visitor who is not signed in, where nothing is secret; and no page has a token
//! against forged requests, which the APIs know by where they come from.

use std::io::{self, Write as _};

use actix_web::http::header::{self, HeaderMap};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::model::is_nothing;

/// Pages are made for each visitor, so what is saved on the wire must not be lost in waiting.
const BROTLI_QUALITY: i32 = 4;

/// A coding that is spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Gzip,
}

impl Coding {
    /// The best one that a request takes.
    pub(crate) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        [Self::Brotli, Self::Gzip].into_iter().find(|coding| coding.is_in(accepted))
    }

    fn is_in(self, accepted: &str) -> bool {
        accepted.split(',').any(|one| {
            let mut parts = one.split(';').map(str::trim);
            let refused = |weight: &str| weight.strip_prefix("q=").is_some_and(is_nothing);
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case(self.name())) && !parts.any(refused)
        })
    }

    /// As headers call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The body in this coding.
    pub(crate) fn code(self, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut coded = Vec::new();
        match self {
            Self::Brotli => {
                let wish = brotli::enc::BrotliEncoderParams { quality: BROTLI_QUALITY, ..Default::default() };
                brotli::BrotliCompress(&mut &body[..], &mut coded, &wish)?;
                Ok(coded)
            }
            Self::Gzip => {
                let mut coder = GzEncoder::new(coded, Compression::default());
                coder.write_all(body)?;
                coder.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_coding_is_taken_if_it_is_named_and_not_refused() {
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", Some(Coding::Brotli)),
            ("GZIP;q=0.5", Some(Coding::Gzip)),
            ("br;q=0, gzip", Some(Coding::Gzip)),
            ("br; q=0.0,gzip ; q=0", None),
            ("brotli, xgzip", None),
            ("*", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            assert_eq!(Coding::accepted(&headers), expected, "{accepted}");
        }
        assert_eq!(Coding::accepted(&HeaderMap::new()), None);
    }
}
