//! A small service that has one of everything.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use common::http::{
    Answer, Body, Created, Creation, Fields, IfMatch, MaybePrincipal, Page, Paging, PathOf, Policy, Principal, Problem,
    Query, Role, Route, Tagged, routes,
};
use common::id::TicketId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

pub(crate) const VERSION: i64 = 7;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) done: AtomicU32,
    pub(crate) started: Semaphore0,
    pub(crate) gate: Semaphore0,
}

/// A semaphore that begins with nothing to give.
pub(crate) struct Semaphore0(pub(crate) Semaphore);

impl Default for Semaphore0 {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

pub(crate) fn routes() -> Vec<Route> {
    routes! { self:
        anyone => Policy::Public;
        signed_in => Policy::SignedIn;
        owner => Policy::Owner;
        managers => Policy::Roles(&[Role::Manager]);
        webhook => Policy::Webhook;
        write => Policy::SignedIn;
        show => Policy::Public;
        current => Policy::Public;
        change => Policy::Public;
        order => Policy::Public;
        pages => Policy::Public;
        fault => Policy::Public;
        crash => Policy::Public;
        trace => Policy::Public;
        wait => Policy::SignedIn;
        large => Policy::Public;
        count => Policy::SignedIn, idempotent;
        make => Policy::SignedIn, idempotent;
    }
}

/// Who asked.
#[derive(Serialize, ToSchema)]
struct Seen {
    user: Option<String>,
}

#[utoipa::path(get, path = "/api/things/anyone", responses((status = 200, body = Seen)))]
async fn anyone(who: MaybePrincipal) -> web::Json<Seen> {
    web::Json(Seen { user: who.0.map(|who| who.user.to_string()) })
}

#[utoipa::path(get, path = "/api/things/signed-in", responses((status = 200, body = Seen)))]
async fn signed_in(who: Principal) -> web::Json<Seen> {
    web::Json(Seen { user: Some(who.user.to_string()) })
}

#[utoipa::path(get, path = "/api/things/owner", responses((status = 200)))]
async fn owner() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[utoipa::path(get, path = "/api/things/managers", responses((status = 200)))]
async fn managers() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[utoipa::path(post, path = "/api/things/webhook", responses((status = 200)))]
async fn webhook(who: MaybePrincipal) -> web::Json<Seen> {
    web::Json(Seen { user: who.0.map(|who| who.user.to_string()) })
}

#[utoipa::path(post, path = "/api/things/signed-in", responses((status = 204)))]
async fn write() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

#[utoipa::path(get, path = "/api/things/{id}", params(("id" = TicketId, Path)), responses((status = 200, body = String)))]
async fn show(PathOf(id): PathOf<TicketId>) -> Tagged<String> {
    Tagged { version: VERSION, body: id.to_string() }
}

/// A fixed path beside one with a parameter.
#[utoipa::path(get, path = "/api/things/current", responses((status = 200, body = String)))]
async fn current() -> &'static str {
    "current"
}

#[utoipa::path(put, path = "/api/things/{id}", params(("id" = TicketId, Path)), responses((status = 204)))]
async fn change(_id: PathOf<TicketId>, if_match: IfMatch) -> Result<HttpResponse, Problem> {
    if_match.check(VERSION)?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewOrder {
    ticket_id: TicketId,
    quantity: i64,
    note: Option<String>,
}

#[utoipa::path(post, path = "/api/things", request_body = NewOrder, responses((status = 201, body = String)))]
async fn order(Body(new): Body<NewOrder>) -> Result<Created<String>, Problem> {
    let mut fields = Fields::default();
    let quantity = fields.take("quantity", u8::try_from(new.quantity).map_err(|_| "must be 0 to 255"));
    let note = fields
        .take_optional("note", new.note, |note| if note.is_empty() { Err("must not be empty") } else { Ok(note) });
    let (quantity, _note) = fields.finish((quantity, note))?;
    Ok(Created { location: format!("/api/things/{}", new.ticket_id), version: 1, body: quantity.to_string() })
}

#[derive(Deserialize)]
struct Filter {
    from: Option<u32>,
}

#[utoipa::path(get, path = "/api/pages", params(Paging), responses((status = 200, body = Page<u32>)))]
async fn pages(filter: Query<Filter>, paging: Paging) -> Result<web::Json<Page<u32>>, Problem> {
    let after = paging.after::<u32>()?.or(filter.0.from).unwrap_or(0);
    let rows = (after + 1..=5).take(usize::try_from(paging.fetch()).unwrap()).collect();
    Ok(web::Json(Page::from_rows(rows, &paging, |row| *row)))
}

#[utoipa::path(get, path = "/api/fault", responses((status = 200)))]
async fn fault() -> Result<HttpResponse, Problem> {
    Err(Problem::internal(std::io::Error::other("the password is hunter2")))
}

#[utoipa::path(get, path = "/api/crash", responses((status = 200)))]
async fn crash() -> HttpResponse {
    panic!("the password is hunter2")
}

/// The trace of which the request is a part.
#[utoipa::path(get, path = "/api/trace", responses((status = 200)))]
async fn trace() -> String {
    common::telemetry::current_traceparent().unwrap_or_default()
}

/// Writes as soon as it is let.
#[utoipa::path(post, path = "/api/wait", responses((status = 204)))]
async fn wait(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    state.started.0.add_permits(1);
    state.gate.0.acquire().await.map_err(Problem::internal)?.forget();
    Ok(HttpResponse::NoContent().finish())
}

pub(crate) const LARGE: usize = 64 * 1024 * 1024;

/// More than any socket holds.
#[utoipa::path(get, path = "/api/large", responses((status = 200)))]
async fn large() -> HttpResponse {
    HttpResponse::Ok().body(vec![b'x'; LARGE])
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Make {
    /// How it is answered.
    status: u16,
    #[serde(default)]
    secret: bool,
}

/// Makes something, and answers as it is told; the body says what was made.
#[utoipa::path(post, path = "/api/made", request_body = Make, responses((status = 201)))]
async fn make(
    state: web::Data<State>,
    creation: Creation,
    Body(make): Body<Make>,
) -> Result<Answer<HttpResponse>, Problem> {
    state.done.fetch_add(1, Ordering::SeqCst);
    let status = StatusCode::from_u16(make.status).map_err(Problem::internal)?;
    if status.is_server_error() {
        return Err(Problem::unavailable(Duration::from_secs(1)));
    }
    let mut answer = HttpResponse::build(status);
    let made = json!({ "id": creation.id::<TicketId>(), "repeated": creation.is_repeated(), "secret": "the secret" });
    Ok(Answer::of(answer.json(made)).made_again(make.secret))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Count {
    by: u32,
    #[serde(default)]
    wait: bool,
}

/// Counts; by zero it is not available, by more than nine it is a conflict.
#[utoipa::path(post, path = "/api/count", request_body = Count, responses((status = 201, body = u32)))]
async fn count(state: web::Data<State>, Body(count): Body<Count>) -> Result<Created<u32>, Problem> {
    state.started.0.add_permits(1);
    if count.wait {
        state.gate.0.acquire().await.map_err(Problem::internal)?.forget();
    }
    let total = state.done.fetch_add(count.by.max(1), Ordering::SeqCst) + count.by;
    match count.by {
        0 => Err(Problem::unavailable(Duration::from_secs(1))),
        1..=9 => Ok(Created { location: format!("/api/counts/{total}"), version: total.into(), body: total }),
        _ => Err(Problem::conflict("too_much", "That is too much.").with("total", total)),
    }
}
