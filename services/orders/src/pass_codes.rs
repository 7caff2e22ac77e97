//! The codes on passes: tokens signed with Ed25519, so that a scanner with the public key can tell a forgery without a connection.

use std::sync::LazyLock;

use common::id::{OrderId, PassId, TicketId};
use common::signing::{PublicKey, SigningKey};
use qrcodegen::{DataTooLong, Mask, QrCode, QrCodeEcc, QrSegment, Version};
use serde::{Deserialize, Serialize};

use crate::order::{Order, Pass};

const TYPE: &str = "pass+jwt";

/// What a code says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PassClaims {
    /// The pass.
    #[serde(rename = "jti")]
    pub(crate) pass: PassId,
    /// Its order.
    pub(crate) order: OrderId,
    /// The listing that it admits to.
    pub(crate) ticket: TicketId,
}

/// Signs and reads codes.
pub(crate) struct PassCodes {
    key: SigningKey,
}

impl PassCodes {
    /// The codes that `key` signs.
    pub(crate) fn new(key: SigningKey) -> Self {
        Self { key }
    }

    /// What a scanner needs to verify codes.
    pub(crate) fn public_key(&self) -> &PublicKey {
        self.key.public()
    }

    /// The code of a pass: always the same one.
    ///
    /// # Errors
    /// If the claims have no JSON form.
    pub(crate) fn code(&self, order: &Order, pass: &Pass) -> Result<String, common::signing::SigningError> {
        self.key.sign(TYPE, &PassClaims { pass: pass.id, order: order.id, ticket: order.ticket_id })
    }

    /// Reads a code; `None` if it was not signed here.
    pub(crate) fn read(&self, code: &str) -> Option<PassClaims> {
        self.key.public().verify(TYPE, code).ok()
    }
}

/// The light border around the modules, in modules (ISO/IEC 18004).
const QUIET_ZONE: i32 = 4;

/// A code as a QR image. Its mask is always the same: choosing the best of eight takes longer than all the rest, and a code
/// is as good as random anyhow.
///
/// # Errors
/// If the code is too long for one.
pub(crate) fn qr_svg(code: &str) -> Result<String, DataTooLong> {
    let segments = QrSegment::make_segments(code);
    let (least, most, mask) = (Version::MIN, Version::MAX, Mask::new(0));
    let image = QrCode::encode_segments_advanced(&segments, QrCodeEcc::Medium, least, most, Some(mask), true)?;
    let side = image.size() + 2 * QUIET_ZONE;
    Ok(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{side}v{side}H0z"/><path stroke="#000" d="{}"/></svg>"##,
        dark_modules(&image)
    ))
}

/// The longest row that a code can have, in modules (ISO/IEC 18004, version 40).
const LONGEST_ROW: usize = 177;

/// How runs of dark and of light modules are drawn, by their lengths: an image has a thousand of them.
static RUNS: LazyLock<Vec<[String; 2]>> =
    LazyLock::new(|| (0..=LONGEST_ROW).map(|length| [format!("h{length}"), format!("m{length} 0")]).collect());

/// The dark modules as a path to be stroked, one module wide: each row is a line in the middle of its modules, with gaps.
fn dark_modules(image: &QrCode) -> String {
    let mut path = String::new();
    for y in 0..image.size() {
        path += &format!("M{QUIET_ZONE} {}.5", y + QUIET_ZONE);
        let row: Vec<bool> = (0..image.size()).map(|x| image.get_module(x, y)).collect();
        for run in row.chunk_by(PartialEq::eq) {
            let [dark, light] = &RUNS[run.len()];
            path += if run[0] { dark } else { light };
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_has_each_dark_module() {
        let code = "eyJ0eXAiOiJwYXNzK2p3dCJ9.".repeat(12);
        let image = QrCode::encode_text(&code, QrCodeEcc::Medium).unwrap();
        let dark = (0..image.size()).flat_map(|y| (0..image.size()).map(move |x| (x, y)));
        let dark = dark.filter(|(x, y)| image.get_module(*x, *y)).count();
        let drawn = dark_modules(&image);
        let runs = drawn.split(['M', 'm']).flat_map(|run| run.split('h').skip(1));
        assert_eq!(runs.map(|run| run.parse::<usize>().unwrap()).sum::<usize>(), dark);
        assert!(qr_svg(&code).unwrap().starts_with("<svg "));
        assert!(qr_svg(&"x".repeat(5000)).is_err());
    }
}
