//! A whole Docket in this process, on the servers of the run.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_nats::jetstream::{self, Context};
use common::bus::{DOMAINS, EventRecord, Namespace};
use common::clock::Time;
use common::service::{Running, Service, start};
use common::settings::Settings;
use common::store::EventArchive;
use docket_stripe::{Options, StripeStandIn};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

use crate::{Person, namespace, servers};

/// The administrator's address in the tests.
pub const ADMIN: &str = "admin@example.com";

/// A running Docket with a Stripe stand-in of its own.
pub struct App {
    running: Mutex<Option<Running>>,
    http: SocketAddr,
    ops: SocketAddr,
    stripe: StripeStandIn,
    settings: Settings,
    /// Whether nobody else works on its data: its namespace is its own.
    owns_data: bool,
    _data: TempDir,
}

impl App {
    /// Every service in one process, as `cargo run` has them.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::of(Self::services(), change).await
    }

    /// Only these services in one process.
    pub async fn of(services: Vec<Service>, change: impl FnOnce(&mut Settings)) -> Self {
        let stripe = StripeStandIn::start(Options::default()).await.expect("the Stripe stand-in starts");
        let mut settings = Self::settings(&stripe);
        let data = TempDir::new().expect("a folder for the mails can be made");
        data.path().clone_into(&mut settings.data_dir);
        let own = settings.namespace.clone();
        change(&mut settings);
        let owns_data = settings.namespace == own;
        refuse_scans(&settings).await;
        let running = start(services, settings.clone()).await.expect("Docket starts");
        let (http, ops) = (running.http_addr(), running.ops_addr());
        let running = Mutex::new(Some(running));
        let app = Self { running, http, ops, stripe, settings, owns_data, _data: data };
        app.send_webhooks_to(&app.base());
        app
    }

    /// Every service there is.
    pub fn services() -> Vec<Service> {
        vec![
            auth::service(),
            tickets::service(),
            orders::service(),
            expiration::service(),
            payments::service(),
            web::service(),
        ]
    }

    /// Settings for a Docket of its own on the shared servers.
    pub fn settings(stripe: &StripeStandIn) -> Settings {
        let mut settings = Settings::default_for_tests();
        let servers = servers();
        let stand_in = Options::default();
        settings.mongodb_uri = Some(SecretString::from(servers.mongodb_uri));
        settings.nats_url = Some(SecretString::from(servers.nats_url));
        settings.namespace = namespace();
        settings.bootstrap_admin_email = Some(ADMIN.to_owned());
        settings.stripe_secret_key = Some(SecretString::from(stand_in.secret_key));
        settings.stripe_webhook_secret = vec![SecretString::from(stand_in.webhook_secret)];
        settings.stripe_api_base = Some(stripe.base_url().parse().expect("the stand-in has a valid address"));
        settings
    }

    /// The settings it was started with.
    pub fn settings_used(&self) -> &Settings {
        &self.settings
    }

    /// Its address.
    pub fn base(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The address of its health checks and metrics.
    pub fn ops(&self) -> String {
        format!("http://{}", self.ops)
    }

    /// The Stripe stand-in's address, for its control API.
    pub fn stripe(&self) -> String {
        self.stripe.base_url()
    }

    /// Somebody who is not signed in.
    pub fn visitor(&self) -> Person {
        Person::visitor(&self.base())
    }

    /// Somebody who has just signed up.
    pub async fn sign_up(&self) -> Person {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Person::sign_up(&self.base(), &format!("person{}@example.com", NEXT.fetch_add(1, Ordering::Relaxed))).await
    }

    /// The administrator, who has shown that the address is theirs.
    pub async fn admin(&self) -> Person {
        let admin = Person::sign_up(&self.base(), ADMIN).await;
        admin.verify_email().await;
        admin
    }

    /// The database of a service, for looking behind the API.
    pub async fn database(&self, service: &str) -> mongodb::Database {
        let uri = self.settings.mongodb_uri.as_ref().expect("settings() sets it");
        let client = mongodb::Client::with_uri_str(uri.expose_secret()).await.expect("MongoDB answers");
        client.database(&format!("{}_{service}", self.settings.namespace))
    }

    /// JetStream, for looking behind the API and for what another process would publish.
    pub async fn jetstream(&self) -> Context {
        let url = self.settings.nats_url.as_ref().expect("settings() sets it");
        jetstream::new(async_nats::connect(url.expose_secret()).await.expect("NATS answers"))
    }

    /// The name of the stream of a domain.
    pub fn stream(&self, domain: &str) -> String {
        Namespace::new(&self.settings.namespace).stream(domain)
    }

    /// The events that a service has published, as its archive has them.
    pub async fn published(&self, service: &str) -> Vec<EventRecord> {
        let archive = EventArchive::new(&self.database(service).await.into());
        let mut published =
            archive.within(Time::from_millis(0)..=Time::from_millis(i64::MAX)).await.expect("MongoDB answers");
        let mut events = Vec::new();
        while let Some(more) = published.next_batch().await.expect("the archive can be read") {
            events.extend(more);
        }
        events
    }

    /// Stops it in good order, and leaves its data and the Stripe stand-in to processes that go on with them.
    pub async fn stop_serving(&self) {
        let running = self.running.lock().expect("no test panics while it holds this").take();
        if let Some(running) = running {
            running.stop().await;
        }
    }

    /// Serves again with the same settings, at another address, after [`App::stop_serving`].
    pub async fn serve_again(&mut self) {
        let running = start(Self::services(), self.settings.clone()).await.expect("Docket starts again");
        (self.http, self.ops) = (running.http_addr(), running.ops_addr());
        self.send_webhooks_to(&self.base());
        self.running = Mutex::new(Some(running));
    }

    /// Has Stripe tell nobody what happens, until [`App::serve_again`].
    pub fn lose_webhooks(&self) {
        self.stripe.set_webhook_url(None);
    }

    /// Has Stripe tell a Docket at another address what happens.
    fn send_webhooks_to(&self, base: &str) {
        self.stripe.set_webhook_url(Some(format!("{base}/api/payments/webhook")));
    }

    /// Stops it in good order, the Stripe stand-in too, and takes its own data off the servers of the run: with those of all
    /// tests a server would have tens of thousands of files open.
    pub async fn stop(self) {
        self.stop_serving().await;
        if self.owns_data {
            self.drop_databases().await;
            self.delete_streams().await;
        }
        self.stripe.stop().await;
    }

    async fn drop_databases(&self) {
        let uri = self.settings.mongodb_uri.as_ref();
        if uri.is_none_or(|uri| uri.expose_secret() != servers().mongodb_uri) {
            return;
        }
        for service in Self::services() {
            self.database(service.name()).await.drop().await.expect("a test's database can be dropped");
        }
    }

    async fn delete_streams(&self) {
        let url = self.settings.nats_url.as_ref();
        if url.is_none_or(|url| url.expose_secret() != servers().nats_url) {
            return;
        }
        let jetstream = self.jetstream().await;
        for stream in DOMAINS {
            // A test that does not serve every domain's owner has no stream of it.
            let _ = jetstream.delete_stream(self.stream(stream.domain)).await;
        }
    }
}

/// Has MongoDB refuse every query that no index serves, for all tests: one that needs a scan fails where it is made.
async fn refuse_scans(settings: &Settings) {
    let uri = settings.mongodb_uri.as_ref().expect("settings() sets it");
    let client = mongodb::Client::with_uri_str(uri.expose_secret()).await.expect("MongoDB answers");
    let refuse = bson::doc! { "setParameter": 1, "notablescan": true };
    client.database("admin").run_command(refuse).await.expect("a test server may be told");
}
