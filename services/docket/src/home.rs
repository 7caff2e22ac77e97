//! The documents of the API.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use common::service::Service;
use common::settings::Settings;
use utoipa_swagger_ui::SwaggerUi;

use crate::{demo, documents};

/// Pages that only this process has.
pub(crate) fn service() -> Service {
    Service::pages("documents", drop, |cfg| {
        cfg.route("/api/docs/asyncapi.json", web::get().to(events));
        cfg.service(SwaggerUi::new("/api/docs/{_:.*}").url("/api/docs/openapi.json", documents::openapi()));
        cfg.route("/api/docs", web::get().to(to_docs));
    })
}

async fn events() -> web::Json<serde_json::Value> {
    web::Json(documents::asyncapi(&common::events::registry()))
}

async fn to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/api/docs/")).finish()
}

/// Says where Docket is and how to get in.
#[expect(clippy::print_stdout, reason = "what a person who starts Docket looks for is not a log line")]
pub(crate) fn greet(base: &str, settings: &Settings, test_mode: bool) {
    println!("\n  Docket is at {base}  (API: {base}/api/docs)");
    if settings.demo {
        println!("  Demo: sign in as {} or {}, password {}", demo::SELLER, demo::BUYER, demo::PASSWORD);
    }
    if test_mode {
        println!("  Test mode: no money moves; pay with pm_card_visa");
    }
    println!("  Ctrl-C stops it\n");
}
