//! The levers that Stripe does not have: what a test pulls, and what it looks at. JSON, without a key.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::{App, Origin};
use crate::call::Call;
use crate::calls::Calls;
use crate::error::ApiError;
use crate::faults::Fault;
use crate::webhooks::{Mode, Redelivery};
use crate::{charges, disputes, form, payments, refunds, render};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .route("/test/webhooks", web::get().to(webhooks))
        .route("/test/webhooks/url", web::post().to(set_url))
        .route("/test/webhooks/mode", web::post().to(set_mode))
        .route("/test/webhooks/flush", web::post().to(flush))
        .route("/test/webhooks/redeliver", web::post().to(redeliver))
        .route("/test/webhooks/deliveries", web::get().to(deliveries))
        .route("/test/charges", web::get().to(count_charges))
        .route("/test/calls", web::get().to(count_calls))
        .route("/test/faults", web::get().to(count_faults))
        .route("/test/faults", web::post().to(add_fault))
        .route("/test/faults", web::delete().to(clear_faults))
        .route("/test/latency", web::post().to(set_latency))
        .route("/test/payment_intents/{id}/settle", web::post().to(settle))
        .route("/test/payment_intents/{id}/authenticate", web::post().to(authenticate))
        .route("/test/payment_intents/{id}/dispute", web::post().to(dispute))
        .route("/test/disputes/{id}/close", web::post().to(close_dispute))
        .route("/test/refunds/{id}/bounce", web::post().to(bounce));
}

fn run(app: &App, work: impl FnOnce(&mut Call<'_>) -> Result<Value, ApiError>) -> HttpResponse {
    let reply = app.run(&Origin::default(), work);
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).json(reply.body)
}

async fn webhooks(app: Data<App>) -> Json<Value> {
    let webhooks = &app.webhooks;
    Json(json!({
        "url": webhooks.url(),
        "mode": webhooks.mode(),
        "held": webhooks.held(),
        "running": webhooks.running(),
    }))
}

#[derive(Deserialize)]
struct Url {
    url: Option<String>,
}

async fn set_url(app: Data<App>, url: Json<Url>) -> HttpResponse {
    app.webhooks.set_url(url.into_inner().url);
    HttpResponse::NoContent().finish()
}

async fn set_mode(app: Data<App>, mode: Json<Mode>) -> HttpResponse {
    app.webhooks.set_mode(mode.into_inner());
    HttpResponse::NoContent().finish()
}

async fn flush(app: Data<App>) -> Json<Value> {
    Json(json!({ "events": app.webhooks.flush().await }))
}

async fn redeliver(app: Data<App>, wish: Json<Redelivery>) -> Json<Value> {
    Json(json!({ "events": app.webhooks.redeliver(wish.into_inner()).await }))
}

async fn deliveries(app: Data<App>) -> Json<Value> {
    Json(json!({ "data": app.webhooks.deliveries() }))
}

async fn count_charges(app: Data<App>, req: HttpRequest) -> HttpResponse {
    run(&app, |call| charges::count(call, form::decode(req.query_string())?))
}

async fn count_calls(app: Data<App>) -> Json<Calls> {
    Json(app.calls().clone())
}

async fn add_fault(app: Data<App>, fault: Json<Fault>) -> HttpResponse {
    app.faults().add(fault.into_inner());
    HttpResponse::NoContent().finish()
}

async fn count_faults(app: Data<App>) -> Json<Value> {
    Json(json!({ "struck": app.faults().struck() }))
}

async fn clear_faults(app: Data<App>) -> HttpResponse {
    app.faults().clear();
    HttpResponse::NoContent().finish()
}

#[derive(Deserialize)]
struct Latency {
    ms: u64,
}

async fn set_latency(app: Data<App>, latency: Json<Latency>) -> HttpResponse {
    app.faults().set_latency(Duration::from_millis(latency.ms));
    HttpResponse::NoContent().finish()
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Succeeded,
    Failed,
}

#[derive(Deserialize)]
struct Verdict {
    outcome: Outcome,
}

impl Verdict {
    fn is_success(&self) -> bool {
        matches!(self.outcome, Outcome::Succeeded)
    }
}

async fn settle(app: Data<App>, id: Path<String>, verdict: Json<Verdict>) -> HttpResponse {
    run(&app, |call| payments::settle(call, &id, verdict.is_success()))
}

async fn authenticate(app: Data<App>, id: Path<String>, verdict: Json<Verdict>) -> HttpResponse {
    run(&app, |call| {
        let intent = payments::authenticate(call, &id, verdict.is_success())?;
        Ok(render::intent(&call.view(), &intent, &[]))
    })
}

/// What a customer tells the bank.
#[derive(Deserialize)]
pub(crate) struct Complaint {
    /// `fraudulent` if not said.
    pub(crate) reason: Option<String>,
    /// How much, in the charge's minor units; all that is left of it if not said.
    pub(crate) amount: Option<i64>,
    /// The bank only asks.
    #[serde(default)]
    pub(crate) inquiry: bool,
}

async fn dispute(app: Data<App>, id: Path<String>, complaint: Json<Complaint>) -> HttpResponse {
    let complaint = complaint.into_inner();
    run(&app, |call| disputes::open(call, &id, complaint))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Won,
    Lost,
}

#[derive(Deserialize)]
struct Judgement {
    status: Decision,
}

async fn close_dispute(app: Data<App>, id: Path<String>, judgement: Json<Judgement>) -> HttpResponse {
    run(&app, |call| disputes::close(call, &id, matches!(judgement.status, Decision::Won)))
}

async fn bounce(app: Data<App>, id: Path<String>) -> HttpResponse {
    run(&app, |call| refunds::bounce(call, &id))
}
