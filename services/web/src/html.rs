//! Answers as pages: templates, redirects, and failures told to people.

use actix_web::body::{BoxBody, MessageBody as _};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpResponse};
use askama::Template;
use common::http::Problem;
use common::telemetry::Seldom;

use crate::coding::Coding;
use crate::failure::{ApiProblem, Failure};
use crate::shell::{Shell, next_query};
use crate::visit::{Known, Visit};
use crate::{Web, is_of_the_api};

/// What a handler answers.
pub(crate) type Answered = Result<HttpResponse, Failure>;

/// Scripts, styles and pictures of our own only. Sellers' pictures come from anywhere, by https.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' https: data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'";

/// The same with what Stripe's Payment Element needs (<https://docs.stripe.com/security/guide#content-security-policy>), for pages
/// that take cards.
const POLICY_WITH_STRIPE: &str = "default-src 'none'; script-src 'self' https://js.stripe.com https://*.js.stripe.com; \
    style-src 'self'; font-src 'self'; img-src 'self' https: data:; connect-src 'self' https://api.stripe.com; \
    frame-src https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'";

/// What pages may use of the device.
const PERMITTED: &str = "camera=(self), microphone=(), geolocation=(), payment=()";

/// The same for pages that take cards: Stripe's frames may offer the browser's wallets.
const PERMITTED_WITH_STRIPE: &str = "camera=(self), microphone=(), geolocation=(), \
    payment=(self \"https://js.stripe.com\" \"https://*.js.stripe.com\")";

/// A year of nothing but https, as far as this host is concerned; those below it may be somebody else's.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

const RETRY_AFTER_SECONDS: &str = "2";

const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

/// A page.
pub(crate) fn page(template: &impl Template) -> Answered {
    with_status(StatusCode::OK, template)
}

/// A page with another status than 200.
fn with_status(status: StatusCode, template: &impl Template) -> Answered {
    let body = template.render().map_err(crate::visit::broken)?;
    let mut response = HttpResponse::build(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header((header::RETRY_AFTER, RETRY_AFTER_SECONDS));
    }
    Ok(response.content_type("text/html; charset=utf-8").body(body))
}

/// The page of a form that was sent: with the status of what is wrong with it, if anything is.
pub(crate) fn form_page(problem: Option<&ApiProblem>, template: &impl Template) -> Answered {
    with_status(problem.map_or(StatusCode::OK, ApiProblem::status_code), template)
}

/// A page on which cards are typed into Stripe's own frames.
pub(crate) fn page_with_stripe(template: &impl Template) -> Answered {
    let mut response = page(template)?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY_WITH_STRIPE));
    headers.insert(PERMISSIONS, HeaderValue::from_static(PERMITTED_WITH_STRIPE));
    Ok(response)
}

/// To another page, which is got by GET.
pub(crate) fn go(to: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, to)).finish()
}

/// Gives every answer of the pages what it must have, and tells failures as pages.
pub(crate) async fn dress(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    let coding = Coding::accepted(request.headers());
    let secure = request.app_data::<Data<Web>>().is_some_and(|web| web.secure);
    let response = next.call(request).await?;
    let mut response = with_failure_told(response).await;
    let known = response.request().extensions().get::<Known>().map(Known::take_cookies).unwrap_or_default();
    for cookie in known.iter().filter_map(|cookie| HeaderValue::from_str(cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    protect(response.headers_mut());
    if secure {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
    }
    Ok(compressed(response, coding))
}

/// The answer itself, or the page that says why there is none.
async fn with_failure_told(response: ServiceResponse) -> ServiceResponse {
    let failure = response.response().error().and_then(|error| error.as_error::<Failure>());
    let Some(failure) = failure else { return response };
    // While a service is away, nobody waits longer to be told so.
    let ask = failure.is_final() && !matches!(failure, Failure::SignIn { .. });
    let shell = Visit::shell_of(response.request(), ask).await;
    let told = told(failure, shell);
    response.into_response(told)
}

/// The answer in a coding that its visitor takes, if it is a page and whole. Events are told one by one, and so not coded.
fn compressed(response: ServiceResponse, coding: Option<Coding>) -> ServiceResponse {
    let is_page =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !is_page {
        return response;
    }
    let mut coded = None;
    let mut response = response.map_body(|_, body| match (body.try_into_bytes(), coding) {
        (Ok(bytes), Some(coding)) => match coding.code(&bytes) {
            Ok(smaller) => {
                coded = Some(coding);
                BoxBody::new(smaller)
            }
            Err(_) => BoxBody::new(bytes),
        },
        (Ok(bytes), None) => BoxBody::new(bytes),
        (Err(body), _) => body,
    });
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(coding) = coded {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }
    response
}

/// Gives an answer the headers that all pages have.
fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "same-origin"),
        (PERMISSIONS, PERMITTED),
    ] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// The page that says that an address of ours had no answer: it took too long, or failed. The request and what was learnt in it are gone
