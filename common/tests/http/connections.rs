//! A connection brings one request after the other, however many were sent at once, and nothing on it takes for ever.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::harness::{TestApp, status};

/// Longer than any limit, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const GET: &str = "GET /api/things/current HTTP/1.1\r\nhost: x\r\n\r\n";
const ORDER: &str = r#"{"ticketId":"01920000-0000-7000-8000-000000000001","quantity":3}"#;

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.address).await.unwrap()
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /api/things HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{headers}\r\n\r\n{body}")
}

fn with_length(body: &str) -> String {
    post(&format!("content-length: {}", body.len()), body)
}

fn in_chunks(body: &str) -> String {
    let (first, second) = body.split_at(20);
    post("transfer-encoding: chunked", &format!("14\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", second.len()))
}

/// The statuses of the next answers, read until there are `count`.
async fn statuses(peer: &mut TcpStream, count: usize) -> Vec<String> {
    let mut answered = String::new();
    let read = async {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let statuses: Vec<_> =
                answered.split("HTTP/1.1 ").skip(1).map(|answer| answer.chars().take(3).collect()).collect();
            if statuses.len() >= count {
                return statuses;
            }
            let more = peer.read(&mut buffer).await.unwrap();
            assert_ne!(more, 0, "the connection ends after {} answers", statuses.len());
            answered.push_str(std::str::from_utf8(&buffer[..more]).unwrap());
        }
    };
    timeout(PATIENCE, read).await.expect("all are answered")
}

/// Reads until the server hangs up; what came.
async fn rest(peer: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    // A reset ends it too.
    let _ = timeout(PATIENCE, peer.read_to_end(&mut rest)).await.expect("the server hangs up");
    String::from_utf8(rest).unwrap()
}

#[actix_web::test]
async fn requests_that_come_at_once_or_byte_by_byte_are_answered_in_their_order() {
    let app = TestApp::start();
    let bad = with_length("{");
    let all = [GET, &with_length(ORDER), GET, &in_chunks(ORDER), &in_chunks(ORDER), &bad, GET].concat();
    let expected = ["200", "201", "200", "201", "201", "400", "200"];
    let mut at_once = connect(&app).await;
    at_once.write_all(all.as_bytes()).await.unwrap();
    assert_eq!(statuses(&mut at_once, expected.len()).await, expected);
    let mut slowly = connect(&app).await;
    slowly.set_nodelay(true).unwrap();
    for byte in all.as_bytes() {
        slowly.write_all(&[*byte]).await.unwrap();
    }
    assert_eq!(statuses(&mut slowly, expected.len()).await, expected);
}

#[actix_web::test]
async fn a_thousand_requests_at_once_are_all_answered() {
    let app = TestApp::start();
    let (mut from, mut to) = connect(&app).await.into_split();
    let sent = tokio::spawn(async move { to.write_all(GET.repeat(1000).as_bytes()).await.map(|()| to) });
    let mut answers = String::new();
    let read = async {
        let mut buffer = vec![0; 1 << 16];
        while answers.matches("HTTP/1.1 200").count() < 1000 {
            let more = from.read(&mut buffer).await.unwrap();
            assert_ne!(more, 0);
            answers.push_str(std::str::from_utf8(&buffer[..more]).unwrap());
        }
    };
    timeout(PATIENCE, read).await.expect("all are answered");
    sent.await.unwrap().unwrap();
}

/// The most memory that this process has had, in KiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[actix_web::test]
async fn heads_from_clients_that_read_no_answers_fill_no_memory() {
    let app = TestApp::start();
    assert_eq!(status(app.get("/api/things/current")).await, 200);
    let sent = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(4_000);
    let before = peak();
    let mut deaf = Vec::new();
    for _ in 0..60 {
        let peer = connect(&app).await;
        let mut left = sent.as_bytes();
        // As much as the server takes, and a little later once more.
        while let Ok(Ok(taken)) =
            timeout(Duration::from_millis(100), peer.writable()).await.map(|_| peer.try_write(left))
        {
            left = &left[taken..];
            if left.is_empty() {
                break;
            }
        }
        deaf.push(peer);
    }
    for _ in 0..50 {
        assert_eq!(status(app.get("/api/things/current")).await, 200, "others are served");
    }
    let more = (peak() - before) / 1024;
    assert!(more < 100, "{more} MiB for {} heads of 27 bytes", 60 * 4_000);
}

