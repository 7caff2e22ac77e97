//! The documents of the API, as they stand in `docs`: all calls, to try out, and all events. `cargo xtask check` holds
//! them against the code.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use utoipa_swagger_ui::{Config, SwaggerUi};

const OPENAPI: &str = include_str!("../../../docs/openapi.json");
const ASYNCAPI: &str = include_str!("../../../docs/asyncapi.json");

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.route("/api/docs/openapi.json", web::get().to(async || document(OPENAPI)));
    config.route("/api/docs/asyncapi.json", web::get().to(async || document(ASYNCAPI)));
    config.service(SwaggerUi::new("/api/docs/{_:.*}").config(Config::from("/api/docs/openapi.json")));
    config.route("/api/docs", web::get().to(to_docs));
}

fn document(text: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type(header::ContentType::json()).body(text)
}

async fn to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/api/docs/")).finish()
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::{App, test};

    use super::*;

    #[actix_web::test]
    async fn the_documents_are_served_beside_the_page_that_shows_them() {
        let app = test::init_service(App::new().configure(routes)).await;
        for (path, status, kind) in [
            ("/api/docs/openapi.json", StatusCode::OK, "application/json"),
            ("/api/docs/asyncapi.json", StatusCode::OK, "application/json"),
            ("/api/docs/", StatusCode::OK, "text/html"),
            ("/api/docs", StatusCode::PERMANENT_REDIRECT, ""),
        ] {
            let answer = test::call_service(&app, test::TestRequest::get().uri(path).to_request()).await;
            let told = answer.headers().get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap());
            assert!(answer.status() == status && told.starts_with(kind), "{path}: {} {told}", answer.status());
        }
    }
}
