//! Content codings: which one a client takes, and how a body is coded.

use std::io::Write as _;

use bytes::Bytes;

/// Less than this is not worth coding: it fits in one packet anyway.
const WORTH_CODING: usize = 860;
const BROTLI_QUALITY: i32 = 5;
/// Log2 of the window, in bytes.
const BROTLI_WINDOW: i32 = 18;

/// How a body is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Brotli,
}

impl Coding {
    /// The best one that an `Accept-Encoding` allows; without the header none is wanted.
    pub(super) fn chosen(accepted: Option<&str>) -> Self {
        let Some(accepted) = accepted else { return Self::Identity };
        let allows = |name: &str| accepted.split(',').any(|item| allows(item, name));
        match () {
            () if allows("br") => Self::Brotli,
            () if allows("gzip") => Self::Gzip,
            () => Self::Identity,
        }
    }

    /// Its name in `Content-Encoding`, which also ends the entity tag of a body that is so coded.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }

    /// The coded body; none if that is not shorter.
    pub(super) fn code(self, body: &[u8]) -> Option<Bytes> {
        if body.len() < WORTH_CODING {
            return None;
        }
        let coded = match self {
            Self::Identity => return None,
            Self::Gzip => gzip(body),
            Self::Brotli => brotli(body),
        };
        coded.ok().filter(|coded| coded.len() < body.len()).map(Bytes::from)
    }
}

fn allows(item: &str, name: &str) -> bool {
    let mut parts = item.split(';').map(str::trim);
    let named = parts.next().is_some_and(|coding| coding.eq_ignore_ascii_case(name));
    let refused = |quality: &str| quality.parse::<f32>().is_ok_and(|quality| quality <= 0.0);
    named && !parts.filter_map(|part| part.strip_prefix("q=")).any(refused)
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    coder.write_all(body)?;
    coder.finish()
}

fn brotli(mut body: &[u8]) -> std::io::Result<Vec<u8>> {
    let parameters =
        brotli::enc::BrotliEncoderParams { quality: BROTLI_QUALITY, lgwin: BROTLI_WINDOW, ..Default::default() };
    let mut coded = Vec::new();
    brotli::BrotliCompress(&mut body, &mut coded, &parameters)?;
    Ok(coded)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_client_gets_the_best_it_takes() {
        for (accepted, expected) in [
            (None, Coding::Identity),
            (Some(""), Coding::Identity),
            (Some("gzip, deflate, br, zstd"), Coding::Brotli),
            (Some("GZIP;q=0.5"), Coding::Gzip),
            (Some("br;q=0, gzip"), Coding::Gzip),
            (Some("br; q=0.0 , gzip ;q=0"), Coding::Identity),
            (Some("deflate"), Coding::Identity),
        ] {
            assert_eq!(Coding::chosen(accepted), expected, "{accepted:?}");
        }
    }

    #[test]
    fn what_is_coded_reads_the_same_again() {
        let body = "tickets, ".repeat(500).into_bytes();
        let mut read = Vec::new();
        let gzip = Coding::Gzip.code(&body).unwrap();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, body);
        read.clear();
        let brotli = Coding::Brotli.code(&body).unwrap();
        brotli::BrotliDecompress(&mut &brotli[..], &mut read).unwrap();
        assert_eq!(read, body);
    }

    #[test]
    fn what_would_not_be_shorter_stays_as_it_is() {
        let noise: Vec<u8> = (0..2000_u32).flat_map(|nth| nth.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        assert_eq!(Coding::Gzip.code(&noise[..800]), None, "too short");
        assert!(Coding::Gzip.code(&noise).is_none_or(|coded| coded.len() < noise.len()));
    }
}
