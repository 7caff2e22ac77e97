//! More comes than a process may take on: what is too much is refused at once, and nothing is left hanging.

use std::time::Duration;

use common::clock::{Clock as _, SystemClock};
use common::id::TicketId;
use docket_local::{LocalServers, Options};
use docket_tests::{Answer, App, Person, eventually, pause};
use futures::future::join_all;
use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const FLOOD: usize = 200;
const PLACES: u16 = 4;

/// How long a refusal may take while the machine has many other things to do.
const AT_ONCE: Duration = Duration::from_secs(5);

async fn order(person: &Person, ticket: &Value) -> Answer {
    person.hold(ticket, 1).await
}

fn refuses(answer: &Answer) {
    assert_eq!((answer.status, &answer.body["code"]), (503, &"overloaded".into()), "{answer:?}");
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert!(!answer.headers.contains_key("connection"), "who comes back need not connect anew: {answer:?}");
    assert_eq!(answer.body["requestId"], answer.headers["x-request-id"].to_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_on_a_stalled_database_is_refused_at_once_and_nothing_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let servers = LocalServers::start(Options { nats: false, ..Options::for_tests(folder.path()) }).await.unwrap();
    let mongod = servers.mongod().unwrap();
    let app = App::with(|settings| {
        settings.mongodb_uri = Some(SecretString::from(mongod.url().to_owned()));
        settings.max_in_flight = PLACES;
    })
    .await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let show = json!({ "title": "Jazz night", "price": "5", "quantity": 1_000 });
    let ticket = seller.list(show).await.expect(201);
    order(&buyer, &ticket).await.expect(201);
    let page = format!("/api/tickets/{}", ticket["id"].as_str().unwrap());

    app.visitor().get(&page).await.expect(200);
    mongod.pause().await.unwrap();
    app.visitor().get(&page).await.expect(200);
    let mut waiting: FuturesUnordered<_> = (0..FLOOD).map(|_| order(&buyer, &ticket)).collect();
    let refused = async {
        for _ in 0..FLOOD - usize::from(PLACES) {
            refuses(&waiting.next().await.unwrap());
        }
    };
    tokio::time::timeout(AT_ONCE, refused).await.expect("refusals do not wait for the database");
    assert!(waiting.next().now_or_never().is_none(), "those who were let in wait for their turn");
    assert_eq!(Person::visitor(&app.ops()).get("/livez").await.status, 200);

    mongod.resume().await.unwrap();
    let rest = tokio::time::timeout(Duration::from_secs(30), waiting.collect::<Vec<_>>()).await;
    let rest = rest.expect("nothing hangs once the database goes on");
    assert!(rest.iter().all(|answer| answer.status == 201), "{rest:?}");
    // All places are free again.
    let again = join_all((0..PLACES).map(|_| order(&buyer, &ticket))).await;
    assert!(again.iter().all(|answer| answer.status == 201), "{again:?}");
    let held = 1 + 2 * u32::from(PLACES);
    assert_eq!(seller.until_counts(&ticket, held, 0).await["available"], 1_000 - held);
    app.stop().await;
    servers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_keeps_no_place() {
    let app = App::with(|settings| settings.max_in_flight = 1).await;
    let seller = app.sign_up().await;
    let mut slow = TcpStream::connect(app.base().trim_start_matches("http://")).await.unwrap();
    let begun = concat!(
        "POST /api/users/signin HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n",
        "content-length: 100\r\nexpect: 100-continue\r\n\r\n"
    );
    slow.write_all(begun.as_bytes()).await.unwrap();
    // It is told to go on when its head has been read.
    let mut told = [0; 12];
    slow.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100");
    let show = json!({ "title": "Jazz night", "price": "5" });
    seller.list(show.clone()).await.expect(201);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_does_not_keep_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let servers = LocalServers::start(Options { nats: false, ..Options::for_tests(folder.path()) }).await.unwrap();
    let mongod = servers.mongod().unwrap();
    let app = App::with(|settings| {
        settings.mongodb_uri = Some(SecretString::from(mongod.url().to_owned()));
        settings.max_in_flight = 1;
    })
    .await;
    let seller = app.sign_up().await;
    seller.confirm().await;
    let show = json!({ "title": "Jazz night", "price": "5" });
    // What is refused by its form alone needs a place, and no database.
    let nonsense = || seller.list(json!({}));
    mongod.pause().await.unwrap();
    let waiting = seller.list(show.clone());
    assert!(tokio::time::timeout(Duration::from_millis(500), waiting).await.is_err());
    // At the latest when the answer would come too late.
    eventually("it is free again", 30, || async { (nonsense().await.status == 400).then_some(()) }).await;
    mongod.resume().await.unwrap();
    app.stop().await;
    servers.stop().await;
}

/// An id of a listing that might have been made at this moment.
fn invented(later: Duration) -> String {
    TicketId::generate(SystemClock.now() + later).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_ask_for_what_is_not_there_yet_keep_nobody_from_buying() {
    let app = App::with(|settings| settings.max_in_flight = 64).await;
    let seller = app.sign_up().await;
    let ticket = seller.sell(1_000).await;
    let buyer = app.sign_up().await;
    buyer.hold(&ticket, 1).await.expect(201);
    // If their waits kept places, the shares of so many would be all there are.
    let crowd = join_all((0..5).map(|_| app.sign_up())).await;
    let mut asked = FuturesUnordered::new();
    let mut held = 0;
    for nth in 0..60_u32 {
        // 60 a second from each, for three seconds.
        for person in &crowd {
            for _ in 0..3 {
                let (person, ticket) = (person.clone(), json!({ "id": invented(Duration::ZERO) }));
                asked.push(tokio::spawn(async move { person.hold(&ticket, 1).await }));
            }
        }
        if nth % 10 == 9 {
            buyer.hold(&ticket, 1).await.expect(201);
            held += 1;
        }
        pause(Duration::from_millis(50)).await;
    }
    while let Some(answer) = asked.next().await {
        let answer = answer.unwrap();
        // 408: a machine that has too much to do has not read the head in time.
        assert!([408, 429, 503].contains(&answer.status), "{answer:?}");
    }
    assert_eq!(held, 6);
    let future = json!({ "id": invented(Duration::from_secs(30)) });
    crowd[0].hold(&future, 1).await.expect(404);
    crowd[0].get(&format!("/api/orders/sales/{}", invented(Duration::from_secs(30)))).await.expect(404);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_makes_no_more_than_so_much() {
    let app = App::with(|settings| settings.posts_per_second = 1).await;
    let (eager, other) = (app.sign_up().await, app.sign_up().await);
    eager.confirm().await;
    let show = json!({ "title": "Jazz night", "price": "5" });
    let made = join_all((0..40).map(|_| eager.list(show.clone()))).await;
    let refused: Vec<&Answer> = made.iter().filter(|answer| answer.status == 429).collect();
    assert!(!refused.is_empty() && refused.len() <= 39, "{} of 40 were refused", refused.len());
    for answer in refused {
        assert_eq!(
            (&answer.body["code"], &answer.headers["retry-after"]),
            (&"too_many_requests".into(), &"1".parse().unwrap())
        );
    }
    other.list(show.clone()).await.expect(201);
    eager.send(Method::GET, "/api/tickets", &[], Value::Null).await.expect(200);
    eventually("their time comes again", 10, || async { (eager.list(show.clone()).await.status == 201).then_some(()) })
        .await;
    app.stop().await;
}
