use common::clock::Time;

use super::*;
use crate::order::{Input, OrderState};

pub(crate) fn codes() -> PassCodes {
    PassCodes::new(SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap())
}

fn complete() -> Order {
    let order = crate::order::tests::order(500);
    let paid = order.handle(Input::PaymentSucceeded, Time::from_millis(1)).unwrap().unwrap().next;
    assert_eq!(paid.state, OrderState::Complete);
    paid
}

fn signed(codes: &PassCodes, code: &str) -> Option<SignedPass> {
    match codes.read(code)? {
        Shown::Signed(signed) => Some(signed),
        _ => None,
    }
}

#[test]
fn a_code_names_its_pass_to_who_knows_the_show() {
    let (codes, order) = (codes(), complete());
    for pass in &order.passes {
        let code = codes.code(&order, pass).unwrap();
        for read in [code.clone(), code.to_lowercase()] {
            let shown = signed(&codes, &read).unwrap();
            assert_eq!((shown.order, codes.signed(&shown, &order)), (order.id, Some(pass.id)));
        }
    }
    let code = codes.code(&order, &order.passes[0]).unwrap();
    let shown = signed(&codes, &code).unwrap();
    let of_another_show = Order { ticket_id: complete().ticket_id, ..order.clone() };
    assert_eq!(codes.signed(&shown, &of_another_show), None);
    assert_eq!(codes.signed(&shown, &complete()), None);
    assert_eq!(codes.signed(&SignedPass { number: 2, ..shown.clone() }, &order), None, "the signature is of the first");
    assert_eq!(self::codes().signed(&shown, &order), None, "another house");
}

#[test]
fn what_is_no_code_is_none() {
    let (codes, order) = (codes(), complete());
    let code = codes.code(&order, &order.passes[0]).unwrap();
    let cut = &code[..code.len() - 1];
    let last_bits = format!("{cut}{}", if code.ends_with('B') { 'D' } else { 'B' });
    for none in
        ["", "D1:", "D2:AAAA", "forged", "x", cut, &format!("{code}A"), &format!("{code}="), &last_bits, &code[3..]]
    {
        assert_eq!(codes.read(none), None, "{none:?}");
    }
}

#[test]
fn a_token_of_an_earlier_build_is_read() {
    let (codes, order) = (codes(), complete());
    let claims = PassClaims { pass: order.passes[0].id, order: order.id, ticket: order.ticket_id };
    let token = codes.key.sign(TYPE, &claims).unwrap();
    assert_eq!(codes.read(&token), Some(Shown::Token(claims.clone())));
    assert_eq!(self::codes().read(&token), None);
    assert_eq!(codes.read(&codes.key.sign("at+jwt", &claims).unwrap()), None);
}

#[test]
fn a_short_code_is_read_however_somebody_wrote_it_down() {
    let (codes, order) = (codes(), complete());
    let short = codes.short(order.id);
    assert_eq!((short.len(), codes.short(order.id)), (10, short.clone()));
    assert_ne!(self::codes().short(order.id), short, "it is no function of the id alone");
    let expected = Some(Shown::Short { code: "K01M29XD4R".to_owned(), number: 12 });
    for written in
        ["K01M2-9XD4R-12", "k01m2 9xd4r 12", "K01M29XD4R12", "kolm2\u{2013}9XD4R\u{2212}12", "KOIM2--9XD4R - l2"]
    {
        assert_eq!(codes.read(written), expected, "{written}");
    }
    assert_eq!(readable("K01M29XD4R", 12), "K01M2-9XD4R-12");
    let (short, number) = (readable(&short, 2), 2);
    assert!(matches!(codes.read(&short), Some(Shown::Short { number: read, .. }) if read == number), "{short}");
    for none in ["K01M2-9XD4R", "K01M2-9XD4R-", "K01M2-9XD4R-1234", "K01M2-9XD4U-1", "K01M2-9XD4R-A", "K01M2/9XD4R-1"] {
        assert_eq!(codes.read(none), None, "{none}");
    }
}

#[test]
fn the_image_is_small_and_has_each_dark_module() {
    let (codes, order) = (codes(), complete());
    let code = codes.code(&order, &order.passes[0]).unwrap();
    // All that the alphanumeric mode has (ISO/IEC 18004).
    assert!(code.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || b" $%*+-./:".contains(&c)), "{code}");
    let image = QrCode::encode_text(&code, QrCodeEcc::Medium).unwrap();
    assert!(image.version().value() <= LARGEST, "{}", image.version().value());
    let dark = (0..image.size()).flat_map(|y| (0..image.size()).map(move |x| (x, y)));
    let dark = dark.filter(|(x, y)| image.get_module(*x, *y)).count();
    let drawn = dark_modules(&image);
    let runs = drawn.split(['M', 'm']).flat_map(|run| run.split('h').skip(1));
    assert_eq!(runs.map(|run| run.parse::<usize>().unwrap()).sum::<usize>(), dark);
    assert!(qr_svg(&code).unwrap().starts_with("<svg "));
    assert!(qr_svg(&code.repeat(2)).is_err(), "too large for a door");
}
