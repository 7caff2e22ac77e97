//! The part of Stripe's API that is spoken here.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Bytes, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::app::App;
use crate::params::Retrieve;
use crate::request::{get, post, post_admitted};
use crate::{access, charges, disputes, events, methods, payments, refunds};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .route("/v1/payment_intents", web::post().to(create_intent))
        .route("/v1/payment_intents/{id}", web::get().to(retrieve_intent))
        .route("/v1/payment_intents/{id}/confirm", web::post().to(confirm_intent))
        .route("/v1/payment_intents/{id}/cancel", web::post().to(cancel_intent))
        .route("/v1/payment_methods", web::post().to(create_method))
        .route("/v1/payment_methods", web::method(actix_web::http::Method::OPTIONS).to(allow_browsers))
        .route("/v1/charges/{id}", web::get().to(retrieve_charge))
        .route("/v1/refunds", web::post().to(create_refund))
        .route("/v1/refunds", web::get().to(list_refunds))
        .route("/v1/refunds/{id}", web::get().to(retrieve_refund))
        .route("/v1/refunds/{id}", web::post().to(update_refund))
        .route("/v1/disputes", web::get().to(list_disputes))
        .route("/v1/disputes/{id}", web::get().to(retrieve_dispute))
        .route("/v1/events", web::get().to(list_events))
        .route("/v1/events/{id}", web::get().to(retrieve_event));
}

async fn create_intent(app: Data<App>, req: HttpRequest, body: Bytes) -> HttpResponse {
    post(&app, &req, &body, payments::create).await
}

async fn retrieve_intent(app: Data<App>, req: HttpRequest, id: Path<String>) -> HttpResponse {
    get(&app, &req, |call, params: Retrieve| payments::retrieve(call, &id, &params.expand)).await
}

async fn confirm_intent(app: Data<App>, req: HttpRequest, id: Path<String>, body: Bytes) -> HttpResponse {
    post(&app, &req, &body, |call, params| payments::confirm(call, &id, params)).await
}

async fn cancel_intent(app: Data<App>, req: HttpRequest, id: Path<String>, body: Bytes) -> HttpResponse {
    post(&app, &req, &body, |call, params| payments::cancel(call, &id, params)).await
}

/// Open to browsers with a publishable key, in the place of Stripe.js.
async fn create_method(app: Data<App>, req: HttpRequest, body: Bytes) -> HttpResponse {
    let mut answer = match access::require_any_key(&app, &req) {
        Ok(()) => post_admitted(&app, &req, &body, |call, params| methods::register(call, &params)).await,
        Err(_) => post(&app, &req, &body, |call, params| methods::register(call, &params)).await,
    };
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer
}

async fn allow_browsers() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "POST"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, Idempotency-Key"))
        .finish()
}

async fn retrieve_charge(app: Data<App>, req: HttpRequest, id: Path<String>) -> HttpResponse {
    get(&app, &req, |call, _: Retrieve| charges::retrieve(call, &id)).await
}

async fn create_refund(app: Data<App>, req: HttpRequest, body: Bytes) -> HttpResponse {
    post(&app, &req, &body, refunds::create).await
}

async fn list_refunds(app: Data<App>, req: HttpRequest) -> HttpResponse {
    get(&app, &req, refunds::list).await
}

async fn retrieve_refund(app: Data<App>, req: HttpRequest, id: Path<String>) -> HttpResponse {
    get(&app, &req, |call, params: Retrieve| refunds::retrieve(call, &id, &params.expand)).await
}

async fn update_refund(app: Data<App>, req: HttpRequest, id: Path<String>, body: Bytes) -> HttpResponse {
    post(&app, &req, &body, |call, params| refunds::update(call, &id, params)).await
}

async fn list_disputes(app: Data<App>, req: HttpRequest) -> HttpResponse {
    get(&app, &req, disputes::list).await
}

async fn retrieve_dispute(app: Data<App>, req: HttpRequest, id: Path<String>) -> HttpResponse {
    get(&app, &req, |call, _: Retrieve| disputes::retrieve(call, &id)).await
}

async fn list_events(app: Data<App>, req: HttpRequest) -> HttpResponse {
    get(&app, &req, events::list).await
}

async fn retrieve_event(app: Data<App>, req: HttpRequest, id: Path<String>) -> HttpResponse {
    get(&app, &req, |call, _: Retrieve| events::retrieve(call, &id)).await
}
