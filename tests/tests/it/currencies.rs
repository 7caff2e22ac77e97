//! One amount in every currency: listed, held, charged, given back, in the seller's sums and on the page.
//!
//! The table is written from two pages and from nothing of ours: decimals by ISO 4217 and decimals by Stripe,
//! <https://docs.stripe.com/currencies>.

use std::collections::BTreeMap;

use docket_tests::{App, Person, eventually};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::payments::{stripe, text};

/// Code, decimals by ISO 4217, decimals at Stripe.
const BOTH_TWO: &str = "\
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CNY COP CRC CVE CZK DKK DOP \
    DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR JMD KES KGS KHR KYD KZT LAK LBP LKR LRD LSL \
    MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD \
    SCR SEK SGD SHP SLE SOS SRD SZL THB TJS TOP TRY TTD TWD TZS UAH USD UYU UZS WST XCD YER ZAR ZMW";
const NONE_AT_BOTH: &str = "BIF CLP DJF GNF JPY KMF KRW PYG RWF VND VUV XAF XOF XPF";
const THREE_AT_BOTH: &str = "BHD JOD KWD OMR TND";
const NONE_BUT_TWO_AT_STRIPE: &str = "ISK UGX";
const TWO_BUT_NONE_AT_STRIPE: &str = "MGA";

/// Currencies that ISO 4217 has, and Stripe does not charge.
const NOT_CHARGED: [&str; 8] = ["IRR", "KPW", "CUP", "SYP", "IQD", "LYD", "XAU", "CLF"];

fn table() -> BTreeMap<String, (usize, u32)> {
    let rows = [
        (BOTH_TWO, 2, 2),
        (NONE_AT_BOTH, 0, 0),
        (THREE_AT_BOTH, 3, 3),
        (NONE_BUT_TWO_AT_STRIPE, 0, 2),
        (TWO_BUT_NONE_AT_STRIPE, 2, 0),
    ];
    let of = |(codes, iso, stripe): (&'static str, usize, u32)| {
        codes.split_ascii_whitespace().map(move |code| (code.to_ascii_lowercase(), (iso, stripe)))
    };
    rows.into_iter().flat_map(of).collect()
}

/// A price with all the decimals that can be charged, above every smallest charge.
fn price(iso: usize, stripe: u32) -> &'static str {
    match (iso, stripe) {
        (2, 0) => "7654.00",
        (2, _) => "7654.98",
        (3, _) => "7654.980",
        _ => "7654",
    }
}

/// So many units at Stripe, counted with the digits of the decimal number.
fn units(decimal: &str, stripe: u32) -> i64 {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let fraction: String = fraction.chars().chain("000".chars()).take(usize::try_from(stripe).unwrap()).collect();
    format!("{whole}{fraction}").parse().unwrap()
}

/// Twice the price.
fn double(iso: usize, stripe: u32) -> &'static str {
    match (iso, stripe) {
        (2, 0) => "15308.00",
        (2, _) => "15309.96",
        (3, _) => "15309.960",
        _ => "15308",
    }
}

struct Shop {
    app: App,
    seller: Person,
    buyer: Person,
}

impl Shop {
    async fn list(&self, currency: &str, price: &str) -> docket_tests::Answer {
        let ticket = json!({ "title": "Friday", "price": price, "currency": currency, "quantity": 5 });
        self.seller.list(ticket).await
    }

    async fn charges(&self, order: &Value) -> Value {
        let path = format!("/test/charges?metadata[order]={}", text(&order["id"]));
        stripe(&self.app).get(&path).await.expect(200)
    }

