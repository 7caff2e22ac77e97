//! Disputes: a buyer's bank takes the money back until it has decided, and everybody's sums say the same.

use docket_tests::{App, Person, eventually};
use serde_json::{Value, json};

use crate::payments::{intent_of, path, stripe, text, until_payment};

/// A listing of ten places, of which two orders of one place are paid.
struct Shop {
    app: App,
    seller: Person,
    buyer: Person,
    ticket: Value,
    order: Value,
    other: Value,
}

impl Shop {
    async fn open() -> Self {
        let app = App::start().await;
        let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
        let ticket = seller.sell(10).await;
        let order = buyer.buy(&ticket, 1).await;
        let other = buyer.buy(&ticket, 1).await;
        Self { app, seller, buyer, ticket, order, other }
    }

    /// The buyer complains at the bank. Answers the dispute's id.
    async fn dispute(&self, complaint: Value) -> String {
        let intent = intent_of(&self.app, &self.order).await;
        let dispute = stripe(&self.app).post(&format!("/test/payment_intents/{intent}/dispute"), complaint).await;
        text(&dispute.expect(200)["id"]).to_owned()
    }

    async fn decide(&self, dispute: &str, status: &str) {
        let decision = json!({ "status": status });
        stripe(&self.app).post(&format!("/test/disputes/{dispute}/close"), decision).await.expect(200);
    }

    async fn until_dispute(&self, standing: &str) {
        eventually(&format!("the dispute is {standing}"), 30, || async {
            (self.seller.get(&order_path(&self.order)).await.expect(200)["dispute"] == standing).then_some(())
        })
        .await;
    }

    async fn sums(&self) -> Value {
        self.seller.get(&format!("/api/orders/sales/{}", text(&self.ticket["id"]))).await.expect(200)
    }

    /// The order's line in the seller's table, by column.
    async fn cell(&self, column: &str) -> String {
        let csv =
            self.seller.get(&format!("/api/orders/sales/{}/orders.csv", text(&self.ticket["id"]))).await.expect(200);
        let mut lines = text(&csv).lines().map(|line| line.split(',').collect::<Vec<_>>());
        let at = lines.next().unwrap().iter().position(|name| *name == column).unwrap();
        lines.find(|cells| cells[0] == text(&self.order["id"])).unwrap()[at].to_owned()
    }

    /// What the bank has on its books for the order.
    async fn books(&self) -> Value {
        let charges = format!("/test/charges?metadata[order]={}", text(&self.order["id"]));
        stripe(&self.app).get(&charges).await.expect(200)
    }
}