/// by then, and to ask once more who is signed in is a call that may hang after all that time. So the page is that of a visitor.
pub(crate) fn fault_page(path: &str, fault: &Problem, request_id: &str) -> Option<HttpResponse> {
    if is_of_the_api(path) {
        return None;
    }
    let (heading, text, _) = if fault.status() == StatusCode::SERVICE_UNAVAILABLE { no_answer() } else { our_fault() };
    let page = FailurePage { shell: Shell::new(None, "/"), heading, text, request_id: Some(request_id.to_owned()) };
    let mut response = with_status(fault.status(), &page).ok()?;
    protect(response.headers_mut());
    Some(response)
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    shell: Shell,
    heading: &'static str,
    text: String,
    request_id: Option<String>,
}

/// While an API is away, no page can be shown.
fn tell_broken(reason: &str) {
    static BROKEN: Seldom = Seldom::new();
    match BROKEN.write("page") {
        Some(others) => tracing::warn!(reason, others, "a page could not be shown"),
        None => tracing::debug!(reason, "a page could not be shown"),
    }
}

/// The page that says what went wrong.
fn told(failure: &Failure, shell: Shell) -> HttpResponse {
    if let Failure::SignIn { next } = failure {
        return go(&format!("/signin?{}", next_query(next)));
    }
    if let Failure::Broken(reason) = failure {
        tell_broken(reason);
    }
    let status = actix_web::ResponseError::status_code(failure);
    let (heading, text, request_id) = match failure {
        Failure::Refused(problem) if problem.status == 404 => nothing_here(),
        Failure::NotFound => nothing_here(),
        Failure::Refused(problem) if problem.says_busy() => very_busy(),
        Failure::Refused(problem) if problem.status == 503 => no_answer(),
        Failure::Full => very_busy(),
        Failure::Refused(problem) => ("That did not work", problem.words(), problem.request_id.clone()),
        _ => no_answer(),
    };
    let page = FailurePage { shell, heading, text, request_id };
    with_status(status, &page).unwrap_or_else(|_| HttpResponse::InternalServerError().finish())
}

fn nothing_here() -> (&'static str, String, Option<String>) {
    ("Nothing here", "There is no such page, or it is not yours to see.".to_owned(), None)
}

fn no_answer() -> (&'static str, String, Option<String>) {
    let text = "Part of Docket does not answer. Nothing is lost: please try again in a moment.";
    ("Out of order", text.to_owned(), None)
}

fn our_fault() -> (&'static str, String, Option<String>) {
    ("That did not work", "Something broke here, and whoever runs this place can see what.".to_owned(), None)
}

fn very_busy() -> (&'static str, String, Option<String>) {
    let text = "Many people are here at this moment. Nothing is lost: please try again in a few seconds.";
    ("Very busy just now", text.to_owned(), None)
}

/// The body of an answer that has one piece.
pub(crate) fn download(body: bytes::Bytes, media_type: &str, name: &str) -> HttpResponse {
    let disposition = format!("attachment; filename=\"{name}\"");
    HttpResponse::Ok().content_type(media_type).insert_header((header::CONTENT_DISPOSITION, disposition)).body(body)
}
