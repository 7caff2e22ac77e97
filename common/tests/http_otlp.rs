//! Traces reach a collector. A binary of its own: a process has one telemetry.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use common::settings::Settings;

#[actix_web::test]
async fn spans_are_sent_to_the_collector() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let received = std::thread::spawn(move || {
        let (mut stream, _) = collector.accept().unwrap();
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        line
    });
    let settings = Settings { otel_endpoint: Some(endpoint.parse().unwrap()), ..Settings::default_for_tests() };
    let telemetry = common::telemetry::init(&settings, "tests").unwrap();
    tracing::info_span!("work").in_scope(|| assert!(common::telemetry::current_traceparent().is_some()));
    telemetry.flush();
    assert_eq!(received.join().unwrap().trim_end(), "POST /v1/traces HTTP/1.1");
}