/// Sends a piece each half second until the server has hung up.
async fn drip_to_the_end(mut peer: TcpStream, begin: &str, piece: &'static [u8]) -> String {
    peer.write_all(begin.as_bytes()).await.unwrap();
    let (mut from, mut to) = peer.into_split();
    let dripping = tokio::spawn(async move {
        let mut pieces = tokio::time::interval(Duration::from_millis(500));
        while to.write_all(piece).await.is_ok() {
            pieces.tick().await;
        }
    });
    let mut rest = Vec::new();
    let _ =
        timeout(PATIENCE, from.read_to_end(&mut rest)).await.unwrap_or_else(|_| panic!("it is not hung up on {begin}"));
    dripping.abort();
    String::from_utf8(rest).unwrap()
}

#[actix_web::test]
async fn a_second_head_that_drips_ends_the_connection() {
    let app = TestApp::start();
    let drips = [
        (format!("{GET}GET / HTTP/1.1\r\n"), b"x: y\r\n".as_slice()),
        (GET.to_owned(), b"\r\n"),
        (format!("{GET}GET /"), b"a"),
    ];
    let drips = drips.map(|(begin, piece)| {
        let app = &app;
        async move { drip_to_the_end(connect(app).await, &begin, piece).await }
    });
    for answer in futures::future::join_all(drips).await {
        assert_eq!((answer.matches("HTTP/1.1").count(), answer.matches("HTTP/1.1 200").count()), (1, 1), "{answer}");
    }
}

#[actix_web::test]
async fn the_rest_of_a_body_that_nobody_reads_does_not_keep_the_connection() {
    let app = TestApp::start();
    let chunked = post("transfer-encoding: chunked", "1\r\n{\r\n");
    let long = post("content-length: 60000", "{");
    let drips = [(&chunked, b"1\r\nx\r\n".as_slice()), (&chunked, b""), (&long, b"x"), (&long, b"")];
    let drips = drips.map(|(begin, piece)| {
        let app = &app;
        async move { drip_to_the_end(connect(app).await, begin, piece).await }
    });
    for answer in futures::future::join_all(drips).await {
        assert!(answer.starts_with("HTTP/1.1 408") && answer.matches("HTTP/1.1").count() == 1, "{answer}");
    }
}

#[actix_web::test]
async fn a_connection_that_waits_between_requests_is_kept() {
    let app = TestApp::start();
    let mut peer = connect(&app).await;
    peer.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(statuses(&mut peer, 1).await, ["200"]);
    // Longer than a head may take.
    tokio::time::sleep(Duration::from_secs(12)).await;
    peer.write_all(GET.replace("host: x", "host: x\r\nconnection: close").as_bytes()).await.unwrap();
    let last = rest(&mut peer).await;
    assert!(last.starts_with("HTTP/1.1 200"), "{last}");
}

/// How long this process has had a core, in hundredths of a second.
fn on_a_core() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[actix_web::test]
async fn who_waits_for_a_body_takes_no_core() {
    let app = TestApp::start();
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut peer = connect(&app).await;
        peer.write_all(post("content-length: 1000", "{").as_bytes()).await.unwrap();
        // Once more, so that its reader is polled again.
        peer.write_all(b" ").await.unwrap();
        waiting.push(peer);
    }
    assert_eq!(status(app.get("/api/things/current")).await, 200);
    let before = on_a_core();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let taken = on_a_core() - before;
    assert!(taken < 100, "{taken} hundredths of a second in three");
    drop(waiting);
}
