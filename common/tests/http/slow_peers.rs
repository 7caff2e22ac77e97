//! Peers that are slow or silent cost a socket and nobody else a place.

use std::time::Duration;

use common::http::Role;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::harness::{TestApp, send, status};

/// Longer than any limit, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.address).await.unwrap()
}

fn head(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
}

/// Sends a piece each half second until the server has answered or hung up; what came back.
async fn drip(mut peer: TcpStream, begin: String, piece: &[u8]) -> String {
    peer.write_all(begin.as_bytes()).await.unwrap();
    let (mut from, mut to) = peer.split();
    let mut answer = Vec::new();
    let mut pieces = tokio::time::interval(Duration::from_millis(500));
    let read = async {
        let mut buffer = [0; 4096];
        loop {
            tokio::select! {
                read = from.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(more) => {
                        answer.extend_from_slice(&buffer[..more]);
                        return;
                    }
                },
                _ = pieces.tick() => {
                    if to.write_all(piece).await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    timeout(PATIENCE, read).await.expect("the server ends it");
    String::from_utf8(answer).unwrap()
}

#[actix_web::test]
async fn who_says_nothing_and_whose_head_drips_is_hung_up_on() {
    let app = TestApp::start();
    let silent = drip(connect(&app).await, String::new(), b"");
    let dripping = drip(connect(&app).await, "GET /api/things/current HTTP/1.1\r\n".to_owned(), b"x: y\r\n");
    let (silent, dripping) = tokio::join!(silent, dripping);
    for answer in [silent, dripping] {
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
}

#[actix_web::test]
async fn a_body_that_drips_or_never_comes_is_ended_on_every_route() {
    let app = TestApp::start();
    let routes = ["/api/things/webhook", "/api/things", "/api/things/signed-in", "/nothing/here"];
    let dripping = routes.map(|path| async move { (path, head(path, 60_000)) });
    let dripping = futures::future::join_all(dripping).await;
    let answers = dripping.into_iter().flat_map(|(path, head)| {
        let app = &app;
        [b"x".as_slice(), b""].map(|piece| {
            let head = head.clone();
            async move { (path, drip(connect(app).await, head, piece).await) }
        })
    });
    let answers = timeout(Duration::from_secs(40), futures::future::join_all(answers)).await;
    for (path, answer) in answers.expect("no body takes longer") {
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("slow_body"), "{path}: {answer}");
    }
}

#[actix_web::test]
async fn six_hundred_dripping_bodies_keep_nobody_from_writing() {
    let app = TestApp::with_places(4);
    let token = app.token(Role::Member);
    let mut dripping = Vec::new();
    for nth in 0..600 {
        let path = if nth % 2 == 0 { "/api/things/webhook" } else { "/api/things" };
        let mut peer = connect(&app).await;
        peer.write_all(head(path, 1000).as_bytes()).await.unwrap();
        peer.write_all(b"{").await.unwrap();
        dripping.push(peer);
    }
    for _ in 0..50 {
        assert_eq!(status(app.post("/api/things/signed-in").bearer_auth(&token)).await, 204);
    }
    let body = json!({ "ticketId": "01920000-0000-7000-8000-000000000001", "quantity": 1 });
    assert_eq!(status(app.post("/api/things").json(&body)).await, 201);
    drop(dripping);
}

#[actix_web::test]
async fn who_does_not_read_the_answer_holds_no_place_and_is_hung_up_on() {
    let app = TestApp::with_places(1);
    let mut deaf = connect(&app).await;
    deaf.write_all(b"GET /api/large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    deaf.readable().await.unwrap();
    assert_eq!(status(app.get("/api/things/current")).await, 200, "the place is free");
    let mut waited = 0;
    // What was not read for so long is not there any more.
    tokio::time::sleep(Duration::from_secs(30)).await;
    let rest = async {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(more @ 1..) = deaf.read(&mut buffer).await {
            waited += more;
        }
        waited
    };
    let read = timeout(PATIENCE, rest).await.expect("the connection ends");
    assert!(read < super::service::LARGE, "{read} bytes came all the same");
}

#[actix_web::test]
async fn work_that_takes_too_long_is_given_up_with_its_place() {
    let app = TestApp::with_places(1);
    let token = app.token(Role::Member);
    let late = send(app.post("/api/wait").bearer_auth(&token)).await;
    assert_eq!((late.status().as_u16(), late.headers()["retry-after"].to_str().unwrap()), (503, "2"));
    assert_eq!(status(app.post("/api/things/signed-in").bearer_auth(&token)).await, 204);
}

#[actix_web::test]
async fn one_person_has_only_a_share_of_the_places() {
    let app = TestApp::with_places(32);
    let (one, other) = (app.token(Role::Member), app.token(Role::Member));
    let waiting: Vec<_> = (0..8).map(|_| tokio::spawn(send(app.post("/api/wait").bearer_auth(&one)))).collect();
    app.state.started.0.acquire_many(8).await.unwrap().forget();
    let ninth = send(app.post("/api/things/signed-in").bearer_auth(&one)).await;
    assert_eq!((ninth.status().as_u16(), ninth.headers()["retry-after"].to_str().unwrap()), (429, "1"));
    assert_eq!(status(app.post("/api/things/signed-in").bearer_auth(&other)).await, 204);
    assert_eq!(app.try_token(&one).await, 200, "reading is another share");
    app.state.gate.0.add_permits(8);
    for answer in waiting {
        assert_eq!(answer.await.unwrap().status(), 204);
    }
    assert_eq!(status(app.post("/api/things/signed-in").bearer_auth(&one)).await, 204);
}
