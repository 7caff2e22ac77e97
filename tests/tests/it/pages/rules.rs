//! What every page keeps to, whoever sees it and however: no errors, nothing that shuts people out, no more than they must load.

use docket_tests::{App, Browser, Person};
use serde_json::Value;

/// HTML, styles and scripts of a page, compressed, in bytes.
const MOST_CODE: u64 = 100_000;

struct Seen {
    path: String,
    by: Person,
    /// What tells that it is the page that was meant.
    shows: &'static str,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_light_and_quiet() {
    let app = App::start().await;
    let pages = pages(&app).await;
    for browser in [Browser::phone(), Browser::desktop()] {
        for seen in &pages {
            let mut page = browser.clone().reduced_motion().visit_as(&seen.by).await;
            page.open(&seen.path).await;
            page.see(seen.shows).await;
            page.expect_accessible().await;
            page.prefer_dark(true).await;
            page.expect_accessible().await;
            page.expect_no_errors().await;
            let code = page.weight().await.code();
            assert!(code < MOST_CODE, "{} weighs {code} bytes", seen.path);
            let wider = page.script("document.documentElement.scrollWidth > innerWidth").await;
            assert_eq!(wider, false, "{} is wider than the screen", seen.path);
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_inline_is_allowed_on_any_page() {
    let app = App::start().await;
    for path in ["/", "/signin", "/nothing/here", "/orders"] {
        let answer = app.visitor().get(path).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
    app.stop().await;
}

/// Every page there is, in each of the states that look different.
async fn pages(app: &App) -> Vec<Seen> {
    let (visitor, seller, buyer) = (app.visitor(), app.sign_up().await, app.sign_up().await);
    let (ticket, last) = (seller.sell(10).await, seller.sell(1).await);
    let (held, paid, declined, cancelled) = (
        buyer.hold(&ticket, 2).await.expect(201),
        buyer.hold(&ticket, 2).await.expect(201),
        buyer.hold(&ticket, 1).await.expect(201),
        buyer.hold(&ticket, 1).await.expect(201),
    );
    let (asked, refunded) = (buyer.hold(&ticket, 1).await.expect(201), buyer.hold(&ticket, 1).await.expect(201));
    buyer.hold(&last, 1).await.expect(201);
    buyer.pay(&asked, "pm_card_threeDSecure2Required").await.expect(201);
    buyer.pay(&refunded, "pm_card_visa").await.expect(201);
    buyer.until_order(&refunded, "complete").await;
    buyer.delete(&format!("/api/orders/{}", id(&refunded))).await.expect(200);
    buyer.until_order(&refunded, "refunded").await;
    buyer.pay(&paid, "pm_card_visa").await.expect(201);
    buyer.until_order(&paid, "complete").await;
    buyer.pay(&declined, "pm_card_chargeDeclined").await.problem(402, "payment_declined");
    buyer.delete(&format!("/api/orders/{}", id(&cancelled))).await.expect(200);
    visitor.until_counts(&last, 1, 0).await;
    let seen = |path: &str, by: &Person, shows| Seen { path: path.to_owned(), by: by.clone(), shows };
    let of = |what: &str, thing: &Value, by: &Person, shows| seen(&format!("/{what}/{}", id(thing)), by, shows);
    vec![
        seen("/", &visitor, "What is on"),
        seen("/?search=nothing+goes+by+this", &visitor, "Nothing goes by that."),
        of("tickets", &ticket, &visitor, "places left"),
        of("tickets", &ticket, &seller, "This is your own listing."),
        of("tickets", &last, &visitor, "No place is free just now"),
        seen("/signin", &visitor, "Sign in"),
        seen("/signup", &visitor, "8 characters or more."),
        seen("/forgot-password", &visitor, "Send me a link"),
        seen("/reset-password?token=t", &visitor, "New password"),
        seen("/verify-email?token=t", &visitor, "Confirm my address"),
        seen("/dev/mail", &visitor, "Mails"),
        seen("/nothing/here", &visitor, "Nothing here"),
        seen("/orders", &buyer, "My orders"),
        seen("/orders", &seller, "No orders yet."),
        of("orders", &held, &buyer, "Held for you for"),
        of("orders", &declined, &buyer, "your places are still held"),
        of("orders", &cancelled, &buyer, "nothing was charged"),
        of("orders", &asked, &buyer, "Continue to your bank"),
        of("orders", &refunded, &buyer, "Your money is on its way back"),
        of("orders", &paid, &buyer, "Pass 1 of 2"),
        seen(&format!("/orders/{}/passes", id(&paid)), &buyer, "Your passes"),
        seen("/profile", &buyer, "Where you are signed in"),
        seen("/sales", &seller, "Put tickets on sale"),
        seen("/sales", &buyer, "You have nothing on sale yet."),
        seen("/sales/new", &seller, "Time zone"),
        seen("/sales/new", &buyer, "Confirm your address first"),
        of("sales", &ticket, &seller, "Download as CSV"),
        seen(&format!("/sales/{}/orders/{}", id(&ticket), id(&paid)), &seller, "Give money back"),
        seen(&format!("/sales/{}/orders/{}", id(&ticket), id(&refunded)), &seller, "went back"),
        seen(&format!("/sales/{}/edit", id(&ticket)), &seller, "Edit your listing"),
        seen("/check-in", &seller, "At which door are you?"),
        seen("/check-in", &buyer, "You have no show yet."),
        of("check-in", &ticket, &seller, "Code of the pass"),
    ]
}

fn id(thing: &Value) -> &str {
    thing["id"].as_str().unwrap()
}
