//! Selling in a browser: putting tickets on sale, and seeing them sell.

use docket_tests::{App, Browser, Page, eventually};
use serde_json::{Value, json};

use super::tab::Tab;

const TITLE: &str = "Jazz by the river";

/// Who sells is told to confirm their address first, before they have filled in a form, and goes on at once when they have.
async fn follow_the_link(app: &App, page: &Page, email: &str) {
    page.open("/sales/new").await;
    page.see("Confirm your address first").await;
    page.see(email).await;
    assert!(page.names("button").await.contains(&"Send me another mail".to_owned()));
    let mails = page.tab().await;
    eventually("the mail is written", 10, || async {
        let written = app.visitor().get("/api/users/dev/mail").await.expect(200);
        written.to_string().contains("verify-email").then_some(())
    })
    .await;
    mails.open("/dev/mail").await;
    mails.click_link(&format!("Follow the link in “Is this your address?” to {email}")).await;
    mails.click_button("Confirm my address").await;
    mails.see("Your address is confirmed").await;
    page.click_link("I have followed the link").await;
    page.see("Price of one place").await;
    for page in [page, &mails] {
        page.expect_no_errors().await;
    }
}

/// From an empty dashboard to a listing that is on sale; what it answers is the listing for the API's sake.
async fn put_on_sale(page: &Page) -> Value {
    page.open("/sales").await;
    page.see("You have nothing on sale yet.").await;
    page.click_link("Put tickets on sale").await;
    page.until_at("/sales/new").await;
    page.fill("Title", TITLE).await;
    page.fill("Price of one place", "19.99").await;
    page.fill("Places", "10").await;
    // On this day clocks in Rome go from two to three.
    page.fill("Day", "2027-03-28").await;
    page.fill("Time there", "02:30").await;
    page.fill("Time zone", "Europe/Rome").await;
    page.click_button("Put on sale").await;
    page.see("skip this time").await;
    assert_eq!(page.value("Title").await, TITLE, "what was typed is kept");
    page.fill("Time there", "20:00").await;
    page.click_button("Put on sale").await;
    page.see("No orders yet.").await;
    page.see("Rome time").await;
    json!({ "id": page.path().await.trim_start_matches("/sales/") })
}

async fn until_figure(page: &Page, name: &str, shown: &str) {
    page.until_true(&format!("document.querySelector('#figure-{name}')?.textContent === '{shown}'")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_lists_and_sees_the_sale_while_it_happens() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    let page = Browser::phone().visit_as(&seller).await;
    follow_the_link(&app, &page, &seller.email).await;
    let ticket = put_on_sale(&page).await;
    let buyer = app.sign_up().await;
    let order = buyer.hold(&ticket, 2).await.expect(201);
    until_figure(&page, "held", "2").await;
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    until_figure(&page, "sold", "2").await;
    until_figure(&page, "left", "8").await;
    page.see("$39.98").await;
    page.see("Paid").await;
    page.expect_no_errors().await;

    page.click("No longer on sale?").await;
    page.click_button("Take it from sale").await;
    page.see("Taken from sale").await;
    page.expect_no_errors().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_gives_a_part_back_and_then_the_rest() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(10).await;
    let order = buyer.buy(&ticket, 2).await;
    let page = Browser::phone().in_place("de-DE", "Europe/Berlin").visit_as(&seller).await;
    page.open(&format!("/sales/{}", ticket["id"].as_str().unwrap())).await;
    page.click_link("2 places · 39,98 $").await;
    page.until_at(&format!("/sales/{}/orders/", ticket["id"].as_str().unwrap())).await;
    for (amount, told) in [("5_0", "must be an amount in digits"), ("40", "only 39,98 $ is left"), ("5,005", "decimal")]
    {
        page.fill("How much optional", amount).await;
        page.click_button("Give money back").await;
        page.see(told).await;
        assert_eq!(page.value("How much optional").await, amount, "what was typed is kept");
    }
    page.fill("How much optional", "5,5").await;
    page.fill("Why optional", "Rain").await;
    page.click_button("Give money back").await;
    page.see("5,50 $ of 39,98 $ went back").await;
    page.see("Rain").await;
    assert_eq!(page.value("How much optional").await, "");
    page.click_button("Give money back").await;
    page.see("39,98 $ of 39,98 $ went back").await;
    page.see_no("Give money back").await;
    page.expect_no_errors().await;
    buyer.until_order(&order, "refunded").await;

    // Others see nothing of it.
    let stranger = Browser::desktop().visit_as(&app.sign_up().await).await;
    stranger.open(&page.path().await).await;
    stranger.see("Nothing here").await;
    let bought = Browser::desktop().visit_as(&buyer).await;
    bought.open(&page.path().await).await;
    bought.see("Nothing here").await;
    app.stop().await;
}

/// Nothing said means all, so that nothing could be read must not mean that.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_cannot_be_read_gives_nothing_back() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(10).await;
    let order = buyer.buy(&ticket, 2).await;
    let (ticket, order) = (ticket["id"].as_str().unwrap(), order["id"].as_str().unwrap());
    let tab = Tab::of(&seller, &app.base());
    let shown = tab.post(&format!("/sales/{ticket}/orders/{order}/refund"), "key=k&amount=5&amount=5").await;
    assert_eq!(shown.status, 400);
    assert_eq!(seller.get(&format!("/api/payments/{order}")).await.expect(200)["refunded"], "0.00");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_money_goes_back_by_the_address_of_another_sale() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let (ticket, other) = (seller.sell(10).await, seller.sell(10).await);
    let order = buyer.buy(&ticket, 1).await;
    let (other, order) = (other["id"].as_str().unwrap(), order["id"].as_str().unwrap());
    let tab = Tab::of(&seller, &app.base());
    let shown = tab.post(&format!("/sales/{other}/orders/{order}/refund"), "key=k&amount=5").await;
    assert_eq!(shown.status, 404);
    assert_eq!(seller.get(&format!("/api/payments/{order}")).await.expect(200)["refunded"], "0.00");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_says_what_somebody_else_has_changed_meanwhile() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    seller.confirm().await;
    let page = Browser::desktop().visit_as(&seller).await;
    let ticket = put_on_sale(&page).await;
    let path = format!("/api/tickets/{}", ticket["id"].as_str().unwrap());
    page.click_link("Edit").await;
    page.see("Edit your listing").await;
    let elsewhere = json!({
        "title": TITLE, "price": "19.99", "venue": "Pier 9", "startsAt": "2027-03-28T18:00:00Z", "timeZone": "Europe/Rome",
    });
    seller.put(&path, elsewhere).await.expect(200);
    page.fill("Title", "Jazz at night").await;
    page.click_button("Save").await;
    page.see("Not saved").await;
    page.see("Venue is now “Pier 9”; it was empty.").await;
    assert_eq!(page.value("Title").await, "Jazz at night");
    assert_eq!(page.value("Venue optional").await, "Pier 9");
    page.click_button("Save").await;
    page.see("See its page").await;
    let now = seller.get(&path).await.expect(200);
    assert_eq!(
        (&now["title"], &now["venue"], &now["startsAt"]),
        (&json!("Jazz at night"), &json!("Pier 9"), &json!("2027-03-28T18:00:00.000Z"))
    );
    page.expect_no_errors().await;
    app.stop().await;
}
