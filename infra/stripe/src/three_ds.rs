//! The bank's page of the 3-D Secure test cards: two buttons, no script.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{self, Data, Form, Path, ServiceConfig};
use serde::Deserialize;
use url::Url;

use crate::app::{App, Origin};
use crate::intents::{Intent, Status};
use crate::payments;

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.route("/test/3ds/{id}", web::get().to(ask)).route("/test/3ds/{id}", web::post().to(decide));
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Approve,
    Fail,
}

#[derive(Deserialize)]
struct Answer {
    decision: Decision,
}

fn find(app: &App, id: &str) -> Option<Intent> {
    app.store.lock().books.intents.get(id).cloned()
}

async fn ask(app: Data<App>, id: Path<String>) -> HttpResponse {
    match find(&app, &id) {
        Some(intent) if intent.status == Status::RequiresAction => page(200, &question(&intent)),
        Some(intent) => leave(&intent),
        None => page(404, "<p>There is no such payment.</p>"),
    }
}

async fn decide(app: Data<App>, id: Path<String>, answer: Form<Answer>) -> HttpResponse {
    let approved = matches!(answer.decision, Decision::Approve);
    app.run(&Origin::default(), |call| payments::authenticate(call, &id, approved).map(|_| serde_json::Value::Null));
    match find(&app, &id) {
        Some(intent) => leave(&intent),
        None => page(404, "<p>There is no such payment.</p>"),
    }
}

/// Back to the shop, or, where it gave no address, a last word. A second click on a
/// button ends here as well, with what the first one decided.
fn leave(intent: &Intent) -> HttpResponse {
    let outcome = if intent.status == Status::Succeeded { "succeeded" } else { "failed" };
    let back = intent.return_url.as_deref().and_then(|url| Url::parse(url).ok());
    match back {
        Some(mut url) => {
            url.query_pairs_mut()
                .append_pair("payment_intent", &intent.id)
                .append_pair("payment_intent_client_secret", &intent.client_secret)
                .append_pair("redirect_status", outcome);
            HttpResponse::SeeOther().insert_header((header::LOCATION, url.as_str())).finish()
        }
        None => page(200, &format!("<p>The authentication has {outcome}. You may close this page.</p>")),
    }
}

/// Nothing in here comes from outside but a checked amount and currency.
fn question(intent: &Intent) -> String {
    let (amount, currency) = (intent.amount, intent.currency.to_ascii_uppercase());
    format!(
        "<p>A payment of {amount} {currency} (in the smallest unit) waits for your consent.</p>\
         <form method=\"post\">\
         <button name=\"decision\" value=\"approve\">Approve</button> \
         <button name=\"decision\" value=\"fail\">Fail</button>\
         </form>"
    )
}

fn page(status: u16, content: &str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default();
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>3-D Secure (test mode)</title>\
             <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:30rem;margin:4rem auto;padding:0 1rem}}\
             button{{font:inherit;padding:.5rem 1.5rem;min-height:44px}}</style></head>\
             <body><main><h1>3-D Secure (test mode)</h1>{content}</main></body></html>"
        ))
}