    /// Sells two places of a show in this currency and gives one of them back. Says what is not the same amount.
    async fn trade(&self, currency: &str, iso: usize, at_stripe: u32) -> Vec<String> {
        let (one, two) = (price(iso, at_stripe), double(iso, at_stripe));
        let mut wrong = Vec::new();
        let mut same = |what: &str, shown: &str, expected: &str| {
            if shown != expected {
                wrong.push(format!("{currency}: {what} {shown} instead of {expected}"));
            }
        };
        let ticket = self.list(currency, one).await;
        if ticket.status != 201 {
            return vec![format!("{currency}: {}", ticket.body)];
        }
        let ticket = ticket.body;
        same("listed at", text(&ticket["price"]), one);
        let order = self.buyer.hold(&ticket, 2).await.expect(201);
        same("held at", text(&order["price"]), one);
        same("held for", text(&order["total"]), two);
        let paid = self.buyer.pay(&order, "pm_card_visa").await;
        if paid.status != 201 {
            return vec![format!("{currency}: {}", paid.body)];
        }
        same("paid", text(&paid.body["amount"]), two);
        self.buyer.until_order(&order, "complete").await;
        let charged = self.charges(&order).await;
        same("charged", &charged["captured"].to_string(), &units(two, at_stripe).to_string());
        same("charged in", text(&charged["charges"][0]["currency"]), currency);
        let refunds = format!("/api/payments/{}/refunds", text(&order["id"]));
        let back = self.seller.post(&refunds, json!({ "amount": one })).await.expect(201);
        same("given back", text(&back["refunded"]), one);
        same("gone back", &self.charges(&order).await["refunded"].to_string(), &units(one, at_stripe).to_string());
        let sums = format!("/api/orders/sales/{}", text(&ticket["id"]));
        let revenue = eventually("the refund is in the sums", 30, || async {
            let revenue = self.seller.get(&sums).await.expect(200)["revenue"].clone();
            (revenue != two).then_some(revenue)
        });
        same("revenue", text(&revenue.await), one);
        let csv = self.seller.get(&format!("{sums}/orders.csv")).await.expect(200);
        let line: Vec<&str> = text(&csv).lines().nth(1).unwrap().split(',').collect();
        let page = self.seller.get(&format!("/tickets/{}", text(&ticket["id"]))).await.expect(200);
        same("on the page", &amounts_on(text(&page), one), one);
        same("in the table", &line[4..8].join(","), &format!("{one},{two},{one},{currency}"));
        wrong
    }
}

/// The amount itself, if a page shows its digits with no other digit beside them, else nothing. Between the digits of one amount
/// there are signs that group them or stand before the decimals.
fn amounts_on(page: &str, amount: &str) -> String {
    let digits: String = amount.chars().filter(char::is_ascii_digit).collect();
    let between = |letter: char| matches!(letter, '.' | ',' | '\'' | '\u{2019}' | '\u{a0}' | '\u{202f}');
    let shown: String = page.chars().filter(|letter| !between(*letter)).collect();
    let is_shown = shown.split(|letter: char| !letter.is_ascii_digit()).any(|number| number == digits);
    if is_shown { amount.to_owned() } else { String::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_is_the_same_everywhere_in_every_currency() {
    let app = App::start().await;
    let shop = Shop { seller: app.sign_up().await, buyer: app.sign_up().await, app };
    let table = table();
    let trades =
        futures::stream::iter(&table).map(|(currency, (iso, at_stripe))| shop.trade(currency, *iso, *at_stripe));
    let wrong: Vec<Vec<String>> = trades.buffer_unordered(3).collect().await;
    assert_eq!(wrong.concat(), Vec::<String>::new());
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_charged_is_not_listed() {
    let app = App::start().await;
    let shop = Shop { seller: app.sign_up().await, buyer: app.sign_up().await, app };
    for currency in NOT_CHARGED {
        shop.list(currency, "50").await.refuses("currency");
    }
    for (currency, price) in [("usd", "0.49"), ("huf", "174.99"), ("kwd", "5.125"), ("mga", "0.50"), ("eur", "1000000")]
    {
        shop.list(currency, price).await.refuses("price");
    }
    let dear = shop.list("eur", "600000").await.expect(201);
    shop.buyer.hold(&dear, 2).await.refuses("quantity");
    shop.buyer.hold(&dear, 1).await.expect(201);
    let ticket = shop.list("kwd", "5.120").await.expect(201);
    let order = shop.buyer.hold(&ticket, 1).await.expect(201);
    shop.buyer.pay(&order, "pm_card_visa").await.expect(201);
    let refunds = format!("/api/payments/{}/refunds", text(&order["id"]));
    shop.seller.post(&refunds, json!({ "amount": "0.005" })).await.refuses("amount");
    shop.app.stop().await;
}
