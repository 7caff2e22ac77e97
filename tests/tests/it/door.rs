//! The door: check-in is of one show, an accident can be undone, and who is inside keeps the seat.

use docket_tests::{App, Person, eventually};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::payments::text;

pub(crate) const CHECK_IN: &str = "/api/passes/check-in";
pub(crate) const UNDO: &str = "/api/passes/undo";

/// Puts an evening on sale.
async fn show(seller: &Person, title: &str, quantity: u32) -> Value {
    let listing = json!({ "title": title, "price": "19.99", "quantity": quantity, "venue": "Pier 9",
        "startsAt": "2099-12-05T19:00:00Z", "timeZone": "Europe/Rome", "refundPolicy": "always" });
    seller.list(listing).await.expect(201)
}

async fn codes(buyer: &Person, order: &Value) -> Vec<Value> {
    buyer.passes(order).await.into_iter().map(|pass| pass["code"].clone()).collect()
}

async fn scan(door: &Person, ticket: &Value, code: &Value) -> docket_tests::Answer {
    door.post(CHECK_IN, json!({ "code": code, "ticketId": ticket["id"] })).await
}

pub(crate) fn undo_of(admitted: &Value) -> Value {
    json!({ "orderId": admitted["orderId"], "passId": admitted["passId"], "checkedInAt": admitted["checkedInAt"] })
}

async fn sums(seller: &Person, ticket: &Value) -> Value {
    seller.get(&format!("/api/orders/sales/{}", text(&ticket["id"]))).await.expect(200)
}

async fn check_ins(seller: &Person, order: &Value) -> Value {
    seller.get(&format!("/api/orders/{}/check-ins", text(&order["id"]))).await.expect(200)
}

