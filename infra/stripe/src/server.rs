//! The stand-in as a running server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App as Actix, HttpRequest, HttpResponse, HttpServer};
use tokio::task::JoinHandle;

use crate::app::App;
use crate::clock::{Clock, system_clock};
use crate::error::ApiError;
use crate::journal::JournalError;
use crate::store::SharedStore;
use crate::webhooks::{Endpoint, Webhooks};
use crate::{api, control, three_ds};

/// How a stand-in is started.
pub struct Options {
    /// Where it listens; port 0 takes any free one.
    pub addr: SocketAddr,
    /// The key that clients must present.
    pub secret_key: String,
    /// What webhooks are signed with.
    pub webhook_secret: String,
    /// Where webhooks go; none are sent as long as there is no address.
    pub webhook_url: Option<String>,
    /// The types of the events that are sent there, such as `payment_intent.succeeded`; all if none are named.
    pub webhook_events: Vec<String>,
    /// The file that keeps the books over a restart; without it they are in memory only.
    pub journal: Option<PathBuf>,
    /// The address browsers reach the stand-in under, if it is not the one it listens on.
    pub public_url: Option<String>,
    /// Where it takes the time from.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            secret_key: "sk_test_docket".to_owned(),
            webhook_secret: "whsec_docket".to_owned(),
            webhook_url: None,
            webhook_events: Vec::new(),
            journal: None,
            public_url: None,
            clock: system_clock(),
        }
    }
}

/// Why a stand-in did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not ours.
    #[error("the Stripe stand-in cannot listen on {addr}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The client that sends webhooks cannot be built.
    #[error("the Stripe stand-in cannot send webhooks")]
    Webhooks(#[from] reqwest::Error),
}

/// A running stand-in. Dropping it stops it as well, without waiting.
pub struct StripeStandIn {
    base_url: String,
    app: Data<App>,
    handle: ServerHandle,
    server: Option<JoinHandle<io::Result<()>>>,
}

impl StripeStandIn {
    /// Starts a stand-in on the current Tokio runtime.
    ///
    /// # Errors
    /// Where the address or the journal cannot be used.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        install_crypto();
        let addr = options.addr;
        let failed = |source| StartError::Listen { addr, source };
        let listener = TcpListener::bind(addr).map_err(failed)?;
        let base_url = base_url(listener.local_addr().map_err(failed)?);
        let app = Data::new(assemble(options, &base_url)?);
        let shared = app.clone();
        let server = HttpServer::new(move || {
            Actix::new()
                .app_data(shared.clone())
                .configure(api::routes)
                .configure(control::routes)
                .configure(three_ds::routes)
                .default_service(actix_web::web::to(unknown))
        });
        let server = server.workers(2).disable_signals().listen(listener).map_err(failed)?.run();
        let handle = server.handle();
        app.webhooks.resume();
        Ok(Self { base_url, app, handle, server: Some(tokio::spawn(server)) })
    }

    /// Where it is, without a slash at the end: what async-stripe's `ClientBuilder::url` takes.
    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// Sends webhooks to another address from now on, or to none.
    pub fn set_webhook_url(&self, url: Option<String>) {
        self.app.webhooks.set_url(url);
    }

    /// Stops serving and delivering, and waits until that is done.
    pub async fn stop(mut self) {
        self.app.webhooks.stop().await;
        self.handle.stop(false).await;
        if let Some(server) = self.server.take() {
            match server.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the Stripe stand-in ended badly"),
                Err(error) => tracing::warn!(%error, "the Stripe stand-in ended badly"),
            }
        }
    }
}

impl Drop for StripeStandIn {
    fn drop(&mut self) {
        self.app.webhooks.halt();
        // The command is sent by the call itself; the future only waits for the end.
        drop(self.handle.stop(false));
    }
}

fn assemble(options: Options, base_url: &str) -> Result<App, StartError> {
    let now = (options.clock)();
    let store = SharedStore::open(options.journal.as_deref(), now)?;
    let clock = Arc::clone(&options.clock);
    let endpoint = Endpoint::new(options.webhook_url, options.webhook_events);
    let webhooks = Webhooks::new(store.clone(), clock, options.webhook_secret, endpoint)?;
    let pages = options.public_url.unwrap_or_else(|| base_url.to_owned());
    Ok(App {
        secret_key: options.secret_key,
        clock: options.clock,
        pages: pages.trim_end_matches('/').to_owned(),
        store,
        faults: Mutex::default(),
        calls: Mutex::default(),
        webhooks,
    })
}

/// reqwest is built without a provider of its own and takes the process's; the first to install one wins.
fn install_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _already = rustls::crypto::ring::default_provider().install_default();
    }
}

fn base_url(mut addr: SocketAddr) -> String {
    if addr.ip().is_unspecified() {
        addr.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{addr}")
}

async fn unknown(req: HttpRequest) -> HttpResponse {
    let error = ApiError::unknown_url(req.method().as_str(), req.path());
    HttpResponse::NotFound().json(error.body())
}