fn order_path(order: &Value) -> String {
    format!("/api/orders/{}", text(&order["id"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_payment_is_disputed_nobody_gives_it_back_and_everybody_sees_it() {
    let shop = Shop::open().await;
    shop.dispute(json!({ "reason": "fraudulent" })).await;
    shop.until_dispute("open").await;
    let payment = shop.seller.get(&path(&shop.order)).await.expect(200);
    assert_eq!((&payment["dispute"], &payment["disputeReason"]), (&json!("open"), &json!("fraudulent")));
    shop.buyer.delete(&order_path(&shop.order)).await.problem(409, "disputed");
    shop.seller.post(&format!("{}/refunds", path(&shop.order)), json!({})).await.problem(409, "disputed");
    assert_eq!(shop.buyer.get(&order_path(&shop.order)).await.expect(200)["status"], "complete");
    let sums = shop.sums().await;
    assert_eq!(sums["disputes"], json!({ "open": 1, "openTotal": "19.99", "won": 0, "lost": 0 }));
    assert_eq!((&sums["revenue"], shop.cell("dispute").await.as_str()), (&json!("39.98"), "open"));
    let admin = shop.app.admin().await;
    assert_eq!(admin.get(&order_path(&shop.order)).await.expect(200)["dispute"], "open");
    shop.buyer.delete(&order_path(&shop.other)).await.expect(200);
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_dispute_is_no_revenue_and_its_passes_are_void() {
    let shop = Shop::open().await;
    let dispute = shop.dispute(json!({})).await;
    shop.until_dispute("open").await;
    shop.decide(&dispute, "lost").await;
    let order = shop.buyer.until_order(&shop.order, "refunded").await;
    assert_eq!((&order["refundReason"], &order["dispute"]), (&json!("charged_back"), &json!("lost")));
    until_payment(&shop.seller, &shop.order, "refunded").await;
    assert_eq!(shop.buyer.passes(&shop.order).await, Vec::<Value>::new());
    shop.seller.until_counts(&shop.ticket, 0, 1).await;
    let sums = shop.sums().await;
    assert_eq!((&sums["revenue"], &sums["disputes"]["lost"]), (&json!("19.99"), &json!(1)));
    assert_eq!((shop.cell("refunded").await, shop.cell("dispute").await), ("19.99".to_owned(), "lost".to_owned()));
    shop.buyer.delete(&order_path(&shop.order)).await.expect(200);
    let books = shop.books().await;
    assert_eq!((&books["charged_back"], &books["refunded"]), (&json!(1999), &json!(0)), "it went back once");
    shop.app.stop().await;
}

/// The bank took a little less than was paid, as where it counts in another currency, and Stripe gives nothing of such a charge back.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_which_the_bank_left_a_little_comes_to_its_end() {
    let shop = Shop::open().await;
    let dispute = shop.dispute(json!({ "amount": 1990 })).await;
    shop.until_dispute("open").await;
    shop.decide(&dispute, "lost").await;
    shop.until_dispute("lost").await;
    assert_eq!(shop.buyer.get(&order_path(&shop.order)).await.expect(200)["status"], "complete", "a part was disputed");
    shop.buyer.delete(&order_path(&shop.order)).await.expect(200);
    shop.buyer.until_order(&shop.order, "refunded").await;
    until_payment(&shop.seller, &shop.order, "refunded").await;
    shop.seller.until_counts(&shop.ticket, 0, 1).await;
    let told = (shop.sums().await["revenue"].clone(), shop.cell("refunded").await);
    assert_eq!(told, (json!("19.99"), "19.90".to_owned()), "the other order, and what the bank took");
    shop.app.stop().await;
}

/// No webhook told of it, and nobody wants the money back.
#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_whose_webhooks_are_lost_is_found() {
    let mut shop = Shop::open().await;
    shop.app.stop_serving().await;
    shop.app.lose_webhooks();
    let dispute = shop.dispute(json!({})).await;
    shop.decide(&dispute, "lost").await;
    shop.app.serve_again().await;
    let (buyer, seller) = (shop.buyer.at(&shop.app.base()), shop.seller.at(&shop.app.base()));
    buyer.until_order(&shop.order, "refunded").await;
    until_payment(&seller, &shop.order, "refunded").await;
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_won_dispute_all_is_as_it_was() {
    let shop = Shop::open().await;
    let dispute = shop.dispute(json!({})).await;
    shop.until_dispute("open").await;
    shop.decide(&dispute, "won").await;
    shop.until_dispute("won").await;
    assert_eq!((&shop.sums().await["revenue"], shop.cell("status").await.as_str()), (&json!("39.98"), "complete"));
    shop.buyer.delete(&order_path(&shop.order)).await.expect(200);
    shop.buyer.until_order(&shop.order, "refunded").await;
    assert_eq!(shop.books().await["refunded"], 1999);
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_bank_only_asks_the_money_can_go_back() {
    let shop = Shop::open().await;
    shop.dispute(json!({ "inquiry": true })).await;
    shop.until_dispute("inquiry").await;
    assert_eq!(shop.sums().await["disputes"]["openTotal"], "19.99");
    shop.buyer.delete(&order_path(&shop.order)).await.expect(200);
    shop.buyer.until_order(&shop.order, "refunded").await;
    let sums = shop.sums().await;
    assert_eq!((&sums["revenue"], &sums["disputes"]["openTotal"]), (&json!("19.99"), &json!("0.00")));
    shop.app.stop().await;
}

/// The buyer cancels before anybody here has heard of the dispute: Stripe refuses the refund, and it waits for the bank.
async fn cancelled_before_the_dispute_was_known() -> (Shop, String) {
    let shop = Shop::open().await;
    let hold_back = json!({ "hold": true });
    stripe(&shop.app).post("/test/webhooks/mode", hold_back).await.expect(204);
    let dispute = shop.dispute(json!({})).await;
    shop.buyer.delete(&order_path(&shop.order)).await.expect(200);
    shop.until_dispute("open").await;
    assert_eq!(shop.buyer.get(&order_path(&shop.order)).await.expect(200)["status"], "refunding");
    stripe(&shop.app).post("/test/webhooks/mode", json!({})).await.expect(204);
    (shop, dispute)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_met_a_dispute_is_made_once_when_the_dispute_is_won() {
    let (shop, dispute) = cancelled_before_the_dispute_was_known().await;
    shop.decide(&dispute, "won").await;
    shop.buyer.until_order(&shop.order, "refunded").await;
    let refunds = shop.seller.get(&path(&shop.order)).await.expect(200)["refunds"].clone();
    assert_eq!(refunds.as_array().map(Vec::len), Some(2), "one was refused, and one was made: {refunds}");
    let books = shop.books().await;
    assert_eq!((&books["refunded"], &books["charged_back"]), (&json!(1999), &json!(0)));
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_met_a_dispute_is_not_made_when_the_dispute_is_lost() {
    let (shop, dispute) = cancelled_before_the_dispute_was_known().await;
    shop.decide(&dispute, "lost").await;
    let order = shop.buyer.until_order(&shop.order, "refunded").await;
    assert_eq!(order["refundReason"], "buyer_request");
    let books = shop.books().await;
    assert_eq!((&books["refunded"], &books["charged_back"]), (&json!(0), &json!(1999)), "it went back once");
    assert_eq!(shop.sums().await["revenue"], "19.99");
    shop.app.stop().await;
}

/// What an earlier build leaves, which notes no more of a dispute than why there is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_an_earlier_build_noted_keeps_no_refund_waiting_for_ever() {
    let shop = Shop::open().await;
    let hold_back = json!({ "hold": true });
    stripe(&shop.app).post("/test/webhooks/mode", hold_back).await.expect(204);
    let dispute = shop.dispute(json!({})).await;
    shop.decide(&dispute, "won").await;
    let payments = shop.app.database("payments").await.collection::<bson::Document>("payments");
    let noted = bson::doc! { "$set": { "dispute": "fraudulent", "attentionAt": null } };
    let noted = payments.update_one(bson::doc! { "_id": text(&shop.order["id"]) }, noted).await.unwrap();
    assert_eq!(noted.matched_count, 1);
    shop.buyer.delete(&order_path(&shop.order)).await.expect(200);
    shop.buyer.until_order(&shop.order, "refunded").await;
    assert_eq!(shop.books().await["refunded"], 1999);
    shop.app.stop().await;
}
