//! The pages people see. They call the services' public APIs as the visitor, so they have no rights and no data of their own;
//! what a page may show or do is decided there.

mod assets;
mod failure;
mod format;
mod html;
mod live;
mod model;
mod pages;
mod refreshes;
mod shell;
mod upstream;
mod visit;

use std::sync::Arc;

use actix_web::Route;
use actix_web::guard::{self, Guard, GuardContext};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig, post};
use common::clock::SharedClock;
use common::service::{Context, Service, StartError};
use tokio_util::sync::CancellationToken;

use live::Listings;
use pages::{account, home, order, ticket};
use refreshes::Refreshes;
use upstream::Upstream;

/// The service.
pub fn service() -> Service {
    Service::new("web", Web::open).pages(routes).build()
}

/// The pages, by address. Whether somebody may see one is for the APIs to say.
fn routes(config: &mut ServiceConfig) {
    config.route("/assets/{name}", get().to(assets::serve));
    let pages = web::scope("")
        .wrap(from_fn(html::dress))
        .guard(NotTheApi)
        .route("/", get().to(home::show))
        .route("/tickets/{id}", get().to(ticket::show))
        .route("/tickets/{id}/live", get().to(ticket::live))
        .route("/tickets/{id}/hold", post().to(ticket::hold))
        .route("/orders", get().to(order::list))
        .route("/orders/{id}", get().to(order::show))
        .route("/orders/{id}/live", get().to(order::live))
        .route("/orders/{id}/pay", get().to(order::back))
        .route("/orders/{id}/pay", post().to(order::pay))
        .route("/orders/{id}/intent", post().to(order::intent))
        .route("/orders/{id}/cancel", post().to(order::cancel))
        .route("/signin", get().to(account::sign_in_form))
        .route("/signin", post().to(account::sign_in))
        .route("/signup", get().to(account::sign_up_form))
        .route("/signup", post().to(account::sign_up))
        .route("/signout", post().to(account::sign_out))
        .default_service(web::to(pages::nothing));
    config.service(pages);
}

/// A page can be asked for, or only what its head would be.
fn get() -> Route {
    Route::new().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// What the pages work with.
pub struct Web {
    upstream: Arc<Upstream>,
    refreshes: Refreshes,
    listings: Listings,
    clock: SharedClock,
    closing: CancellationToken,
}

impl Web {
    async fn open(ctx: Context) -> Result<Self, StartError> {
        if !assets::complete() {
            tracing::warn!("the pages lack scripts and fonts: install Node 20 or newer, and build again");
        }
        let upstream = Arc::new(Upstream::new(ctx.settings()));
        let listings = Listings::new(upstream.clone());
        Ok(Self { upstream, refreshes: Refreshes::new(), listings, clock: ctx.clock(), closing: ctx.closing() })
    }
}

/// Everything but the APIs, whose unknown addresses are answered in their own way.
struct NotTheApi;

impl Guard for NotTheApi {
    fn check(&self, ctx: &GuardContext<'_>) -> bool {
        let path = ctx.head().uri.path();
        !["/api/", "/.well-known/"].iter().any(|api| path.starts_with(api))
    }
}
