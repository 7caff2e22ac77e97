//! Amounts on pages: to the last digit of what is charged, in the visitor's way of writing, typed and shown.

use docket_tests::{App, Browser, Page, Person};
use serde_json::{Value, json};

async fn sell_at(seller: &Person, price: &str, currency: &str) -> Value {
    let listing = json!({ "title": "Friday evening", "price": price, "currency": currency, "quantity": 10 });
    seller.list(listing).await.expect(201)
}

/// Whether the page could be broken within the amount: a space of the kind that ends a line.
async fn expect_unbroken(page: &Page, amount: &str) {
    let text = page.script("document.body.innerText").await;
    assert!(text.as_str().unwrap().contains(amount), "{amount:?} in {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_what_is_charged_to_the_last_digit() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = sell_at(&seller, "1234.98", "huf").await;
    let order = buyer.hold(&ticket, 2).await.expect(201);
    let page = Browser::desktop().in_place("hu-HU", "Europe/Budapest").visit_as(&buyer).await;
    page.open("/").await;
    expect_unbroken(&page, "1234,98\u{a0}Ft").await;
    page.open(&format!("/tickets/{}", ticket["id"].as_str().unwrap())).await;
    expect_unbroken(&page, "1234,98\u{a0}Ft").await;
    page.open(&format!("/orders/{}", order["id"].as_str().unwrap())).await;
    expect_unbroken(&page, "2469,96\u{a0}Ft").await;
    page.open("/orders").await;
    expect_unbroken(&page, "2469,96\u{a0}Ft").await;
    app.stop().await;
}

/// However long it is, and however narrow its place.
#[tokio::test(flavor = "multi_thread")]
async fn an_amount_stands_on_one_line() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let long = [("999999.98", "huf"), ("99999.990", "kwd"), ("99999999", "jpy"), ("19.99", "usd")];
    for (price, currency) in long {
        let order = buyer.hold(&sell_at(&seller, price, currency).await, 1).await.expect(201);
        let page = Browser::phone().in_place("hu-HU", "UTC").visit_as(&buyer).await;
        for path in ["/".to_owned(), format!("/orders/{}", order["id"].as_str().unwrap())] {
            page.open(&path).await;
            assert_eq!(page.script(LINES_OF_AMOUNTS).await, "whole", "{price} {currency} at {path}");
        }
        let sale = Browser::phone().in_place("hu-HU", "UTC").visit_as(&seller).await;
        for path in ["/sales".to_owned(), format!("/sales/{}", order["ticketId"].as_str().unwrap())] {
            sale.open(&path).await;
            assert_eq!(sale.script(LINES_OF_AMOUNTS).await, "whole", "{price} {currency} at {path}");
        }
    }
    app.stop().await;
}

/// Which amount is broken or stands out of the screen, or that none does.
const LINES_OF_AMOUNTS: &str = "(() => {
    for (const amount of document.querySelectorAll('.price, .total, .sale-revenue, .figures dd')) {
        const text = document.createRange();
        text.selectNodeContents(amount.lastChild);
        const [line, ...more] = text.getClientRects();
        const room = amount.parentElement.getBoundingClientRect();
        if (more.length || line.left < room.left || line.right > room.right) return amount.outerHTML;
    }
    return document.documentElement.scrollWidth > innerWidth ? 'too wide' : 'whole';
})()";

#[tokio::test(flavor = "multi_thread")]
async fn a_price_is_typed_as_the_pages_print_it() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    seller.confirm().await;
    let page = Browser::desktop().in_place("de-DE", "Europe/Berlin").visit_as(&seller).await;
    page.open("/sales/new").await;
    page.fill("Title", "Jazz by the river").await;
    page.fill("Currency", "EUR").await;
    page.fill("Price of one place", "1e2").await;
    page.click_button("Put on sale").await;
    page.see("must be an amount in digits, such as 1.234,50").await;
    assert_eq!(page.value("Price of one place").await, "1e2", "what was typed is kept");
    page.fill("Price of one place", "1.234,50").await;
    page.click_button("Put on sale").await;
    page.see("No orders yet.").await;
    let path = format!("/api/tickets/{}", page.path().await.trim_start_matches("/sales/"));
    assert_eq!(seller.get(&path).await.expect(200)["price"], "1234.50");

    page.click_link("Edit").await;
    assert_eq!(page.value("Price of one place").await, "1234,50");
    page.fill("Price of one place", "19,99").await;
    page.click_button("Save").await;
    page.see("No orders yet.").await;
    assert_eq!(seller.get(&path).await.expect(200)["price"], "19.99");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_free_says_so_and_speaks_of_no_money() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = sell_at(&seller, "0", "usd").await;
    let page = Browser::phone().visit_as(&buyer).await;
    page.open("/").await;
    page.see("Free").await;
    expect_no_money(&page).await;
    page.click_link("Friday evening").await;
    page.until_at("/tickets/").await;
    page.see("Free").await;
    expect_no_money(&page).await;
    page.fill("How many", "2").await;
    page.click_button("Hold places").await;
    page.until_at("/orders/").await;
    page.see("Pass 2 of 2").await;
    page.see("Free").await;
    page.see("Confirmed").await;
    expect_no_money(&page).await;
    let order = page.path().await;
    page.open("/orders").await;
    page.see("Free").await;
    page.see("Confirmed").await;
    expect_no_money(&page).await;
    page.open(&order).await;
    page.click("Cannot come?").await;
    expect_no_money(&page).await;
    page.click_button("Give the places back").await;
    page.see("The places went back on sale.").await;
    expect_no_money(&page).await;
    page.expect_no_errors().await;
    app.visitor().until_counts(&ticket, 0, 0).await;
    app.stop().await;
}

async fn expect_no_money(page: &Page) {
    let text = page.text().await;
    for word in ["0.00", "$", "Paid", "paid", "pay", "Pay", "money", "card", "charged", "efund"] {
        assert!(!text.contains(word), "{word:?} in {text}");
    }
}
