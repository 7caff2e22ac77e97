//! The codes on passes: tokens signed with Ed25519, so that a scanner with the public key can tell a forgery without a connection.

use common::id::{OrderId, PassId, TicketId};
use common::signing::{PublicKey, SigningKey};
use qrcode::QrCode;
use qrcode::render::svg;
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

/// A code as a QR image.
///
/// # Errors
/// If the code is too long for one.
pub(crate) fn qr_svg(code: &str) -> Result<String, qrcode::types::QrError> {
    let image = QrCode::new(code.as_bytes())?;
    Ok(image.render::<svg::Color<'_>>().min_dimensions(240, 240).build())
}
