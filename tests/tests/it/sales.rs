//! What a seller sees of a listing: its orders, its money, its days, and the same as a table for spreadsheets.

use bson::{Document, doc};
use docket_tests::{App, Person, eventually};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

fn sales(ticket: &Value) -> String {
    format!("/api/orders/sales/{}", text(&ticket["id"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// So many holds of one place each. What is just put on sale is waited for by the first of them alone.
async fn hold_each(buyer: &Person, ticket: &Value, count: usize) {
    buyer.hold(ticket, 1).await.expect(201);
    let others = futures::stream::iter(1..count).map(|_| buyer.hold(ticket, 1)).buffer_unordered(40);
    others.for_each(async |held| drop(held.expect(201))).await;
}

async fn give_back(seller: &Person, order: &Value, amount: Value) {
    let refunds = format!("/api/payments/{}/refunds", text(&order["id"]));
    seller.post(&refunds, amount).await.expect(201);
}

/// Waits until the sums have these values, each given by its JSON pointer.
async fn until_sums(person: &Person, ticket: &Value, expected: Value) -> Value {
    let path = sales(ticket);
    eventually(&format!("the sums {expected}"), 30, || async {
        let sums = person.get(&path).await.expect(200);
        let expected = expected.as_object().unwrap();
        expected.iter().all(|(pointer, value)| sums.pointer(pointer) == Some(value)).then_some(sums)
    })
    .await
}

/// All items of a list, two on a page.
async fn all(person: &Person, path: &str) -> Vec<Value> {
    let (mut items, mut next) = (Vec::new(), format!("{path}?limit=2"));
    loop {
        let page = person.get(&next).await.expect(200);
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page["nextCursor"].as_str() else { return items };
        next = format!("{path}?limit=2&cursor={cursor}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_sees_what_came_of_a_listing() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(10).await;
    let none = seller.get(&sales(&ticket)).await.expect(200);
    assert_eq!((&none["revenue"], &none["capacity"], &none["currency"]), (&json!("0.00"), &json!(10), &json!("usd")));
    let days = none["byDay"].as_array().unwrap();
    assert_eq!(days.len(), 30);
    assert!(days.is_sorted_by_key(|day| text(&day["day"])), "{days:?}");

    let (two, three) = (buyer.buy(&ticket, 2).await, buyer.buy(&ticket, 3).await);
    buyer.hold(&ticket, 1).await.expect(201);
    let given_up = buyer.hold(&ticket, 1).await.expect(201);
    buyer.delete(&format!("/api/orders/{}", text(&given_up["id"]))).await.expect(200);
    let code = buyer.passes(&two).await.remove(0)["code"].clone();
    seller.post("/api/passes/check-in", json!({ "code": code })).await.expect(200);
    let sums = until_sums(&seller, &ticket, json!({ "/sold": 5, "/held": 1, "/revenue": "99.95" })).await;
    assert_eq!(sums["orders"], json!({ "held": 1, "paid": 2, "refunded": 0, "ended": 1 }));
    assert_eq!((&sums["checkedIn"], &sums["title"]), (&json!(1), &ticket["title"]));
    let today = &sums["byDay"][29];
    // Around midnight the last of the days is a new one.
    assert_eq!([today, &sums["byDay"][28]].iter().filter(|day| day["places"] == 5).count(), 1, "{sums}");

    give_back(&seller, &two, json!({ "amount": "5" })).await;
    until_sums(&seller, &ticket, json!({ "/revenue": "94.95", "/sold": 5, "/orders/paid": 2 })).await;
    give_back(&seller, &three, json!({})).await;
    let sums = until_sums(&seller, &ticket, json!({ "/revenue": "34.98", "/sold": 2, "/orders/refunded": 1 })).await;
    let by_day: Vec<&str> = sums["byDay"].as_array().unwrap().iter().map(|day| text(&day["revenue"])).collect();
    assert_eq!(by_day.iter().filter(|revenue| **revenue == "34.98").count(), 1, "{by_day:?}");

    let orders = all(&seller, &format!("{}/orders", sales(&ticket))).await;
    let seen: Vec<(&str, &str)> =
        orders.iter().map(|order| (text(&order["status"]), text(&order["refunded"]))).collect();
    let states = ["cancelled", seen[1].0, "refunded", "complete"];
    assert_eq!(seen, [(states[0], "0.00"), (states[1], "0.00"), (states[2], "59.97"), (states[3], "5.00")]);
    assert!(["created", "awaiting_payment"].contains(&states[1]));
    let first = &orders[3];
    assert_eq!((&first["id"], &first["checkedIn"], &first["total"]), (&two["id"], &json!(1), &json!("39.98")));
    assert_eq!((&first["paidAt"], &first["createdAt"]), (&two["paidAt"], &two["createdAt"]));
    assert!(two["paidAt"].is_string() && orders[0]["paidAt"].is_null(), "{orders:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_seller_and_administrators_see_it_and_nobody_sees_who_bought() {
    let app = App::start().await;
    let (seller, other, buyer) = (app.sign_up().await, app.sign_up().await, app.sign_up().await);
    let (ticket, admin) = (seller.sell(5).await, app.admin().await);
    let order = buyer.buy(&ticket, 1).await;
    let paths = ["", "/orders", "/orders.csv"].map(|part| format!("{}{part}", sales(&ticket)));
    for path in &paths {
        app.visitor().get(path).await.expect(401);
        for stranger in [&other, &buyer] {
            stranger.get(path).await.problem(404, "not_found");
        }
        let (own, boss) = (seller.get(path).await.expect(200), admin.get(path).await.expect(200));
        assert_eq!(own, boss);
        assert!(own.to_string().contains(text(&order["id"])) || path == &paths[0], "{own}");
        for personal in [text(&buyer.id), &buyer.email] {
            assert!(!own.to_string().contains(personal), "{path} tells who bought: {own}");
        }
        for id in ["01932b00-0000-7000-8000-000000000000", "x", "{\"$ne\":null}"] {
            seller.get(&path.replace(text(&ticket["id"]), id)).await.expect(404);
        }
    }
    seller.get(&format!("{}?cursor=x", paths[1])).await.refuses("cursor");
    seller.get(&format!("{}?limit=0", paths[1])).await.refuses("limit");
    assert_eq!(all(&other, "/api/orders/sales").await, Vec::<Value>::new());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_has_all_listings_on_one_page() {
    let app = App::start().await;
    let (seller, other, buyer) = (app.sign_up().await, app.sign_up().await, app.sign_up().await);
    other.sell(1).await;
    let euros =
        json!({ "title": "In euros", "price": "30", "currency": "eur", "quantity": 4, "timeZone": "Europe/Rome" });
    let (first, second, third) = (seller.sell(3).await, seller.list(euros).await.expect(201), seller.sell(1).await);
    let order = buyer.buy(&second, 2).await;
    give_back(&seller, &order, json!({ "amount": "10" })).await;
    buyer.hold(&third, 1).await.expect(201);
    seller.delete(&format!("/api/tickets/{}", text(&first["id"]))).await.expect(200);
    let listed = eventually("the counts", 30, || async {
        let listed = all(&seller, "/api/orders/sales").await;
        let done = listed.len() == 3 && listed[1]["revenue"] == "50.00" && listed[2]["onSale"] == false;
        done.then_some(listed)
    })
    .await;
    let ids: Vec<&Value> = listed.iter().map(|item| &item["ticketId"]).collect();
    assert_eq!(ids, [&third["id"], &second["id"], &first["id"]]);
    let counts: Vec<[&Value; 3]> =
        listed.iter().map(|item| [&item["capacity"], &item["held"], &item["sold"]]).collect();
    assert_eq!(json!(counts), json!([[1, 1, 0], [4, 0, 2], [3, 0, 0]]));
    assert_eq!((&listed[1]["currency"], &listed[1]["timeZone"]), (&json!("eur"), &json!("Europe/Rome")));
    assert_eq!((&listed[0]["revenue"], &listed[0]["timeZone"]), (&json!("0.00"), &json!("UTC")));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_a_table_that_calculates_nothing() {
    let app = App::with(|settings| settings.hold_unpaid_places = 0).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let title = "=HYPERLINK(\"http://evil.example\",\"Free\")";
    let ticket = json!({ "title": title, "price": "10", "quantity": 400 });
    let ticket = seller.list(ticket).await.expect(201);
    // More than are made at a time.
    hold_each(&buyer, &ticket, 270).await;
    let order = buyer.buy(&ticket, 2).await;
    give_back(&seller, &order, json!({ "amount": "2.50" })).await;
    until_sums(&seller, &ticket, json!({ "/revenue": "17.50" })).await;

    let answer = seller.get(&format!("{}/orders.csv", sales(&ticket))).await;
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8; header=present");
    assert!(answer.headers["content-disposition"].to_str().unwrap().starts_with("attachment; filename=\"orders-"));
    let table = answer.expect(200);
    let lines: Vec<&str> = text(&table).split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 1 + 270 + 1);
    assert_eq!(
        lines[0],
        "\u{FEFF}order,title,status,quantity,price,total,refunded,currency,created at,paid at,checked in,dispute"
    );
    let cell = "\"'=HYPERLINK(\"\"http://evil.example\"\",\"\"Free\"\")\"";
    let expected = format!(
        "{},{cell},complete,2,10.00,20.00,2.50,usd,{},{},0,",
        text(&order["id"]),
        text(&order["createdAt"]),
        text(&order["paidAt"])
    );
    assert_eq!(lines[271], expected, "the newest is the last");
    assert!(lines[1..].iter().all(|line| line.contains(cell)));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_are_made_out_of_an_index_alone() {
    let app = App::with(|settings| settings.hold_unpaid_places = 0).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(40).await;
    hold_each(&buyer, &ticket, 20).await;
    let order = buyer.buy(&ticket, 2).await;
    give_back(&seller, &order, json!({ "amount": "1" })).await;
    until_sums(&seller, &ticket, json!({ "/revenue": "38.98", "/orders/held": 20 })).await;

    let database = app.database("orders").await;
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    seller.get(&sales(&ticket)).await.expect(200);
    assert_eq!(seller.get("/api/orders/sales").await.expect(200)["items"][0]["revenue"], "38.98");
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let sums = doc! { "ns": format!("{}.orders", database.name()), "command.aggregate": "orders" };
    let sums: Vec<Document> =
        database.collection("system.profile").find(sums).await.unwrap().try_collect().await.unwrap();
    assert_eq!(sums.len(), 3, "one for each page, and one of the disputes: {sums:?}");
    for sum in sums {
        assert_eq!(sum.get_i32("docsExamined").unwrap(), 0, "{sum:?}");
        assert!(sum.get_i32("keysExamined").unwrap() <= 22, "{sum:?}");
    }
    app.stop().await;
}
