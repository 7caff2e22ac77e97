//! The pages people see. They call the services' public APIs as the visitor, so they have no rights and no data of their own;
//! what a page may show or do is decided there.

mod api_docs;
mod assets;
mod chart;
mod coding;
mod failure;
mod fields;
mod format;
mod html;
mod live;
mod local_time;
mod making;
mod model;
mod pages;
mod reader;
mod refreshes;
mod send_again;
mod shell;
mod typed_amount;
mod upstream;
mod visit;

use std::sync::Arc;
use std::time::Duration;

use actix_web::Route;
use actix_web::guard::{self, Guard, GuardContext};
use actix_web::middleware::from_fn;
use actix_web::web::{self, FormConfig, ServiceConfig, post};
use common::clock::SharedClock;
use common::http::{FaultPage, Problem};
use common::service::{Service, Site};

use live::{Looks, Seats, Streams};
use model::{Order, Sale, Ticket};
use pages::{account, bought, check_in, dev_mail, door, home, order, passes, password, profile, sales, sell, ticket};
use refreshes::Refreshes;
use upstream::Upstream;
pub use upstream::examine;

/// The largest form: a long description in any script, twice, as forms write it.
const FORM_LIMIT: usize = 512 * 1024;

/// The service.
pub fn service() -> Service {
    Service::pages("web", Web::open, routes)
}

/// The pages, by address. Whether somebody may see one is for the APIs to say.
fn routes(config: &mut ServiceConfig) {
    config.app_data(FaultPage(html::fault_page));
    config.route("/assets/{name}", get().to(assets::serve));
    api_docs::routes(config);
    let pages = web::scope("")
        .wrap(from_fn(html::dress))
        .guard(NotTheApi)
        .app_data(FormConfig::default().limit(FORM_LIMIT))
        .route("/", get().to(home::show))
        .route("/tickets/{id}", get().to(ticket::show))
        .route("/tickets/{id}/live", get().to(ticket::live))
        .route("/tickets/{id}/hold", get().to(ticket::back))
        .route("/tickets/{id}/hold", post().to(ticket::hold))
        .route("/orders", get().to(order::list))
        .route("/orders/{id}", get().to(order::show))
        .route("/orders/{id}/live", get().to(order::live))
        .route("/orders/{id}/pay", get().to(order::back))
        .route("/orders/{id}/pay", post().to(order::pay))
        .route("/orders/{id}/intent", post().to(order::intent))
        .route("/orders/{id}/cancel", post().to(order::cancel))
        .route("/orders/{id}/passes", get().to(passes::show))
        .route("/sales", get().to(sales::list))
        .route("/sales/new", get().to(sell::new_form))
        .route("/sales/new", post().to(sell::create))
        .route("/sales/{id}", get().to(sales::show))
        .route("/sales/{id}/live", get().to(sales::live))
        .route("/sales/{id}/orders/{order}", get().to(bought::show))
        .route("/sales/{id}/orders/{order}/refund", get().to(bought::back))
        .route("/sales/{id}/orders/{order}/refund", post().to(bought::give_back))
        .route("/sales/{id}/orders.csv", get().to(sales::export))
        .route("/sales/{id}/edit", get().to(sell::edit_form))
        .route("/sales/{id}/edit", post().to(sell::edit))
        .route("/sales/{id}/withdraw", get().to(sales::back))
        .route("/sales/{id}/withdraw", post().to(sales::withdraw))
        .route("/check-in", get().to(check_in::shows))
        .route("/check-in", post().to(check_in::check))
        .route("/check-in/{id}", get().to(door::show))
        .route("/check-in/{id}", post().to(door::check))
        .route("/check-in/{id}/live", get().to(door::live))
        .route("/check-in/{id}/undo", get().to(door::back))
        .route("/check-in/{id}/undo", post().to(door::undo))
        .route("/signin", get().to(account::sign_in_form))
        .route("/signin", post().to(account::sign_in))
        .route("/signup", get().to(account::sign_up_form))
        .route("/signup", post().to(account::sign_up))
        .route("/signout", post().to(account::sign_out))
        .route("/forgot-password", get().to(password::forgot_form))
        .route("/forgot-password", post().to(password::forgot))
        .route("/reset-password", get().to(password::reset_form))
        .route("/reset-password", post().to(password::reset))
        .route("/verify-email", get().to(password::verify_form))
        .route("/verify-email", post().to(password::verify))
        .route("/profile", get().to(profile::show))
        .route("/profile/name", post().to(profile::rename))
        .route("/profile/password", post().to(profile::change_password))
        .route("/profile/verification", post().to(profile::send_verification))
        .route("/profile/sessions/{id}/end", post().to(profile::end_session))
        .route("/profile/keys", get().to(profile::back))
        .route("/profile/keys", post().to(profile::make_key))
        .route("/profile/keys/{id}/end", post().to(profile::end_key))
        .route("/dev/mail", get().to(dev_mail::show))
        .default_service(web::to(pages::nothing));
    config.service(pages);
    config.service(web::scope("").guard(TheApiElsewhere).default_service(web::to(away)));
}

