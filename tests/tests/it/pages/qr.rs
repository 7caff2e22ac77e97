//! The QR code of a pass as a camera sees it on the screen, read by a decoder that knows nothing of the one who drew it.

use std::collections::BTreeSet;

use docket_tests::{App, Browser};
use rqrr::{MetaData, PreparedImage};

/// How many characters an image of version 7 has room for at level M if each is a byte (ISO/IEC 18004).
const AS_BYTES: usize = 122;
/// Level M, as the image's format bits write it.
const MEDIUM: u16 = 0;
const NARROWEST: &str =
    "Math.min(...[...document.querySelectorAll('.pass-qr svg')].map(svg => svg.getBoundingClientRect().width))";

/// All QR codes of a picture.
fn read(picture: &[u8]) -> Vec<(MetaData, String)> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(picture));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let drawn = reader.next_frame(&mut pixels).unwrap();
    let (width, each) = (drawn.width as usize, drawn.color_type.samples());
    // Black and white have the same red as any other part.
    let red = |x: usize, y: usize| pixels[(y * width + x) * each];
    let mut image = PreparedImage::prepare_from_greyscale(width, drawn.height as usize, red);
    image.detect_grids().iter().map(|grid| grid.decode().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_qr_codes_of_a_page_are_large_and_small_enough_and_say_the_passes() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.buy(&seller.sell(10).await, 2).await;
    let codes = buyer.passes(&order).await.into_iter().map(|pass| pass["code"].as_str().unwrap().to_owned());
    let codes: BTreeSet<String> = codes.collect();
    assert!(codes.len() == 2 && codes.iter().all(|code| code.len() > AS_BYTES), "{codes:?}");
    for browser in [Browser::phone().of_width(320), Browser::phone().dark(), Browser::desktop()] {
        let page = browser.visit_as(&buyer).await;
        for path in ["", "/passes"] {
            page.open(&format!("/orders/{}{path}", order["id"].as_str().unwrap())).await;
            page.see("Pass 2 of 2").await;
            let narrowest = page.script(NARROWEST).await.as_f64().unwrap();
            assert!(narrowest >= 240.0, "{path}: {narrowest}");
            let wider = page.script("document.documentElement.scrollWidth > innerWidth").await;
            assert_eq!(wider, false, "{path} is wider than the screen");
            let seen = read(&page.full_png().await);
            // More characters than bytes have room there: it is the alphanumeric mode.
            assert!(seen.iter().all(|(it, _)| it.version.0 <= 7 && it.ecc_level == MEDIUM), "{seen:?}");
            assert_eq!(seen.into_iter().map(|(_, said)| said).collect::<BTreeSet<String>>(), codes, "{path}");
        }
    }
    app.stop().await;
}
