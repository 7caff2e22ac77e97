//! Paying with a card that is typed into Stripe's own frame, while the page hears what is new all the time.

mod stripe_js;

use docket_tests::{App, Browser, Page, Person};
use serde_json::Value;

use stripe_js::StripeJs;

const NO_MONEY: &str = "4000000000009995";
const EXPIRED: &str = "4000000000000069";
const ASKS_THE_BANK: &str = "4000002760003184";
const VISA: &str = "4242424242424242";

const FRAME: &str = "document.querySelector('#card iframe')";
/// Counts what the page's stream tells.
const COUNT_NEWS: &str = "window.news = 0; document.addEventListener('htmx:sse:before:message', () => window.news++);";

/// Counts what changes of the page, the form and the clock aside, while a dialogue lies over it.
const WATCH: &str = "window.changes = 0; new MutationObserver((changes) => {
    const apart = ({ target }) => target.closest('#card-form, time');
    if (document.querySelector('dialog')) window.changes += changes.filter((change) => !apart(change)).length;
}).observe(document.querySelector('#order'), { subtree: true, childList: true, attributes: true }); 0";

async fn docket() -> App {
    App::with(|settings| settings.stripe_publishable_key = Some("pk_test_x".to_owned())).await
}

/// A hold of one place at 19.99 dollars, and its buyer.
async fn held(app: &App) -> (Person, String) {
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(10).await, 1).await.expect(201);
    let page = format!("/orders/{}", order["id"].as_str().unwrap());
    (buyer, page)
}

/// Types a card number, once there is a field for it.
async fn type_card(page: &Page, number: &str) {
    let ready = "!document.querySelector('#card-form button').disabled";
    page.until_true(&format!("{FRAME}?.contentDocument?.querySelector('input') != null && {ready}")).await;
    page.script(&format!("{FRAME}.contentDocument.querySelector('input').value = '{number}'; 0")).await;
}

async fn news(page: &Page) -> u64 {
    page.script("news").await.as_u64().unwrap()
}

async fn until_more_news_than(page: &Page, before: u64) {
    page.until_true(&format!("news > {before}")).await;
}

/// The very frame that was there at first is there, with the number that was typed into it.
async fn expect_same_frame(page: &Page, number: &str) {
    let same =
        format!("{FRAME} === window.kept && kept.isConnected && kept.contentDocument.querySelector('input').value");
    assert_eq!(page.script(&same).await, number, "{}", page.text().await);
}

/// Stripe's own answers have a status that the browser notes as an error; nothing else may.
async fn expect_only_declines(page: &Page) {
    let errors = page.errors().await;
    assert!(errors.iter().all(|error| error.contains("https://api.stripe.com/")), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_form_outlives_news_declines_and_the_banks_question() {
    let app = docket().await;
    let (buyer, order) = held(&app).await;
    let page = Browser::desktop().visit_as(&buyer).await;
    let stripe = StripeJs::of(&page, &app, 0).await;
    page.in_every_document(COUNT_NEWS).await;
    page.open(&order).await;
    type_card(&page, NO_MONEY).await;
    page.script(&format!("window.kept = {FRAME}; window.heading = document.querySelector('#pay h2'); 0")).await;
    // The payment is begun, and the order hears of it.
    until_more_news_than(&page, 0).await;
    expect_same_frame(&page, NO_MONEY).await;

    let before = news(&page).await;
    page.script("const pay = document.querySelector('#card-form button'); pay.click(); pay.click(); 0").await;
    page.see("Your card has insufficient funds.").await;
    until_more_news_than(&page, before).await;
    page.see("Your card has insufficient funds.").await;
    expect_same_frame(&page, NO_MONEY).await;
    assert_eq!(stripe.confirmations().len(), 1, "a second press while one is on its way pays nothing");

    type_card(&page, EXPIRED).await;
    page.click_button("Pay $19.99").await;
    page.see("Your card has expired.").await;
    for first in ["insufficient funds", "not enough money"] {
        assert!(!page.text().await.contains(first), "the first decline is told no more: {}", page.text().await);
    }
    expect_same_frame(&page, EXPIRED).await;

    type_card(&page, ASKS_THE_BANK).await;
    let before = news(&page).await;
    page.script(WATCH).await;
    page.click_button("Pay $19.99").await;
    page.see("Your bank asks whether it is you.").await;
    until_more_news_than(&page, before).await;
    expect_same_frame(&page, ASKS_THE_BANK).await;
    assert!(!page.text().await.contains("Continue to your bank"), "{}", page.text().await);
    assert_eq!(page.script("heading.isConnected && document.querySelector('#card-form button').disabled").await, true);
    assert_eq!(page.script("changes").await, 0, "nothing changes under the dialogue");
    page.click_button("Complete").await;
    page.see("Pass 1 of 1").await;
    assert_eq!(page.path().await, order, "no secret stands in the address");
    assert_eq!(stripe.confirmations().len(), 3);
    assert!(stripe.confirmations().iter().all(|sent| sent.contains("client_secret=pi_")));
    expect_only_declines(&page).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_says_no_leaves_the_form_for_another_card() {
    let app = docket().await;
    let (buyer, order) = held(&app).await;
    let page = Browser::phone().dark().visit_as(&buyer).await;
    StripeJs::of(&page, &app, 0).await;
    page.in_every_document(COUNT_NEWS).await;
    page.open(&order).await;
    page.until_true("!document.querySelector('#card-form button').disabled").await;
    page.click_button("Pay $19.99").await;
    page.see("Your card number is incomplete.").await;
    type_card(&page, ASKS_THE_BANK).await;
    page.script(&format!("window.kept = {FRAME}; 0")).await;
    page.click_button("Pay $19.99").await;
    page.click_button("Fail").await;
    page.see("We are unable to authenticate your payment method.").await;
    expect_same_frame(&page, ASKS_THE_BANK).await;
    page.expect_accessible().await;
    type_card(&page, VISA).await;
    page.click_button("Pay $19.99").await;
    page.see("Pass 1 of 1").await;
    expect_only_declines(&page).await;
    app.stop().await;
}

/// Its button never leads away from the page, whatever keeps the form from being there.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_form_that_could_not_be_loaded_is_loaded_by_its_button() {
    let app = docket().await;
    let (buyer, order) = held(&app).await;
    let page = Browser::desktop().visit_as(&buyer).await;
    StripeJs::of(&page, &app, 1).await;
    page.open(&order).await;
    page.see("The card form could not be loaded.").await;
    page.script("window.stays = true; 0").await;
    page.click_button("Pay $19.99").await;
    type_card(&page, VISA).await;
    assert_eq!(page.script("window.stays").await, Value::Bool(true), "the page was not left");
    assert!(!page.text().await.contains("could not be loaded"), "{}", page.text().await);
    page.click_button("Pay $19.99").await;
    page.see("Pass 1 of 1").await;
    app.stop().await;
}
