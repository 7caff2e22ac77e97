//! The codes on passes, signed with Ed25519, so that a scanner with the public key can tell a forgery without a connection.
//!
//! What the QR image says is `D1:` and then, in base32 (RFC 4648, without padding), the order's id (16 bytes), the number of the
//! pass (one byte) and the signature (64 bytes). Signed is the name of the purpose, a zero byte, the id of the listing, the order's
//! id and the number: who stands at a door knows which show it is, and the code of another one does not fit. All characters
//! are of the alphanumeric mode of QR codes, so that the image has few modules. docs/passes.md says it to who writes a scanner.
//!
//! Beside it stands a short code for people to read out: ten characters for the order, in Crockford's base32, and the number. It
//! is not signed, but nobody can guess it. Earlier builds issued tokens (JWT); they stay valid.

use std::sync::LazyLock;

use common::id::{OrderId, PassId, TicketId};
use common::signing::{PublicKey, SEAL_BYTES, SigningKey};
use data_encoding::BASE32_NOPAD;
use qrcodegen::{DataTooLong, Mask, QrCode, QrCodeEcc, QrSegment, Version};
use serde::Deserialize;
use uuid::Uuid;

use crate::order::{Order, Pass};

/// The type of the tokens that earlier builds issued.
const TYPE: &str = "pass+jwt";
const PURPOSE: &str = "docket pass 1";
const PURPOSE_SHORT: &str = "docket short code";
/// With what a code begins: its version.
const PREFIX: &str = "D1:";
const ID_BYTES: usize = 16;
const SIGNED_BYTES: usize = ID_BYTES + 1;

/// The digits of Crockford's base32: no letter looks or sounds like another one.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// How many characters of a short code are the order's: 50 bits.
const SHORT: usize = 10;

/// What the token of an earlier build says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(crate) struct PassClaims {
    /// The pass.
    #[serde(rename = "jti")]
    pub(crate) pass: PassId,
    /// Its order.
    pub(crate) order: OrderId,
    /// The listing that it admits to.
    pub(crate) ticket: TicketId,
}

/// What a code names. Whether its signature is good is known once the order is: see [`PassCodes::signed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedPass {
    pub(crate) order: OrderId,
    number: u8,
    seal: [u8; SEAL_BYTES],
}

/// A code as somebody shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As the QR image has it.
    Signed(SignedPass),
    /// A token of an earlier build, whose signature is good.
    Token(PassClaims),
    /// As people read it out.
    Short {
        /// The order's.
        code: String,
        /// Which pass.
        number: u32,
    },
}

/// Signs and reads codes.
#[derive(Clone)]
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
    /// If an order has more passes than a byte can count.
    pub(crate) fn code(&self, order: &Order, pass: &Pass) -> Result<String, std::num::TryFromIntError> {
        let number = u8::try_from(pass.number)?;
        let seal = self.key.seal(PURPOSE, &message(order.ticket_id, order.id, number));
        Ok(PREFIX.to_owned() + &BASE32_NOPAD.encode(&[&order.id.uuid().as_bytes()[..], &[number], &seal].concat()))
    }

    /// Reads a code; `None` if none of this house can look like this, or if it is a token that was not signed here.
    pub(crate) fn read(&self, code: &str) -> Option<Shown> {
        if code.contains('.') {
            return self.key.public().verify(TYPE, code).ok().map(Shown::Token);
        }
        let capitals = code.to_ascii_uppercase();
        match capitals.strip_prefix(PREFIX) {
            Some(signed) => read_signed(signed).map(Shown::Signed),
            None => read_short(&capitals),
        }
    }

    /// The pass that a code names, if it was signed here for a pass of this order.
    pub(crate) fn signed(&self, shown: &SignedPass, order: &Order) -> Option<PassId> {
        let message = message(order.ticket_id, shown.order, shown.number);
        let good = shown.order == order.id && self.key.public().has_sealed(PURPOSE, &message, &shown.seal);
        let pass = order.passes.iter().find(|pass| pass.number == u32::from(shown.number));
        pass.filter(|_| good).map(|pass| pass.id)
    }

    /// The short code of an order, as it is stored: nobody can tell it from the order's id.
    pub(crate) fn short(&self, order: OrderId) -> String {
        let secret = self.key.secret_of(PURPOSE_SHORT, order.uuid().as_bytes());
        // Each digit takes five bits of a byte; a byte has eight, and all are as good as random.
        secret.iter().take(SHORT).map(|byte| char::from(DIGITS[usize::from(byte % 32)])).collect()
    }
}

/// What is signed. The listing is not in the code: who checks it knows of which show it must be.
fn message(ticket: TicketId, order: OrderId, number: u8) -> Vec<u8> {
    [&ticket.uuid().as_bytes()[..], order.uuid().as_bytes(), &[number]].concat()
}

fn read_signed(text: &str) -> Option<SignedPass> {
    let bytes = BASE32_NOPAD.decode(text.as_bytes()).ok()?;
    let (signed, seal) = bytes.split_at_checked(SIGNED_BYTES)?;
    let (order, number) = signed.split_at(ID_BYTES);
    let order = OrderId::from(Uuid::from_slice(order).ok()?);
    Some(SignedPass { order, number: *number.first()?, seal: seal.try_into().ok()? })
}

/// Reads what somebody has heard: in any letters, with spaces and hyphens anywhere or nowhere.
fn read_short(text: &str) -> Option<Shown> {
    let plain = text.chars().filter(|c| !c.is_whitespace() && !is_hyphen(*c)).map(heard).collect::<Option<String>>()?;
    let (code, number) = plain.split_at_checked(SHORT)?;
    let number = number.parse().ok().filter(|_| number.len() <= 3)?;
    Some(Shown::Short { code: code.to_owned(), number })
}

/// Phones write some of them by themselves.
fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// The digit that is meant, as Crockford has it: O is 0, and I and L are 1.
fn heard(c: char) -> Option<char> {
    let meant = match c {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    u8::try_from(meant).ok().filter(|digit| DIGITS.contains(digit)).map(char::from)
}

/// A short code as people read it: `K7QM2-9XD4R-2`.
pub(crate) fn readable(short: &str, number: u32) -> String {
    match short.split_at_checked(SHORT / 2) {
        Some((first, second)) => format!("{first}-{second}-{number}"),
        None => format!("{short}-{number}"),
    }
}

/// The largest image that a door's camera should have to read: 45 modules a side (ISO/IEC 18004, version 7).
const LARGEST: u8 = 7;

/// The light border around the modules, in modules (ISO/IEC 18004).
const QUIET_ZONE: i32 = 4;

/// A code as a QR image, in the alphanumeric mode where its characters allow it. Its mask is always the same: choosing the best of eight takes longer than all the rest, and a code
/// is as good as random anyhow.
///
/// # Errors
/// If the code is too long for one.
pub(crate) fn qr_svg(code: &str) -> Result<String, DataTooLong> {
    let segments = QrSegment::make_segments(code);
    let (least, most, mask) = (Version::MIN, Version::new(LARGEST), Mask::new(0));
    let image = QrCode::encode_segments_advanced(&segments, QrCodeEcc::Medium, least, most, Some(mask), true)?;
    let side = image.size() + 2 * QUIET_ZONE;
    Ok(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{side}v{side}H0z"/><path stroke="#000" d="{}"/></svg>"##,
        dark_modules(&image)
    ))
}

/// The longest row that an image can have, in modules.
const LONGEST_ROW: usize = 45;

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
pub(crate) mod tests;
