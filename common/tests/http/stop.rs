//! A server that is stopped answers first what it has been asked.

use std::sync::OnceLock;
use std::thread::ThreadId;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use common::http::{Readiness, ServerOptions};
use common::settings::Settings;
use tokio::sync::{mpsc, oneshot};

/// Asks for an answer, and says that it was asked.
type Question = oneshot::Sender<&'static str>;

/// Something that one worker has begun and all use, such as a connection to another service.
static SHARED: OnceLock<(ThreadId, mpsc::UnboundedSender<Question>)> = OnceLock::new();

/// How long the shared thing thinks: longer than an idle worker takes to end.
const THOUGHT: Duration = Duration::from_millis(300);

async fn begin() -> HttpResponse {
    SHARED.get_or_init(|| {
        let (sender, mut questions) = mpsc::unbounded_channel::<Question>();
        tokio::spawn(async move {
            while let Some(question) = questions.recv().await {
                tokio::time::sleep(THOUGHT).await;
                let _ = question.send("answered");
            }
        });
        (std::thread::current().id(), sender)
    });
    HttpResponse::Ok().finish()
}

/// Whether this is the worker that has begun it.
async fn here() -> HttpResponse {
    let here = SHARED.get().is_some_and(|(worker, _)| *worker == std::thread::current().id());
    HttpResponse::Ok().body(here.to_string())
}

async fn ask() -> HttpResponse {
    let (question, answer) = oneshot::channel();
    let asked = SHARED.get().is_some_and(|(_, shared)| shared.send(question).is_ok());
    match answer.await {
        Ok(answer) if asked => HttpResponse::Ok().body(answer),
        _ => HttpResponse::BadGateway().finish(),
    }
}

async fn text(client: &reqwest::Client, url: String) -> String {
    client.get(url).send().await.unwrap().text().await.unwrap()
}

fn client() -> reqwest::Client {
    common::http::install_tls_provider();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[actix_web::test]
async fn a_worker_does_not_end_while_another_one_needs_what_it_has_begun() {
    let (listener, address) = common::http::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let options =
        ServerOptions { workers: 2, ..ServerOptions::new(&Settings::default_for_tests(), Readiness::default()) };
    let under_way = options.under_way.clone();
    let server = common::http::serve(listener, options, |config| {
        config.route("/begin", web::get().to(begin));
        config.route("/here", web::get().to(here));
        config.route("/ask", web::get().to(ask));
    });
    let server = server.unwrap();
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    let url = move |path: &str| format!("http://{address}/{path}");
    // The connection of this client is closed after it, so that its worker is idle.
    text(&client(), url("begin")).await;

    // Connections are dealt out in turn.
    let mut other = client();
    while text(&other, url("here")).await == "true" {
        other = client();
    }
    let asking = actix_web::rt::spawn(async move { text(&other, url("ask")).await });
    while under_way.is_idle() {
        tokio::task::yield_now().await;
    }
    under_way.stop(&handle, Duration::from_secs(10)).await;
    assert_eq!(asking.await.unwrap(), "answered");
    serving.await.unwrap().unwrap();
}
