//! Traces reach a collector, and what comes along in one goes on with it. A binary of its own: a process has one telemetry.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use common::settings::Settings;
use common::telemetry::{current_traceparent, remote_parent};

#[actix_web::test]
async fn spans_go_on_with_what_came_along_and_are_sent_to_the_collector() {
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
    tracing::info_span!("work").in_scope(|| assert!(current_traceparent().is_some()));
    let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let span = tracing::info_span!("handle");
    remote_parent(&span, sent);
    let passed_on = span.in_scope(current_traceparent).unwrap();
    assert!(passed_on.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && passed_on != sent, "{passed_on}");
    drop(span);
    telemetry.flush();
    assert_eq!(received.join().unwrap().trim_end(), "POST /v1/traces HTTP/1.1");
}
