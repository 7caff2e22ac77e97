//! Who may sell, and what becomes of what somebody has on sale whose account is closed.

use bson::{Document, doc};
use common::telemetry::stopwatch;
use docket_tests::{Answer, App, Person, eventually};
use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream;
use serde_json::{Value, json};

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

fn show() -> Value {
    json!({ "title": "Friday evening", "price": "19.99", "quantity": 5 })
}

async fn close(admin: &Person, seller: &Person) {
    admin.post(&format!("/api/users/{}/disable", seller.id.as_str().unwrap()), Value::Null).await.expect(200);
}

/// A seller with a confirmed address.
async fn seller(app: &App) -> Person {
    let seller = app.sign_up().await;
    seller.confirm().await;
    seller
}

async fn refuses(buyer: &Person, ticket: &Value) -> bool {
    let answer = buyer.hold(ticket, 1).await;
    answer.status == 409 && answer.body["code"] == "not_on_sale"
}

/// How many listings of a seller are on sale, as the catalogue's documents have it.
async fn on_sale_of(app: &App, seller: &Person) -> u64 {
    let listings = app.database("tickets").await.collection::<Document>("tickets");
    let on_sale = doc! { "sellerId": seller.id.as_str().unwrap(), "suspended": { "$ne": true } };
    listings.count_documents(on_sale).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_closed_account_sells_goes_off_sale_and_what_was_sold_stays() {
    let app = App::start().await;
    let (admin, seller, buyer) = (app.admin().await, seller(&app).await, app.sign_up().await);
    let (one, other) = (seller.sell(5).await, seller.sell(5).await);
    let bought = buyer.buy(&one, 2).await;
    let held = buyer.hold(&one, 1).await.expect(201);
    buyer.hold(&other, 1).await.expect(201);

    let closed = stopwatch();
    close(&admin, &seller).await;
    for ticket in [&one, &other] {
        eventually("holds are refused", 10, || async { refuses(&buyer, ticket).await.then_some(()) }).await;
    }
    eprintln!("its account closed, a seller's listings are off sale after {:.2} s", closed.elapsed().as_secs_f64());
    let visitor = app.visitor();
    eventually("the catalogue lists none of it", 10, || async {
        visitor.get("/api/tickets").await.expect(200)["items"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    let shown = eventually("its page says so", 10, || async {
        let shown = visitor.get(&format!("/api/tickets/{}", id(&one))).await.expect(200);
        // What is held and sold is told by the inventory, perhaps later.
        (shown["onSale"] == false && shown["sold"] == 2).then_some(shown)
    })
    .await;
    assert!(shown["held"].as_u64() >= Some(1), "{shown}");
    let page = visitor.get(&format!("/tickets/{}", id(&one))).await.expect(200);
    assert!(page.as_str().unwrap().contains("No longer on sale"), "{page}");

    assert_eq!(buyer.passes(&bought).await.len(), 2);
    buyer.pay(&held, "pm_card_visa").await.expect(201);
    buyer.until_order(&held, "complete").await;
    admin.get(&format!("/api/orders/sales/{}", id(&one))).await.expect(200);
    app.stop().await;
}

/// Whichever comes second, the listing or the note that the account was closed, finds the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_is_made_while_the_account_is_closed_is_not_on_sale() {
    let app = App::with(|settings| settings.posts_per_second = 0).await;
    let (admin, sellers) = (app.admin().await, join_all((0..4).map(|_| seller(&app))).await);
    for seller in &sellers {
        let makes = stream::iter(0..60).map(|_| seller.post("/api/tickets", show())).buffer_unordered(6);
        let (made, ()) = tokio::join!(makes.collect::<Vec<Answer>>(), close(&admin, seller));
        let statuses: Vec<u16> = made.iter().map(|answer| answer.status).collect();
        assert!(statuses.iter().all(|status| [201, 401].contains(status)), "{statuses:?}");
        eventually("none is on sale", 10, || async { (on_sale_of(&app, seller).await == 0).then_some(()) }).await;
    }
    app.stop().await;
}

/// The note is there, and the request that was let in before stores its listing afterwards: nothing else would look at it.
#[tokio::test(flavor = "multi_thread")]
async fn who_lists_something_looks_whether_the_account_was_closed_meanwhile() {
    let app = App::start().await;
    let (seller, buyer) = (seller(&app).await, app.sign_up().await);
    let accounts = app.database("tickets").await.collection::<Document>("closed_accounts");
    accounts.insert_one(doc! { "_id": seller.id.as_str().unwrap() }).await.unwrap();
    let ticket = seller.post("/api/tickets", show()).await.expect(201);
    assert_eq!(ticket["onSale"], false);
    eventually("holds are refused", 10, || async { refuses(&buyer, &ticket).await.then_some(()) }).await;
    app.stop().await;
}

/// As if the process had died between the note and the listings, or between a listing and the look at the note.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_that_died_has_left_on_sale_is_found() {
    let app = App::start().await;
    let (seller, buyer) = (seller(&app).await, app.sign_up().await);
    let ticket = seller.sell(5).await;
    buyer.hold(&ticket, 1).await.expect(201);
    let accounts = app.database("tickets").await.collection::<Document>("closed_accounts");
    let noted = doc! { "_id": seller.id.as_str().unwrap(), "lookUntil": bson::DateTime::from_millis(0) };
    accounts.insert_one(noted).await.unwrap();
    eventually("holds are refused", 10, || async { refuses(&buyer, &ticket).await.then_some(()) }).await;
    eventually("it is looked for no more", 10, || async {
        let looked_for = doc! { "_id": seller.id.as_str().unwrap(), "lookUntil": { "$exists": true } };
        (accounts.count_documents(looked_for).await.unwrap() == 0).then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_of_a_great_many_listings_holds_nobody_up() {
    const LISTINGS: usize = 1_150;
    let app = App::with(|settings| settings.posts_per_second = 0).await;
    let (admin, seller, other) = (app.admin().await, seller(&app).await, seller(&app).await);
    let made = stream::iter(0..LISTINGS).map(|_| seller.post("/api/tickets", show())).buffer_unordered(16);
    assert!(made.all(|answer| async move { answer.status == 201 }).await);
    other.sell(5).await;
    close(&admin, &seller).await;
    close(&admin, &other).await;
    eventually("the next one's are off sale", 10, || async { (on_sale_of(&app, &other).await == 0).then_some(()) })
        .await;
    eventually("all are off sale", 30, || async { (on_sale_of(&app, &seller).await == 0).then_some(()) }).await;
    let listings = app.database("tickets").await.collection::<Document>("tickets");
    let once = doc! { "sellerId": seller.id.as_str().unwrap(), "version": 2 };
    assert_eq!(listings.count_documents(once).await.unwrap(), LISTINGS as u64, "each once");
    let letters = app.database("tickets").await.collection::<Document>("dead_letters");
    assert_eq!(letters.estimated_document_count().await.unwrap(), 0);
    app.stop().await;
}

/// An address that is not confirmed may be anybody's.
#[tokio::test(flavor = "multi_thread")]
async fn who_sells_has_confirmed_their_address() {
    let app = App::start().await;
    let (seller, key) = (app.sign_up().await, json!({ "name": "Box office", "scopes": ["tickets:write"] }));
    let key = seller.post("/api/users/api-keys", key).await.expect(201)["key"].take();
    let machine = async || {
        let token = app.visitor().post("/api/users/api-keys/exchange", json!({ "key": key })).await.expect(200);
        format!("Bearer {}", token["accessToken"].as_str().unwrap())
    };
    let lists = async |token: &str| {
        app.visitor().send(reqwest::Method::POST, "/api/tickets", &[("authorization", token)], show()).await
    };
    let refused = seller.post("/api/tickets", show()).await.problem(403, "address_not_confirmed");
    assert!(refused["detail"].as_str().unwrap().contains("/api/users/verify-email/request"), "{refused}");
    let before = machine().await;
    lists(&before).await.problem(403, "address_not_confirmed");

    // Whoever was signed in goes on with new tokens, and the same key brings one.
    let elsewhere = seller.elsewhere().await;
    seller.confirm().await;
    seller.post("/api/tickets", show()).await.expect(201);
    eventually("tokens of before are void", 5, || async {
        (elsewhere.get("/api/orders").await.status == 401 && lists(&before).await.status == 401).then_some(())
    })
    .await;
    elsewhere.post("/api/users/refresh", Value::Null).await.expect(200);
    elsewhere.post("/api/tickets", show()).await.expect(201);
    lists(&machine().await).await.expect(201);
    app.stop().await;
}
