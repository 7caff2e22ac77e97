//! Buying in a browser: new here, declined, asked by the bank, by keyboard, without scripts.

use docket_tests::{App, Browser, Key, PASSWORD, Page, spawn};
use serde_json::Value;

/// What is on sale in these tests: sells at 19.99 dollars each.
const SHOW: &str = "Friday evening";
const VISA: &str = "4242 4242 4242 4242 Pays";
const DECLINED: &str = "4000 0000 0000 0002 Is declined";
const ASKS_THE_BANK: &str = "4000 0000 0000 3220 Asks the bank (3-D Secure)";

async fn sign_up(page: &Page, email: &str) {
    page.until_at("/signin").await;
    page.click_link("Make an account").await;
    page.until_at("/signup").await;
    page.fill("E-mail", email).await;
    page.fill("Password", PASSWORD).await;
    page.click_button("Sign up").await;
}

/// From the start page to an order that waits for payment.
async fn hold(page: &Page, places: &str) {
    page.open("/").await;
    page.click_link(SHOW).await;
    page.until_at("/tickets/").await;
    page.fill("How many", places).await;
    page.click_button("Hold places").await;
}

async fn on_sale(app: &App, places: u32) -> Value {
    app.sign_up().await.sell(places).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_visitor_buys_on_a_phone() {
    let app = App::start().await;
    let ticket = on_sale(&app, 10).await;
    let page = Browser::phone().visit(&app.base()).await;
    hold(&page, "2").await;
    sign_up(&page, "new@example.com").await;
    // What was begun goes on: two places are held.
    page.until_at("/orders/").await;
    page.see("Held for you for").await;
    app.visitor().until_counts(&ticket, 2, 0).await;
    page.click(VISA).await;
    page.click_button("Pay $39.98").await;
    page.see("Pass 1 of 2").await;
    page.see("Pass 2 of 2").await;
    page.expect_no_errors().await;
    app.visitor().until_counts(&ticket, 0, 2).await;

    page.click_link("Show large or print").await;
    page.until_at("/orders/").await;
    page.see("Your passes").await;
    assert_eq!(page.print().await.sheets(), 2, "each pass has a sheet of its own");
    page.expect_no_errors().await;
    app.stop().await;
}

/// Who has an account signs in from the button, and is told there if somebody was faster.
#[tokio::test(flavor = "multi_thread")]
async fn signing_in_from_the_button_goes_on_with_the_hold() {
    let app = App::start().await;
    let ticket = on_sale(&app, 3).await;
    let buyer = app.sign_up().await;
    for (sold_meanwhile, shows) in
        [(0, "Held for you for"), (1, "Somebody was faster: no place is free at this moment.")]
    {
        let page = Browser::phone().visit(&app.base()).await;
        hold(&page, if sold_meanwhile == 0 { "2" } else { "1" }).await;
        page.until_at("/signin").await;
        if sold_meanwhile > 0 {
            app.sign_up().await.hold(&ticket, sold_meanwhile).await.expect(201);
        }
        page.fill("E-mail", &buyer.email).await;
        page.fill("Password", "not this one").await;
        page.click_button("Sign in").await;
        page.see("is wrong").await;
        page.fill("E-mail", &buyer.email).await;
        page.fill("Password", PASSWORD).await;
        page.click_button("Sign in").await;
        page.see(shows).await;
        page.expect_no_errors().await;
    }
    app.visitor().until_counts(&ticket, 3, 0).await;
    app.stop().await;
}

/// An address can be put into anybody's hands: it holds nothing by itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_hold_shows_the_listing_and_holds_nothing() {
    let app = App::start().await;
    let ticket = on_sale(&app, 3).await;
    let page = Browser::desktop().visit_as(&app.sign_up().await).await;
    page.open(&format!("/tickets/{}/hold?quantity=2&key=k", ticket["id"].as_str().unwrap())).await;
    page.until_at("/tickets/").await;
    page.see("3 places left").await;
    assert_eq!(page.value("How many").await, "2");
    page.expect_no_errors().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_declined_and_another_one_pays() {
    let app = App::start().await;
    on_sale(&app, 10).await;
    let page = Browser::desktop().visit_as(&app.sign_up().await).await;
    hold(&page, "1").await;
    page.until_at("/orders/").await;
    page.click(DECLINED).await;
    page.click_button("Pay $19.99").await;
    page.see("Nothing was charged, and your places are still held.").await;
    page.click(VISA).await;
    page.click_button("Pay $19.99").await;
    page.see("Pass 1 of 1").await;
    page.expect_no_errors().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bank_asks_and_the_buyer_comes_back_with_a_pass() {
    let app = App::start().await;
    on_sale(&app, 10).await;
    let page = Browser::phone().visit_as(&app.sign_up().await).await;
    hold(&page, "1").await;
    let order = page.until_at("/orders/").await;
    page.click(ASKS_THE_BANK).await;
    page.click_button("Pay $19.99").await;
    page.click_link("Continue to your bank").await;
    page.see("3-D Secure (test mode)").await;
    page.click_button("Approve").await;
    page.until_at("/orders/").await;
    page.see("Pass 1 of 1").await;
    assert_eq!(page.path().await, order, "what Stripe adds to the address, a secret too, is gone");
    page.expect_no_errors().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_bought_by_keyboard_alone() {
    let app = App::start().await;
    on_sale(&app, 10).await;
    let page = Browser::desktop().visit_as(&app.sign_up().await).await;
    page.open("/").await;
    for name in [SHOW, "Hold places", "Pay $19.99"] {
        page.tab_to(name).await;
        assert!(has_visible_focus(&page).await, "{name} shows that it has the focus");
        page.press(Key::Enter).await;
        page.until_at(match name {
            SHOW => "/tickets/",
            _ => "/orders/",
        })
        .await;
    }
    page.see("Pass 1 of 1").await;
    page.expect_no_errors().await;
    app.stop().await;
}

async fn has_visible_focus(page: &Page) -> bool {
    // The whole card of a listing is outlined, which hangs on the link by its `::after`.
    let outlined = "[null, '::after'].map(part => getComputedStyle(document.activeElement, part)) \
        .some(style => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2)";
    page.script(outlined).await == Value::Bool(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_everything_works_up_to_the_pass() {
    let app = App::start().await;
    on_sale(&app, 10).await;
    let page = Browser::phone().without_javascript().visit(&app.base()).await;
    page.open("/").await;
    page.fill("Search", "friday").await;
    page.click_button("Search").await;
    page.until_at("/?search=friday").await;
    page.click_link(SHOW).await;
    page.until_at("/tickets/").await;
    page.click_button("Hold places").await;
    sign_up(&page, "plain@example.com").await;
    page.until_at("/orders/").await;
    page.click_button("Pay $19.99").await;
    page.see("Pass 1 of 1").await;
    app.stop().await;
}

/// As on Kubernetes: the pages have no database and no broker, only the addresses of the APIs. They stop in good order while a page
/// is open that hears what is new.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_pages_alone_sells_too() {
    let app = App::start().await;
    on_sale(&app, 10).await;
    let web = spawn("web", &[("DOCKET_API_URL", app.base())]).await;
    let page = Browser::desktop().visit(&web.http).await;
    hold(&page, "1").await;
    sign_up(&page, "apart@example.com").await;
    page.until_at("/orders/").await;
    page.see("Held for you for").await;
    page.click_button("Pay $19.99").await;
    page.see("Pass 1 of 1").await;
    page.expect_no_errors().await;
    page.click_link("On sale").await;
    page.click_link(SHOW).await;
    page.see("9 places left").await;
    assert!(web.terminate().await, "it stops in good order when asked");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_shows_what_it_finds_while_it_is_typed() {
    let app = App::start().await;
    on_sale(&app, 10).await;
    let page = Browser::desktop().visit(&app.base()).await;
    page.open("/").await;
    page.fill("Search", "a night without end").await;
    page.see("Nothing goes by that.").await;
    page.until_at("/?search=a+night+without+end").await;
    page.fill("Search", "friday").await;
    page.see("10 places left").await;
    page.expect_no_errors().await;
    app.stop().await;
}
