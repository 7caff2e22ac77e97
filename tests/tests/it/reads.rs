//! The catalogue is read from copies: they are right for whoever made a change, and soon for everybody else.

use std::io::Read as _;

use bson::doc;
use docket_tests::{App, Person, eventually};
use futures::TryStreamExt as _;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

const CODINGS: [&str; 2] = ["gzip", "br"];

fn path(ticket: &Value) -> String {
    format!("/api/tickets/{}", ticket["id"].as_str().unwrap())
}

async fn list(seller: &Person, title: &str) -> Value {
    let long = "Two sets, and the bar is open. ".repeat(60);
    let body = json!({ "title": title, "price": "19.99", "quantity": 10, "description": long });
    seller.list(body).await.expect(201)
}

async fn titles(person: &Person) -> Vec<String> {
    let page = person.get("/api/tickets").await.expect(200);
    page["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap().to_owned()).collect()
}

fn decoded(coding: &str, coded: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    match coding {
        "gzip" => drop(flate2::read::GzDecoder::new(coded).read_to_end(&mut body).unwrap()),
        _ => brotli::BrotliDecompress(&mut &coded[..], &mut body).unwrap(),
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_comes_coded_as_the_client_takes_it_and_only_if_it_is_new_to_it() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    let ticket = list(&seller, "Jazz night").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for shown in [path(&ticket), "/api/tickets".to_owned()] {
        let get = |accepted: &str, known: &str| {
            let request = client.get(format!("{}{shown}", app.base()));
            request.header("accept-encoding", accepted).header("if-none-match", known).send()
        };
        let plain = get("identity", "\"none\"").await.unwrap();
        let tag = plain.headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(plain.headers()["vary"], "Accept-Encoding");
        assert_eq!(plain.headers()["cache-control"], "public, no-cache");
        assert!(plain.headers().contains_key("x-request-id") && plain.headers().contains_key("x-content-type-options"));
        assert!(!plain.headers().contains_key("content-encoding"));
        let body = plain.bytes().await.unwrap();
        for coding in CODINGS {
            let coded = get(&format!("{coding}, deflate"), &tag).await.unwrap();
            assert_eq!(
                (coded.status().as_u16(), &coded.headers()["content-encoding"]),
                (200, &coding.parse().unwrap())
            );
            let (coded_tag, vary) = (coded.headers()["etag"].clone(), coded.headers()["vary"].clone());
            assert_eq!((coded_tag == tag.as_str(), vary.to_str().unwrap()), (false, "Accept-Encoding"));
            let coded = coded.bytes().await.unwrap();
            assert!(coded.len() < body.len() && decoded(coding, &coded) == body, "{coding}");
            let again = get(coding, coded_tag.to_str().unwrap()).await.unwrap();
            assert_eq!((again.status().as_u16(), &again.headers()["etag"]), (304, &coded_tag));
            assert_eq!(again.bytes().await.unwrap().len(), 0);
        }
        assert_eq!(get("identity", &tag).await.unwrap().status(), 304);
        let head = client.head(format!("{}{shown}", app.base())).send().await.unwrap();
        assert_eq!((head.status().as_u16(), head.headers()["etag"].to_str().unwrap()), (200, tag.as_str()));
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_a_listing_sees_the_change_at_once() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    let ticket = list(&seller, "0").await;
    for nth in 1..30 {
        let shown = seller.get(&path(&ticket)).await.expect(200);
        assert_eq!((&shown["version"], titles(&seller).await), (&nth.into(), vec![(nth - 1).to_string()]));
        let body = json!({ "title": nth.to_string(), "price": "19.99", "quantity": 10 });
        // Others read all the while: no loading of theirs may answer for what comes after the change.
        let others = join_all((0..4).map(|_| async { drop(seller.get(&path(&ticket)).await.expect(200)) }));
        let changed = async { seller.put(&path(&ticket), body).await.expect(200) };
        tokio::join!(changed, others);
    }
    seller.delete(&path(&ticket)).await.expect(200);
    assert_eq!(seller.get(&path(&ticket)).await.expect(200)["onSale"], false);
    assert_eq!(titles(&seller).await, Vec::<String>::new());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_shows_at_other_replicas_and_so_do_counts() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = list(&seller, "Jazz night").await;
    let other = common::service::start(App::services(), app.settings_used().clone()).await.unwrap();
    let replica = Person::visitor(&format!("http://{}", other.http_addr()));
    let shows = async |person: &Person, field: &str, value: Value| {
        let (one, page) = (person.get(&path(&ticket)).await.expect(200), person.get("/api/tickets").await.expect(200));
        one[field] == value && page["items"][0][field] == value
    };
    assert!(shows(&replica, "title", "Jazz night".into()).await && shows(&replica, "held", 0.into()).await);

    // Within less than any copy lives by itself, so word of it must have come.
    let body = json!({ "title": "Swing", "price": "19.99", "quantity": 10 });
    seller.put(&path(&ticket), body).await.expect(200);
    eventually("the other replica shows the change", 2, || async {
        shows(&replica, "title", "Swing".into()).await.then_some(())
    })
    .await;
    buyer.hold(&ticket, 3).await.expect(201);
    for person in [&seller, &replica] {
        eventually("both show the counts", 3, || async { shows(person, "held", 3.into()).await.then_some(()) }).await;
    }
    other.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_sees_few_of_many_reads() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = list(&seller, "Jazz night").await;
    let shown = path(&ticket);
    seller.get(&shown).await.expect(200);
    let database = app.database("tickets").await;
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    let started = common::telemetry::stopwatch();
    for _ in 0..20 {
        let reads = join_all((0..40).map(|_| seller.get(&shown)));
        let (answers, held) = tokio::join!(reads, buyer.hold(&ticket, 1));
        assert!(answers.iter().all(|answer| answer.status == 200) && [201, 409].contains(&held.status));
    }
    let took = started.elapsed();
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let ours = doc! { "ns": format!("{}.tickets", database.name()), "op": "query", "command.filter._id": ticket["id"].as_str().unwrap() };
    let reads = database.collection::<bson::Document>("system.profile").count_documents(ours).await.unwrap();
    let most = took.as_millis() / 100 + 2;
    assert!(u128::from(reads) <= most, "{reads} of 800 reads in {took:?}");
    eventually("the last count shows", 5, || async {
        (seller.get(&path(&ticket)).await.expect(200)["available"] == 0).then_some(())
    })
    .await;
    app.stop().await;
}

/// However many others hold places of the same listing, and however many holds the buyer has given up of others, or before.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_reads_what_its_buyer_has_and_no_more() {
    let app = App::with(|settings| settings.hold_unpaid_places = 500).await;
    let (seller, crowd, buyer) = (app.sign_up().await, app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(1_000).await;
    // Now orders has heard of the listing, and of all who come next nobody waits for that.
    let given_up = buyer.hold(&ticket, 1).await.expect(201);
    buyer.delete(&format!("/api/orders/{}", given_up["id"].as_str().unwrap())).await.expect(200);
    for held in join_all((0..60).map(|_| crowd.hold(&ticket, 1))).await {
        held.expect(201);
    }
    let database = app.database("orders").await;
    let orders = database.collection::<bson::Document>("orders");
    let cancelled = orders.find_one(doc! { "_id": given_up["id"].as_str().unwrap() }).await.unwrap().unwrap();
    let now = bson::DateTime::now();
    let hour_after = |at: bson::DateTime| bson::DateTime::from_millis(at.timestamp_millis() + 3_600_000);
    let yesterday = bson::DateTime::from_millis(now.timestamp_millis() - 24 * 3_600_000);
    let old = (0..5_000).map(|nth| {
        let (ticket, at) = if nth % 2 == 0 { ("another", now) } else { (ticket["id"].as_str().unwrap(), yesterday) };
        let given_up = if nth % 4 < 2 { "givenUpSoonAt" } else { "givenUpLateAt" };
        let mut order = cancelled.clone();
        order.remove("givenUpSoonAt");
        order.extend(doc! { "_id": format!("old {nth}"), "ticketId": ticket, given_up: at });
        order.extend(doc! { "countsUntil": hour_after(at), "outbox": [], "movements": [] });
        order
    });
    orders.insert_many(old).await.unwrap();
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    buyer.hold(&ticket, 1).await.expect(201);
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let ours = doc! { "ns": format!("{}.orders", database.name()), "command.find": "orders", "command.filter.buyerId": { "$exists": true } };
    let reads: Vec<bson::Document> =
        database.collection("system.profile").find(ours).await.unwrap().try_collect().await.unwrap();
    assert_eq!(reads.len(), 1, "{reads:?}");
    let examined = |what| reads[0].get_i32(what).unwrap();
    assert!(examined("keysExamined") <= 3 && examined("docsExamined") <= 1, "{reads:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_never_kept() {
    let app = App::start().await;
    let seller = app.sign_up().await;
    let unknown = "/api/tickets/0190f7c2-0000-7000-8000-000000000000";
    for _ in 0..3 {
        app.visitor()
            .send(Method::GET, unknown, &[("if-none-match", "*")], Value::Null)
            .await
            .problem(404, "not_found");
    }
    let ticket = list(&seller, "Jazz night").await;
    assert_eq!(app.visitor().get(&path(&ticket)).await.expect(200), ticket);
    app.stop().await;
}