/// A page can be asked for, or only what its head would be.
fn get() -> Route {
    Route::new().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// What the pages work with.
pub struct Web {
    upstream: Arc<Upstream>,
    refreshes: Refreshes,
    seats: Seats,
    listings: Looks<Ticket>,
    orders: Looks<order::Standing>,
    paid_orders: Looks<Order>,
    sales: Looks<sales::Facts>,
    doors: Looks<Sale>,
    /// Whether the APIs are in other processes.
    apart: bool,
    clock: SharedClock,
    /// Whether people come to it by https.
    secure: bool,
    /// The time zone of the business, in which most shows take place.
    zone: String,
    streams: Streams,
}

impl Web {
    fn open(site: Site) -> Self {
        if !assets::complete() {
            tracing::warn!("the pages lack scripts and fonts: install Node 20 or newer, and build again");
        }
        let upstream = Arc::new(Upstream::new(site.settings()));
        let apart = site.settings().api_url.is_some();
        if apart {
            for service in upstream::services() {
                let first = upstream.clone();
                site.not_ready_before(service, async move { first.until_reached(service).await });
            }
        }
        Self {
            upstream,
            refreshes: Refreshes::new(),
            seats: Seats::new(),
            listings: Looks::new(),
            orders: Looks::new(),
            paid_orders: Looks::new(),
            sales: Looks::new(),
            doors: Looks::new(),
            apart,
            secure: site.settings().public_url().scheme() == "https",
            clock: site.clock(),
            zone: site.settings().business_time_zone.iana_name().unwrap_or("UTC").to_owned(),
            streams: Streams::new(site.closing()),
        }
    }
}

/// Everything but the APIs, whose unknown addresses are answered in their own way.
struct NotTheApi;

impl Guard for NotTheApi {
    fn check(&self, ctx: &GuardContext<'_>) -> bool {
        !is_api(ctx)
    }
}

/// The APIs, where they are in other processes.
struct TheApiElsewhere;

impl Guard for TheApiElsewhere {
    fn check(&self, ctx: &GuardContext<'_>) -> bool {
        is_api(ctx) && ctx.app_data::<web::Data<Web>>().is_some_and(|web| web.apart)
    }
}

fn is_api(ctx: &GuardContext<'_>) -> bool {
    is_of_the_api(ctx.head().uri.path())
}

fn is_of_the_api(path: &str) -> bool {
    path == "/api" || ["/api/", "/.well-known/"].iter().any(|api| path.starts_with(api))
}

/// What an ingress sends here because nobody serves it at this moment: "not found" would be taken for an answer of the API.
async fn away() -> Result<&'static str, Problem> {
    Err(Problem::unavailable(Duration::from_secs(2)))
}
