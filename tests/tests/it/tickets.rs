//! The catalogue: what a seller may say and change, and how others find it.

use bson::{Document, doc};
use common::settings::Settings;
use docket_tests::{Answer, App, Person, eventually};
use futures::TryStreamExt;
use reqwest::Method;
use serde_json::{Value, json};

fn path(ticket: &Value) -> String {
    format!("/api/tickets/{}", ticket["id"].as_str().unwrap())
}

/// A good listing with some fields replaced.
fn listing(other: Value) -> Value {
    let mut listing = json!({ "title": "Jazz night", "price": "19.99", "quantity": 10 });
    for (name, value) in other.as_object().unwrap() {
        listing[name] = value.clone();
    }
    listing
}

async fn list(person: &Person, other: Value) -> Value {
    person.list(listing(other)).await.expect(201)
}

async fn put_if(person: &Person, ticket: &Value, tag: &str, body: Value) -> Answer {
    person.send(Method::PUT, &path(ticket), &[("if-match", tag)], body).await
}

/// The titles of a list, through all its pages.
async fn titles(person: &Person, query: &str) -> Vec<String> {
    let mut titles = Vec::new();
    let mut next = format!("/api/tickets?{query}");
    loop {
        let page = person.get(&next).await.expect(200);
        titles.extend(page["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["nextCursor"].as_str() else { return titles };
        next = format!("/api/tickets?{query}&cursor={cursor}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_shown_as_it_was_made() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    let said = json!({
        "title": " Jazz night ", "price": 19.99, "currency": "EUR", "quantity": 7, "description": "Two sets.\nBar open.",
        "venue": "Old Mill", "startsAt": "2099-05-01T20:00:00+02:00", "timeZone": "europe/rome", "saleEndsAt": "2099-05-01T19:30:00+02:00", "perOrderLimit": 4,
        "imageUrl": "https://example.org/jazz.png", "refundPolicy": "always",
    });
    let answer = seller.list(said).await;
    let (location, tag) = (answer.headers["location"].clone(), answer.headers["etag"].clone());
    let made = answer.expect(201);
    assert_eq!(location.to_str().unwrap(), path(&made));
    let seen = seller.get(&path(&made)).await.headers["etag"].clone();
    assert!(tag == seen && tag.to_str().unwrap().starts_with("\"1."), "{tag:?}, and when it is read {seen:?}");
    let expected = json!({
        "id": made["id"], "version": 1, "userId": seller.id, "title": "Jazz night", "price": "19.99", "currency": "eur",
        "quantity": 7, "held": 0, "sold": 0, "available": 7, "description": "Two sets.\nBar open.", "venue": "Old Mill",
        "startsAt": "2099-05-01T18:00:00.000Z", "timeZone": "Europe/Rome", "saleEndsAt": "2099-05-01T17:30:00.000Z", "perOrderLimit": 4, "imageUrl": "https://example.org/jazz.png",
        "refundPolicy": "always", "onSale": true, "saleEnded": false, "createdAt": made["createdAt"],
    });
    assert_eq!(made, expected);
    assert_eq!(app.visitor().get(&path(&made)).await.expect(200), expected);

    let plain = seller.list(json!({ "title": "Plain", "price": 0 })).await.expect(201);
    let defaults = json!({ "price": "0.00", "currency": "usd", "quantity": 1, "venue": null, "timeZone": "UTC", "refundPolicy": "until_start" });
    for (field, value) in defaults.as_object().unwrap() {
        assert_eq!(&plain[field], value, "{field}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_show_has_a_time_zone_wherever_it_is_shown() {
    let in_rome = Settings::parse_flags(["--business-time-zone", "Europe/Rome"]).unwrap();
    let app = App::with(|settings| settings.business_time_zone = in_rome.business_time_zone).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let here = list(&seller, json!({ "title": "here" })).await;
    let there = list(&seller, json!({ "title": "there", "timeZone": "America/New_York" })).await;
    assert_eq!((&here["timeZone"], &there["timeZone"]), (&json!("Europe/Rome"), &json!("America/New_York")));
    let listed = seller.get("/api/tickets").await.expect(200);
    let zones: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|item| &item["timeZone"]).collect();
    assert_eq!(zones, ["America/New_York", "Europe/Rome"]);
    for (ticket, zone) in [(&here, "Europe/Rome"), (&there, "America/New_York")] {
        let order = buyer.hold(ticket, 1).await.expect(201);
        assert_eq!(order["timeZone"], zone);
        let order = buyer.get(&format!("/api/orders/{}", order["id"].as_str().unwrap())).await.expect(200);
        assert_eq!(order["timeZone"], zone);
    }
    let moved = seller.put(&path(&here), listing(json!({ "timeZone": "Asia/Tokyo" }))).await.expect(200);
    assert_eq!(moved["timeZone"], "Asia/Tokyo");
    assert_eq!(app.visitor().get(&path(&here)).await.expect(200)["timeZone"], "Asia/Tokyo");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_has_its_rule() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    let long = |length: usize| Value::from("x".repeat(length));
    let mut wrong = vec![
        ("title", long(201)),
        ("description", long(10_001)),
        ("venue", long(201)),
        ("imageUrl", format!("https://example.org/{}", "x".repeat(2_000)).into()),
    ];
    let values = json!({
        "title": [null, "", "  ", "a\nb", 5],
        "price": [null, -1, "-0.01", "19.999", 0.001, "1e3", "abc", true, 1_000_000, {"$gt": 0}],
        "currency": ["", "zz", "zzz", 5],
        "quantity": [0, -1, 1.5, 1_000_001, "5"],
        "perOrderLimit": [0, 101, -1, "2"],
        "startsAt": ["tomorrow", "2099-05-01", 5, "1969-12-31T23:59:59Z"],
        "saleEndsAt": ["tomorrow", "2099-05-01", 5, "1969-12-31T23:59:59Z"],
        "timeZone": ["Mars/Base", "+02:00", "CEST-2", 5],
        "imageUrl": ["javascript:alert(1)", "data:image/png;base64,AA==", "/a.png", "https://me:pw@example.org/a.png"],
        "refundPolicy": ["maybe", 1],
        "venue": [5, "a\nb"],
        "description": [["x"]],
        "userId": ["0190f7c2-0000-7000-8000-000000000000"],
        "version": [7],
    });
    let listed = values.as_object().unwrap().iter();
    wrong
        .extend(listed.flat_map(|(field, values)| {
            values.as_array().unwrap().iter().map(|value| (field.as_str(), value.clone()))
        }));
    let ticket = list(&seller, json!({})).await;
    for (field, value) in wrong {
        let body = listing(json!({ field: value }));
        seller.list(body.clone()).await.refuses(field);
        // In a change, no currency is the one it has.
        seller.put(&path(&ticket), body).await.refuses(field);
    }
    let errors = seller.list(json!({ "quantity": 0, "venue": 1 })).await.problem(400, "invalid_input");
    let named: Vec<_> = errors["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(named, ["title", "price", "quantity", "venue"]);
    seller
        .send_raw(Method::POST, "/api/tickets", &[("content-type", "application/json")], "{")
        .await
        .problem(400, "malformed_json");
    seller.send_raw(Method::POST, "/api/tickets", &[("content-type", "text/plain")], "{}").await.expect(415);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_made_once_for_one_key() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    seller.confirm().await;
    let make = |body: Value| seller.send(Method::POST, "/api/tickets", &[("idempotency-key", "show-1")], body);
    let first = make(listing(json!({}))).await.expect(201);
    assert_eq!(make(listing(json!({}))).await.expect(201)["id"], first["id"]);
    make(listing(json!({ "quantity": 11 }))).await.expect(422);
    assert_eq!(titles(&app.visitor(), "").await.len(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_seller_changes_a_listing() {
    let app = App::start().await;
    let (seller, other, admin) = (app.sign_up().await, app.sign_up().await, app.admin().await);
    let ticket = list(&seller, json!({})).await;
    app.visitor().list(listing(json!({}))).await.expect(401);
    app.visitor().put(&path(&ticket), listing(json!({}))).await.expect(401);
    app.visitor().delete(&path(&ticket)).await.expect(401);
    other.put(&path(&ticket), listing(json!({ "title": "Mine" }))).await.problem(403, "not_owner");
    other.delete(&path(&ticket)).await.problem(403, "not_owner");
    admin.put(&path(&ticket), listing(json!({ "title": "Mine" }))).await.problem(403, "not_owner");
    assert_eq!(seller.get(&path(&ticket)).await.expect(200), ticket);
    for id in ["0190f7c2-0000-7000-8000-000000000000", "x", "{\"$ne\":null}"] {
        let path = format!("/api/tickets/{id}");
        seller.get(&path).await.expect(404);
        seller.put(&path, listing(json!({}))).await.expect(404);
        seller.delete(&path).await.expect(404);
    }
    assert_eq!(admin.delete(&path(&ticket)).await.expect(200)["onSale"], false);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_replaces_what_the_seller_said() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    let ticket = list(&seller, json!({ "currency": "eur", "venue": "Old Mill", "perOrderLimit": 2 })).await;
    let changed = put_if(&seller, &ticket, "\"1\"", json!({ "title": "Swing", "price": 25 })).await;
    assert!(changed.headers["etag"].to_str().unwrap().starts_with("\"2."), "{changed:?}");
    let changed = changed.expect(200);
    let expected = json!({ "version": 2, "title": "Swing", "price": "25.00", "currency": "eur", "quantity": 10, "venue": null, "perOrderLimit": null });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&changed[field], value, "{field}");
    }
    put_if(&seller, &ticket, "\"1\"", json!({ "title": "Rock", "price": 25 })).await.problem(412, "version_mismatch");
    let same = put_if(&seller, &ticket, "\"2\"", json!({ "title": "Swing", "price": "25.00" })).await.expect(200);
    assert_eq!(same["version"], 2, "nothing changed");

    let answer = seller.send(Method::GET, &path(&ticket), &[("if-none-match", "\"2\"")], Value::Null).await;
    let tag = answer.headers["etag"].to_str().unwrap().to_owned();
    assert!(answer.status == 200 && tag.starts_with("\"2."), "the counts may have changed: {tag}");
    let race =
        (0..10).map(|nth| put_if(&seller, &ticket, &tag, json!({ "title": format!("Rock {nth}"), "price": 25 })));
    let statuses: Vec<u16> = futures::future::join_all(race).await.into_iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 412].contains(status)));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_stand_against_some_changes() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = list(&seller, json!({})).await;
    let order = buyer.hold(&ticket, 3).await.expect(201);
    assert_eq!(seller.until_counts(&ticket, 3, 0).await["available"], 7);

    let put = async |other: Value| seller.put(&path(&ticket), listing(other)).await;
    let below = put(json!({ "quantity": 2 })).await.problem(409, "quantity_below_taken");
    assert_eq!((&below["held"], &below["sold"]), (&3.into(), &0.into()));
    put(json!({ "price": "20" })).await.problem(409, "price_locked");
    put(json!({ "currency": "eur" })).await.problem(409, "price_locked");
    assert_eq!(put(json!({ "quantity": 3, "title": "Few" })).await.expect(200)["available"], 0);
    let inventories = app.database("orders").await.collection::<Document>("inventories");
    let few = doc! { "_id": ticket["id"].as_str().unwrap(), "capacity": 3 };
    eventually("orders knows the new quantity", 10, || async { inventories.find_one(few.clone()).await.unwrap() })
        .await;
    assert_eq!(buyer.hold(&ticket, 1).await.problem(409, "sold_out")["available"], 0);

    buyer.pay(&order, "pm_card_visa").await.expect(201);
    seller.until_counts(&ticket, 0, 3).await;
    put(json!({ "currency": "eur", "quantity": 5 })).await.problem(409, "currency_locked");
    let dearer = put(json!({ "price": "20", "quantity": 5 })).await.expect(200);
    assert_eq!((&dearer["price"], &dearer["quantity"], &dearer["available"]), (&"20.00".into(), &5.into(), &2.into()));
    assert_eq!(buyer.until_order(&order, "complete").await["price"], "19.99", "an order keeps its price");
    eventually("the authority has answered", 10, || async {
        let shown = seller.get(&path(&ticket)).await.expect(200);
        (shown["quantity"] == 5 && buyer.hold(&ticket, 1).await.status == 201).then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_listing_is_no_more_on_sale() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = list(&seller, json!({})).await;
    buyer.hold(&ticket, 1).await.expect(201);
    seller
        .send(Method::DELETE, &path(&ticket), &[("if-match", "\"7\"")], Value::Null)
        .await
        .problem(412, "version_mismatch");
    let gone = seller.delete(&path(&ticket)).await.expect(200);
    assert_eq!((&gone["onSale"], &gone["version"]), (&false.into(), &2.into()));
    let again = seller.delete(&path(&ticket)).await.expect(200);
    assert_eq!((&again["onSale"], &again["version"]), (&false.into(), &2.into()));
    assert_eq!(app.visitor().get(&path(&ticket)).await.expect(200)["onSale"], false);
    seller.put(&path(&ticket), listing(json!({ "title": "Again" }))).await.problem(409, "withdrawn");
    assert_eq!(titles(&app.visitor(), "").await, Vec::<String>::new());
    assert_eq!(titles(&app.visitor(), &format!("sellerId={}", seller.id.as_str().unwrap())).await, ["Jazz night"]);
    eventually("orders takes no more holds", 10, || async {
        (buyer.hold(&ticket, 1).await.status == 409).then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_bought_and_comes_soonest_stands_in_front() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let start = |year: u32| json!(format!("{year}-05-01T20:00:00Z"));
    for (title, starts_at) in [
        ("2098", start(2098)),
        ("old undated", Value::Null),
        ("2097", start(2097)),
        ("2001", start(2001)),
        ("2002", start(2002)),
        ("new undated", Value::Null),
        ("withdrawn", start(2096)),
    ] {
        let ticket = list(&seller, json!({ "title": title })).await;
        let dated = json!({ "title": title, "price": ticket["price"], "startsAt": starts_at });
        seller.put(&path(&ticket), dated).await.expect(200);
        if title == "withdrawn" {
            seller.delete(&path(&ticket)).await.expect(200);
        }
    }
    let sold_out = list(&seller, json!({ "title": "sold out", "quantity": 1, "startsAt": start(2090) })).await;
    buyer.hold(&sold_out, 1).await.expect(201);
    seller.until_counts(&sold_out, 1, 0).await;

    let visitor = app.visitor();
    let expected = ["2097", "2098", "new undated", "old undated", "sold out", "2002", "2001"];
    for limit in [1, 2, 3, 100] {
        assert_eq!(titles(&visitor, &format!("limit={limit}")).await, expected, "{limit} a page");
    }
    let of_seller = format!("limit=2&sellerId={}", seller.id.as_str().unwrap());
    assert_eq!(titles(&visitor, &of_seller).await, [&expected[..], &["withdrawn"]].concat());
    assert_eq!(titles(&visitor, &format!("sellerId={}", buyer.id.as_str().unwrap())).await, Vec::<String>::new());
    assert_eq!(titles(&visitor, "from=2097-01-01T00:00:00Z&limit=1").await, ["2097", "2098"]);
    assert_eq!(
        titles(&visitor, "from=2001-05-01T20:00:00Z&to=2097-05-01T20:00:00Z&limit=1").await,
        ["2097", "sold out", "2002", "2001"]
    );
    assert_eq!(titles(&visitor, "to=2001-12-31T00:00:00Z").await, ["2001"]);
    assert_eq!(titles(&visitor, "from=2097-01-01T00:00:00Z&to=2001-01-01T00:00:00Z").await, Vec::<String>::new());
    for (query, field) in
        [("limit=0", "limit"), ("cursor=x", "cursor"), ("from=x", "from"), ("to=5", "to"), ("sellerId=x", "sellerId")]
    {
        visitor.get(&format!("/api/tickets?{query}")).await.refuses(field);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_are_found_by_their_words() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    list(&seller, json!({ "title": "Jazz night", "venue": "Café Müller" })).await;
    list(&seller, json!({ "title": "Jazz morning", "description": "Coffee and the night before" })).await;
    list(&seller, json!({ "title": "Rock" })).await;
    let visitor = app.visitor();
    let found = async |words: &str| {
        let mut found = titles(&visitor, &format!("search={words}&limit=1")).await;
        found.sort();
        found
    };
    assert_eq!(found("JAZZ").await, ["Jazz morning", "Jazz night"]);
    assert_eq!(found("jazz+night").await, ["Jazz morning", "Jazz night"]);
    assert_eq!(found("jazz+coffee").await, ["Jazz morning"]);
    assert_eq!(found("m%C3%BCller").await, ["Jazz night"]);
    assert_eq!(found("-rock").await, ["Rock"]);
    assert_eq!(found("the").await, ["Jazz morning"]);
    assert_eq!(found("jazz+rock").await, Vec::<String>::new());
    assert_eq!(found("%22+%24").await, Vec::<String>::new());
    assert_eq!(found("+").await.len(), 3);
    visitor.get(&format!("/api/tickets?search={}", "x".repeat(201))).await.refuses("search");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_show_that_has_started_makes_way() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    let soon = common::clock::Clock::now(&common::clock::SystemClock) + std::time::Duration::from_secs(2);
    list(&seller, json!({ "title": "soon", "startsAt": soon.to_string() })).await;
    list(&seller, json!({ "title": "undated" })).await;
    let visitor = app.visitor();
    assert_eq!(titles(&visitor, "").await, ["soon", "undated"]);
    eventually("it stands behind", 30, || async { (titles(&visitor, "").await == ["undated", "soon"]).then_some(()) })
        .await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_reads_no_more_than_it_shows() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    for nth in 0..60 {
        let starts_at = format!("2090-05-{:02}T20:00:00Z", nth % 28 + 1);
        list(&seller, json!({ "title": format!("Show {nth}"), "startsAt": starts_at })).await;
    }
    let database = app.database("tickets").await;
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    let visitor = app.visitor();
    let of_seller = format!("sellerId={}&", seller.id.as_str().unwrap());
    for query in ["", "from=2090-05-03T00:00:00Z&to=2090-05-20T00:00:00Z&", &of_seller] {
        let first = visitor.get(&format!("/api/tickets?{query}limit=5")).await.expect(200);
        let cursor = first["nextCursor"].as_str().unwrap();
        visitor.get(&format!("/api/tickets?{query}limit=5&cursor={cursor}")).await.expect(200);
    }
    visitor.get("/api/tickets?search=show").await.expect(200);
    database.run_command(doc! { "profile": 0 }).await.unwrap();

    let ours = doc! { "ns": format!("{}.tickets", database.name()), "op": { "$in": ["query", "getmore"] }, "command.sort": { "$exists": true } };
    let mut queries: Vec<Document> =
        database.collection("system.profile").find(ours).await.unwrap().try_collect().await.unwrap();
    let filter = |query: &Document| query.get_document("command").unwrap().get_document("filter").unwrap().clone();
    // A job looks for listings of earlier builds.
    queries.retain(|query| !filter(query).contains_key("offer.words"));
    assert_eq!(queries.len(), 7, "one query for each page: {queries:?}");
    for query in queries {
        assert!(!query.get_str("planSummary").unwrap().contains("COLLSCAN"), "{query:?}");
        let most = if filter(&query).contains_key("$and") { 21 } else { 12 };
        let (examined, sorts) =
            (query.get_i32("docsExamined").unwrap(), query.get_bool("hasSortStage").unwrap_or(false));
        assert!(examined <= most && !sorts, "{examined} documents examined: {query:?}");
    }
    app.stop().await;
}