async fn give_all_back(seller: &Person, buyer: &Person, order: &Value) {
    let refunds = format!("/api/payments/{}/refunds", text(&order["id"]));
    seller.post(&refunds, json!({})).await.expect(201);
    buyer.until_order(order, "refunded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_of_another_show_is_refused_and_says_which_it_is_for() {
    let app = App::start().await;
    let (seller, other, buyer) = (app.sign_up().await, app.sign_up().await, app.sign_up().await);
    let (tonight, jazz) = (show(&seller, "Tonight", 5).await, show(&seller, "Jazz night", 5).await);
    let elsewhere = show(&other, "Elsewhere", 5).await;
    let order = buyer.buy(&jazz, 2).await;
    let codes = codes(&buyer, &order).await;
    let refused = scan(&seller, &tonight, &codes[0]).await.problem(409, "other_show");
    let told = ["title", "startsAt", "timeZone", "venue", "ticketId", "number", "of"].map(|fact| refused[fact].clone());
    let expected = json!(["Jazz night", "2099-12-05T19:00:00.000Z", "Europe/Rome", "Pier 9", jazz["id"], 1, 2]);
    assert_eq!(json!(told), expected);
    assert_eq!(sums(&seller, &jazz).await["checkedIn"], 0, "nobody was admitted");

    scan(&seller, &jazz, &codes[0]).await.expect(200);
    seller.post(CHECK_IN, json!({ "code": codes[1] })).await.expect(200);
    // A pass of somebody else's show is none of this seller's business, whatever show they name.
    let foreign = buyer.buy(&elsewhere, 1).await;
    let foreign = self::codes(&buyer, &foreign).await.remove(0);
    for ticket in [&tonight, &elsewhere] {
        scan(&seller, ticket, &foreign).await.problem(404, "not_found");
    }
    seller.post(CHECK_IN, json!({ "code": foreign, "ticketId": "x" })).await.refuses("ticketId");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_is_void_says_what_became_of_its_order() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = show(&seller, "Jazz night", 5).await;
    let free = json!({ "title": "Open day", "price": "0", "quantity": 5, "refundPolicy": "always" });
    let free = seller.list(free).await.expect(201);
    let refunded = buyer.buy(&ticket, 1).await;
    let code = codes(&buyer, &refunded).await.remove(0);
    give_all_back(&seller, &buyer, &refunded).await;
    let void = scan(&seller, &ticket, &code).await.problem(409, "pass_void");
    assert_eq!((&void["orderStatus"], &void["refundReason"]), (&json!("refunded"), &json!("seller_granted")));
    let given_up = buyer.hold(&free, 1).await.expect(201);
    buyer.until_order(&given_up, "complete").await;
    let code = codes(&buyer, &given_up).await.remove(0);
    buyer.delete(&format!("/api/orders/{}", text(&given_up["id"]))).await.expect(200);
    let void = scan(&seller, &free, &code).await.problem(409, "pass_void");
    assert_eq!((&void["orderStatus"], &void["refundReason"]), (&json!("cancelled"), &Value::Null));
    app.stop().await;
}

/// A seller who is disabled cannot open the door any more.
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_can_open_any_door() {
    let app = App::start().await;
    let (seller, buyer, admin) = (app.sign_up().await, app.sign_up().await, app.admin().await);
    let ticket = show(&seller, "Jazz night", 5).await;
    let order = buyer.buy(&ticket, 1).await;
    let code = codes(&buyer, &order).await.remove(0);
    admin.post(&format!("/api/users/{}/disable", text(&seller.id)), Value::Null).await.expect(200);
    let admitted = scan(&admin, &ticket, &code).await.expect(200);
    admin.post(UNDO, undo_of(&admitted)).await.expect(200);
    let admitted = scan(&admin, &ticket, &code).await.expect(200);
    for stranger in [&buyer, &app.sign_up().await] {
        scan(stranger, &ticket, &code).await.problem(404, "not_found");
        stranger.post(UNDO, undo_of(&admitted)).await.problem(404, "not_found");
        stranger.get(&format!("/api/orders/{}/check-ins", text(&order["id"]))).await.problem(404, "not_found");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accidental_admission_is_undone_once_and_the_audit_says_by_whom() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = show(&seller, "Jazz night", 5).await;
    let order = buyer.buy(&ticket, 1).await;
    let code = codes(&buyer, &order).await.remove(0);
    let wanted = json!({ "code": code, "ticketId": ticket["id"], "place": "north door" });
    let admitted = seller.post(CHECK_IN, wanted).await.expect(200);
    let first = undo_of(&admitted);
    let twice = join_all([seller.post(UNDO, first.clone()), seller.post(UNDO, first.clone())]).await;
    let undone: Vec<Value> = twice.into_iter().map(|answer| answer.expect(200)).collect();
    assert_eq!(undone[0], undone[1]);
    assert_eq!((&undone[0]["undoneBy"], &undone[0]["place"]), (&json!(seller.id), &json!("north door")));
    assert_eq!(sums(&seller, &ticket).await["checkedIn"], 0);

    // It admits again, and what comes late does not undo that.
    let again = scan(&seller, &ticket, &code).await.expect(200);
    assert_ne!(again["checkedInAt"], admitted["checkedInAt"]);
    assert_eq!(seller.post(UNDO, first).await.expect(200), undone[0], "the first was undone, once");
    assert_eq!(sums(&seller, &ticket).await["checkedIn"], 1);
    let never = json!({ "orderId": order["id"], "passId": again["passId"], "checkedInAt": "2001-01-01T00:00:00Z" });
    let refused = seller.post(UNDO, never).await.problem(409, "not_checked_in");
    assert_eq!(refused["checkedInAt"], again["checkedInAt"]);
    seller.post(UNDO, json!({ "orderId": order["id"] })).await.refuses("passId");

    let audit = check_ins(&seller, &order).await;
    assert_eq!((&audit["undone"], audit["items"].as_array().map(Vec::len)), (&json!(undone[..1]), Some(1)));
    let event = eventually("the event", 20, || async {
        let published = app.published("orders").await;
        published.into_iter().find(|event| event.name == "pass.check-in-undone")
    })
    .await;
    let told: Value = serde_json::from_str(&event.payload).unwrap();
    let facts = [&told["by"], &told["checkedInBy"], &told["checkedInAt"], &told["place"], &told["passId"]];
    let expected =
        [&json!(seller.id), &json!(seller.id), &admitted["checkedInAt"], &admitted["place"], &admitted["passId"]];
    assert_eq!(facts, expected);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_was_undone_admits_nobody_when_it_comes_again() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = show(&seller, "Jazz night", 5).await;
    let order = buyer.buy(&ticket, 1).await;
    let scan = json!({ "code": codes(&buyer, &order).await[0], "ticketId": ticket["id"] });
    let key = [("idempotency-key", "scan-1")];
    let admitted = seller.send(Method::POST, CHECK_IN, &key, scan.clone()).await.expect(200);
    let again = seller.send(Method::POST, CHECK_IN, &key, scan.clone()).await.expect(200);
    assert_eq!(again, admitted, "its answer was lost");
    seller.post(UNDO, undo_of(&admitted)).await.expect(200);
    seller.send(Method::POST, CHECK_IN, &key, scan.clone()).await.problem(409, "check_in_undone");
    // Also where its record was lost.
    let records = app.database("orders").await.collection::<bson::Document>("idempotency");
    let lost = bson::doc! { "$set": { "answer": bson::Bson::Null, "leaseUntil": bson::DateTime::from_millis(0) } };
    records.update_many(bson::doc! { "_id": { "$gt": "" } }, lost).await.unwrap();
    seller.send(Method::POST, CHECK_IN, &key, scan).await.problem(409, "check_in_undone");
    assert_eq!(sums(&seller, &ticket).await["checkedIn"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_inside_keeps_the_seat_until_the_organiser_gives_it_free() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = show(&seller, "Jazz night", 3).await;
    let order = buyer.buy(&ticket, 3).await;
    let codes = codes(&buyer, &order).await;
    let admitted = scan(&seller, &ticket, &codes[0]).await.expect(200);
    give_all_back(&seller, &buyer, &order).await;

    // The two who have not come have no seats any more; the one inside has.
    let seen = seller.until_counts(&ticket, 0, 1).await;
    assert_eq!(seen["available"], 2);
    let of_sale = sums(&seller, &ticket).await;
    assert_eq!((&of_sale["sold"], &of_sale["checkedIn"]), (&json!(1), &json!(1)), "{of_sale}");
    assert_eq!(check_ins(&seller, &order).await["stillTaken"], 1);
    buyer.hold(&ticket, 3).await.problem(409, "sold_out");
    let void = scan(&seller, &ticket, &codes[0]).await.problem(409, "pass_void");
    assert_eq!(void["checkedInAt"], admitted["checkedInAt"], "what the organiser needs to give the seat free");

    let release = json!({ "orderId": void["orderId"], "passId": void["passId"], "checkedInAt": void["checkedInAt"] });
    let twice = join_all([seller.post(UNDO, release.clone()), seller.post(UNDO, release.clone())]).await;
    twice.into_iter().for_each(|answer| drop(answer.expect(200)));
    seller.until_counts(&ticket, 0, 0).await;
    seller.post(UNDO, release).await.expect(200);
    let (of_sale, order) = (sums(&seller, &ticket).await, check_ins(&seller, &order).await);
    assert_eq!((&of_sale["checkedIn"], &order["stillTaken"]), (&json!(0), &json!(0)));
    buyer.hold(&ticket, 3).await.expect(201);
    seller.until_counts(&ticket, 3, 0).await;
    app.stop().await;
}

/// The seats of a show whose money the banks took back.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_inside_keeps_the_seat_also_if_the_bank_took_the_money_back() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = show(&seller, "Jazz night", 2).await;
    let order = buyer.buy(&ticket, 2).await;
    scan(&seller, &ticket, &codes(&buyer, &order).await[0]).await.expect(200);
    let intent = crate::payments::intent_of(&app, &order).await;
    let bank = crate::payments::stripe(&app);
    let dispute = bank.post(&format!("/test/payment_intents/{intent}/dispute"), json!({})).await.expect(200);
    let lost = json!({ "status": "lost" });
    bank.post(&format!("/test/disputes/{}/close", text(&dispute["id"])), lost).await.expect(200);
    buyer.until_order(&order, "refunded").await;
    seller.until_counts(&ticket, 0, 1).await;
    app.stop().await;
}

/// By the words of docs/passes.md, with nothing but the public key.
#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_without_a_connection_tells_a_good_code() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let (ticket, other) = (show(&seller, "Jazz night", 5).await, show(&seller, "Tonight", 5).await);
    let order = buyer.buy(&ticket, 2).await;
    let keys = app.visitor().get("/api/passes/keys").await.expect(200);
    let key = data_encoding::BASE64URL_NOPAD.decode(text(&keys["keys"][0]["x"]).as_bytes()).unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key.try_into().unwrap()).unwrap();
    let uuid = |thing: &Value| text(&thing["id"]).parse::<uuid::Uuid>().unwrap().into_bytes();
    for (code, number) in codes(&buyer, &order).await.iter().zip(1..) {
        let bytes = text(code).strip_prefix("D1:").unwrap();
        let bytes = data_encoding::BASE32_NOPAD.decode(bytes.as_bytes()).unwrap();
        assert_eq!((bytes.len(), &bytes[..16], bytes[16]), (81, &uuid(&order)[..], number));
        let signature = ed25519_dalek::Signature::from_slice(&bytes[17..]).unwrap();
        let good = |ticket: &Value| {
            let signed = [&b"docket pass 1\0"[..], &uuid(ticket), &bytes[..17]].concat();
            key.verify_strict(&signed, &signature).is_ok()
        };
        assert!(good(&ticket) && !good(&other), "it is a pass of one show");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_an_earlier_build_issued_is_good_at_the_same_door() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let (ticket, other) = (show(&seller, "Jazz night", 5).await, show(&seller, "Tonight", 5).await);
    let order = buyer.buy(&ticket, 1).await;
    let database = app.database("orders").await;
    let stored = database.collection::<bson::Document>("pass_keys").find_one(bson::doc! { "_id": "current" }).await;
    let stored = stored.unwrap().unwrap();
    let key = common::signing::SigningKey::from_pkcs8(stored.get_binary_generic("pkcs8").unwrap()).unwrap();
    let pass = buyer.passes(&order).await.remove(0);
    let claims = json!({ "jti": pass["id"], "order": order["id"], "ticket": ticket["id"] });
    let token = json!(key.sign("pass+jwt", &claims).unwrap());
    scan(&seller, &other, &token).await.problem(409, "other_show");
    scan(&seller, &ticket, &token).await.expect(200);
    scan(&seller, &ticket, &pass["code"]).await.problem(409, "already_checked_in");
    // Its order has no short code, and nobody is shown one.
    let orders = database.collection::<bson::Document>("orders");
    let none = bson::doc! { "$unset": { "shortCode": "" } };
    orders.update_one(bson::doc! { "_id": text(&order["id"]) }, none).await.unwrap();
    assert_eq!(buyer.passes(&order).await[0]["shortCode"], Value::Null);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_code_is_good_at_its_own_door_only() {
    let app = App::start().await;
    let (seller, other, buyer) = (app.sign_up().await, app.sign_up().await, app.sign_up().await);
    let (ticket, tonight) = (show(&seller, "Jazz night", 5).await, show(&seller, "Tonight", 5).await);
    let order = buyer.buy(&ticket, 2).await;
    let short = |nth: usize| {
        let buyer = buyer.clone();
        let order = order.clone();
        async move { text(&buyer.passes(&order).await[nth]["shortCode"]).to_owned() }
    };
    let (first, second) = (short(0).await, short(1).await);
    assert!(first.len() == 13 && first.ends_with("-1") && second.ends_with("-2"), "{first}, {second}");
    seller.post(CHECK_IN, json!({ "code": first })).await.refuses("ticketId");
    scan(&seller, &tonight, &json!(first)).await.refuses("code");
    scan(&other, &ticket, &json!(first)).await.problem(404, "not_found");
    scan(&seller, &ticket, &json!(first.replace("-1", "-3"))).await.refuses("code");
    let admitted = scan(&seller, &ticket, &json!(first.to_lowercase().replace('-', " "))).await.expect(200);
    assert_eq!((&admitted["number"], &admitted["shortCode"]), (&json!(1), &json!(first)));
    let again = scan(&seller, &ticket, &json!(first)).await.problem(409, "already_checked_in");
    assert_eq!((&again["shortCode"], &again["title"]), (&json!(first), &json!("Jazz night")));
    scan(&seller, &ticket, &json!(second.replace('-', ""))).await.expect(200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_code_that_two_orders_share_admits_nobody() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = show(&seller, "Jazz night", 5).await;
    let (one, two) = (buyer.buy(&ticket, 1).await, buyer.buy(&ticket, 1).await);
    let orders = app.database("orders").await.collection::<bson::Document>("orders");
    let same = bson::doc! { "$set": { "shortCode": "K7QM29XD4R" } };
    let both = bson::doc! { "_id": { "$in": [text(&one["id"]), text(&two["id"])] } };
    assert_eq!(orders.update_many(both, same).await.unwrap().modified_count, 2);
    scan(&seller, &ticket, &json!("K7QM2-9XD4R-1")).await.problem(409, "short_code_shared");
    assert_eq!(sums(&seller, &ticket).await["checkedIn"], 0);
    scan(&seller, &ticket, &codes(&buyer, &one).await[0]).await.expect(200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_code_is_found_by_its_index() {
    use futures::TryStreamExt as _;
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = show(&seller, "Jazz night", 20).await;
    let mut orders = Vec::new();
    for _ in 0..8 {
        orders.push(buyer.buy(&ticket, 1).await);
    }
    let short = buyer.passes(&orders[3]).await[0]["shortCode"].clone();
    let database = app.database("orders").await;
    database.run_command(bson::doc! { "profile": 2 }).await.unwrap();
    scan(&seller, &ticket, &short).await.expect(200);
    database.run_command(bson::doc! { "profile": 0 }).await.unwrap();
    let asked =
        bson::doc! { "ns": format!("{}.orders", database.name()), "command.filter.shortCode": { "$exists": true } };
    let profile = database.collection::<bson::Document>("system.profile");
    let asked: Vec<bson::Document> = profile.find(asked).await.unwrap().try_collect().await.unwrap();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let count = |name: &str| asked[0].get_i32(name).unwrap();
    assert_eq!((count("keysExamined"), count("docsExamined"), count("nreturned")), (1, 1, 1), "{asked:?}");
    app.stop().await;
}
