//! The browser of the tests, on pages made for it: what it says of a page must be so, or no test of Docket's pages means anything.

use std::net::SocketAddr;

use actix_web::http::header::{ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY, COOKIE, ContentType, SET_COOKIE};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use docket_tests::{Browser, Key};
use futures::future::join;

/// A page whose content security policy is as strict as Docket's.
async fn page(request: HttpRequest) -> HttpResponse {
    let (head, body, script) = match request.path() {
        "/errors" => (
            "<script>document.title = 'inline'</script>",
            "<img src=missing.png alt=Nothing>",
            "console.error('spilled', { beans: 3 }); nobody.knows();",
        ),
        "/no-alt" => ("", "<main><h1>Picture</h1><img src=/picture.svg width=9 height=9></main>", ""),
        "/dark" => (
            "<link rel=stylesheet href=/dark.css>",
            "<p class=light>by day</p><p class=dark>by night</p><p class=still>at rest</p>",
            "",
        ),
        "/form" => ("<link rel=stylesheet href=/form.css>", FORM, FORM_SCRIPT),
        "/print" => ("<link rel=stylesheet href=/print.css>", "<h1>One</h1><h1>Two</h1><h1>Three</h1>", ""),
        "/refused" => ("", "<h1>Card refused</h1>", ""),
        _ => ("", "<main><h1>Quiet</h1><noscript>by hand</noscript></main>", "document.body.append('by script');"),
    };
    let header =
        |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let told = format!("<p>Cookies: {}. Language: {}.</p>", header(COOKIE), header(ACCEPT_LANGUAGE));
    let mut answer = if request.path() == "/refused" { HttpResponse::PaymentRequired() } else { HttpResponse::Ok() };
    answer
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'self'; require-trusted-types-for 'script'"))
        .insert_header(ContentType::html())
        .insert_header((SET_COOKIE, "__Host-visit=1; Path=/; Secure; HttpOnly; SameSite=Lax"))
        .body(format!(
            "<!doctype html><html lang=en><meta name=viewport content='width=device-width'><link rel=icon href=/picture.svg>\
             <title>Test</title>{head}{body}{told}<script src='/script.js?{}'></script></html>",
            hex(script)
        ))
}

const FORM: &str = "<main><h1>Form</h1><form action=/sent>
    <label>E-mail <input type=email name=email value=old@example.com></label>
    <label>Date <input type=date name=date></label>
    <label>Currency <select name=currency><option value=usd>US dollar<option value=eur>Euro</select></label>
    <input type=checkbox id=agree name=agree class=hidden><label for=agree>I agree</label>
    <button disabled>Hold&nbsp;places</button></form>
    <a href=/quiet>Away</a></main>";

const FORM_SCRIPT: &str = "setTimeout(() => document.querySelector('button').disabled = false, 200);";

/// Answers with the script that its query spells.
async fn script(request: HttpRequest) -> HttpResponse {
    let digits = request.query_string().as_bytes().chunks(2);
    let bytes: Vec<u8> =
        digits.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    HttpResponse::Ok().content_type("text/javascript").body(bytes)
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

async fn style(name: web::Path<String>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/css").body(match name.as_str() {
        "dark" => {
            ".dark { display: none } @media (prefers-color-scheme: dark) { .dark { display: block } .light { display: none } } \
             .still { display: none } @media (prefers-reduced-motion) { .still { display: block } }"
        }
        "print" => "h1 { break-after: page }",
        _ => ".hidden { position: absolute; clip-path: inset(50%); width: 1px; height: 1px } h1 { height: 200vh }",
    })
}

async fn picture() -> HttpResponse {
    HttpResponse::Ok().content_type("image/svg+xml").body("<svg xmlns='http://www.w3.org/2000/svg'/>")
}

/// Serves until the test ends.
fn serve() -> String {
    let server = HttpServer::new(|| {
        App::new()
            .route("/script.js", web::get().to(script))
            .route("/{name}.css", web::get().to(style))
            .route("/picture.svg", web::get().to(picture))
            .route("/missing.png", web::get().to(HttpResponse::NotFound))
            .default_service(web::get().to(page))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address: SocketAddr = server.addrs()[0];
    tokio::spawn(server.run());
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_console_script_policy_and_resources_are_noticed() {
    let page = Browser::desktop().visit(&serve()).await;
    page.open("/quiet").await;
    page.see("by script").await;
    page.open("/refused").await;
    page.see("Card refused").await;
    page.expect_no_errors().await;
    page.open("/errors").await;
    let errors = page.errors().await.join("\n");
    for part in ["console.error: spilled", "ReferenceError: nobody", "Executing inline script violates", "missing.png"]
    {
        assert!(errors.contains(part), "{part} is not among {errors}");
    }
    assert_eq!(page.errors().await.len(), 4, "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_alt_is_a_violation() {
    let page = Browser::phone().visit(&serve()).await;
    page.open("/quiet").await;
    page.expect_accessible().await;
    page.open("/no-alt").await;
    let violations = page.axe().await;
    let shown: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["image-alt (critical): Images must have alternative text\n    img"]);
    page.expect_no_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dark_and_still_are_what_the_visitor_prefers() {
    let base = serve();
    let mut page = Browser::desktop().visit(&base).await;
    page.open("/dark").await;
    assert!(page.text().await.starts_with("by day Cookies"));
    page.prefer_dark(true).await;
    assert!(page.text().await.starts_with("by night Cookies"));
    let page = Browser::phone().dark().reduced_motion().visit(&base).await;
    page.open("/dark").await;
    assert!(page.text().await.starts_with("by night at rest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_no_script_runs() {
    let page = Browser::phone().without_javascript().visit(&serve()).await;
    page.open("/quiet").await;
    page.see("by hand").await;
    assert!(!page.text().await.contains("by script"));
    page.open("/form").await;
    page.fill("E-mail", "ada@example.com").await;
    page.fill("Currency", "Euro").await;
    page.click("I agree").await;
    page.click_link("Away").await;
    page.until_at("/quiet").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn host_cookies_are_kept_and_profiles_are_apart() {
    let base = serve();
    let (one, other) = join(Browser::phone().visit(&base), Browser::desktop().visit(&base)).await;
    one.open("/").await;
    one.see("Cookies: .").await;
    one.open("/").await;
    one.see("Cookies: __Host-visit=1.").await;
    assert_eq!(one.cookie("__Host-visit").await.as_deref(), Some("1"));
    assert_eq!(one.script("document.cookie").await, "");
    let tab = one.tab().await;
    tab.open("/").await;
    tab.see("Cookies: __Host-visit=1.").await;
    other.open("/").await;
    other.see("Cookies: .").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_are_filled_in_with_finger_and_mouse() {
    let base = serve();
    for browser in [Browser::phone(), Browser::desktop()] {
        let page = browser.visit(&base).await;
        page.open("/form").await;
        page.fill("E-mail", "ada@example.com").await;
        page.fill("Date", "2027-01-31").await;
        page.fill("Currency", "Euro").await;
        page.click("I agree").await;
        assert_eq!(page.value("E-mail").await, "ada@example.com");
        page.click_button("Hold places").await;
        let sent = page.until_at("/sent").await;
        assert_eq!(sent, "/sent?email=ada%40example.com&date=2027-01-31&currency=eur&agree=on");
        page.expect_no_errors().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_done_with_keys() {
    let page = Browser::desktop().visit(&serve()).await;
    page.open("/form").await;
    assert_eq!(page.focused().await, "");
    page.press(Key::Tab).await;
    assert_eq!(page.focused().await, "E-mail");
    page.type_text("ada@example.com").await;
    page.tab_to("I agree").await;
    page.press(Key::Space).await;
    page.until_true("document.querySelector('button:enabled') !== null").await;
    page.press(Key::ShiftTab).await;
    assert_eq!(page.focused().await, "Currency");
    page.tab_to("Hold places").await;
    page.press(Key::Enter).await;
    let sent = page.until_at("/sent").await;
    assert_eq!(sent, "/sent?email=ada%40example.com&date=&currency=usd&agree=on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_weighed_pictured_and_printed() {
    let page = Browser::phone().in_place("de-DE", "Europe/Berlin").visit(&serve()).await;
    page.open("/form").await;
    page.see("Language: de-DE").await;
    assert_eq!(page.script("new Date(0).toLocaleString()").await, "1.1.1970, 01:00:00");
    let weight = page.weight().await;
    let styles = page.script("fetch('/form.css').then(r => r.text()).then(t => t.length)").await;
    assert_eq!((weight.styles.into(), weight.scripts), (styles, FORM_SCRIPT.len() as u64));
    assert!(weight.document > FORM.len() as u64 && weight.code() < 5_000, "{weight:?}");
    let (screen, whole) = (page.screenshot().await, page.full_screenshot().await);
    assert_eq!(size(&screen), (780, 1688));
    assert!(size(&whole).0 == 780 && size(&whole).1 > 2 * 1688);
    page.open("/print").await;
    assert_eq!(page.print().await.sheets(), 4);
    page.open("/quiet").await;
    assert_eq!(page.print().await.sheets(), 1);
}

/// The size in the header of a lossy WebP picture.
fn size(webp: &[u8]) -> (u32, u32) {
    assert_eq!((&webp[..4], &webp[8..15]), (&b"RIFF"[..], &b"WEBPVP8"[..]));
    let two = |at: usize| u32::from(u16::from_le_bytes([webp[at], webp[at + 1]]) & 0x3fff);
    if webp[15] == b' ' { (two(26), two(28)) } else { (two(24) + 1, two(27) + 1) }
}
