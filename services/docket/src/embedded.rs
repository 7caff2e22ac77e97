//! What this process brings itself where the settings name nothing: MongoDB, NATS and a stand-in for Stripe.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::backoff::Backoff;
use common::bus::Publishing;
use common::service::{Running, StartError};
use common::settings::Settings;
use docket_local::{LocalServers, Options};
use docket_stripe::StripeStandIn;
use secrecy::SecretString;

use crate::preflight::wants_stand_in;
use crate::services;

/// Events that were refused for so long, by a `nats-server` that is connected, have it started again.
const STALLED: Duration = Duration::from_secs(6);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Waits after such a start. While the disk is full, a start does not help.
const WAITS: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(15));

/// The servers that this process has started.
pub(crate) struct Embedded {
    servers: Option<Arc<LocalServers>>,
    stripe: Option<StripeStandIn>,
}

impl Embedded {
    /// Starts what the settings leave open, and answers with settings that leave nothing open.
    pub(crate) async fn start(mut settings: Settings) -> Result<(Self, Settings), StartError> {
        let servers = start_servers(&mut settings).await?;
        let stripe = start_stripe(&mut settings).await?;
        Ok((Self { servers: servers.map(Arc::new), stripe }, settings))
    }

    /// Starts the servers that the settings leave open, and no stand-in for Stripe: for a look at them.
    pub(crate) async fn start_servers(mut settings: Settings) -> Result<(Self, Settings), StartError> {
        let servers = start_servers(&mut settings).await?;
        Ok((Self { servers: servers.map(Arc::new), stripe: None }, settings))
    }

    /// Has the Stripe stand-in send its webhooks to the API at `base`.
    pub(crate) fn send_webhooks_to(&self, base: &str) {
        if let Some(stripe) = &self.stripe {
            stripe.set_webhook_url(Some(format!("{base}/api/payments/webhook")));
        }
    }

    /// Has `nats-server` started again when it refuses events although it is connected: after a write to its disk has failed,
    /// it refuses all that belongs into the same file until then.
    pub(crate) fn heal(&self, running: &Running) {
        let Some(servers) = self.servers.clone().filter(|servers| servers.nats().is_some()) else { return };
        let publishing = running.publishing().cloned();
        running.supervise("heal nats-server", move |stop| {
            let (servers, publishing) = (servers.clone(), publishing.clone());
            async move { stop.run_until_cancelled(heal(&servers, publishing.as_ref())).await.unwrap_or(()) }
        });
    }

    /// Gives the broker what it has forgotten, if the machine went down while it ran.
    ///
    /// # Errors
    /// If a server does not answer; the next start tries again.
    pub(crate) async fn make_good(&self, settings: &Settings) -> Result<(), StartError> {
        let Some(servers) = self.servers.as_ref().filter(|servers| servers.lost_power()) else { return Ok(()) };
        let events = common::service::make_good(&services(), settings).await?;
        tracing::warn!(events, "the machine went down while Docket ran; its last events were published again");
        servers.made_good().map_err(StartError::other)
    }

    /// Whether no real money moves.
    pub(crate) fn test_mode(&self) -> bool {
        self.stripe.is_some()
    }

    /// Stops what was started.
    pub(crate) async fn stop(self) {
        if let Some(stripe) = self.stripe {
            stripe.stop().await;
        }
        // The tasks that shared the servers have ended with the services.
        if let Some(servers) = self.servers.and_then(Arc::into_inner) {
            servers.stop().await;
        }
    }
}

async fn heal(servers: &LocalServers, publishing: Option<&Publishing>) {
    let mut waits = WAITS.waits();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let stalled = publishing.map(Publishing::stalled_for).unwrap_or_default();
        if stalled < STALLED {
            if stalled.is_zero() {
                waits.begin_anew();
            }
            continue;
        }
        let Some(nats) = servers.nats() else { return };
        tracing::error!(?stalled, "nats-server refuses events although it is connected; it is started again");
        if let Err(error) = nats.restart().await {
            tracing::error!(%error, "nats-server was not started again");
        }
        tokio::time::sleep(waits.next_wait()).await;
    }
}

async fn start_servers(settings: &mut Settings) -> Result<Option<LocalServers>, StartError> {
    let (mongod, nats) = (settings.mongodb_uri.is_none(), settings.nats_url.is_none());
    if !mongod && !nats {
        return Ok(None);
    }
    let options = Options { mongod, nats, ..Options::new(&settings.data_dir) };
    let servers = LocalServers::start(options).await.map_err(StartError::other)?;
    let secret = |url: &str| SecretString::from(url.to_owned());
    if let Some(uri) = servers.mongodb_uri() {
        settings.mongodb_uri = Some(secret(uri));
    }
    if let Some(url) = servers.nats_url() {
        settings.nats_url = Some(secret(url));
    }
    Ok(Some(servers))
}

async fn start_stripe(settings: &mut Settings) -> Result<Option<StripeStandIn>, StartError> {
    if !wants_stand_in(settings) {
        return Ok(None);
    }
    let webhook_events = payments::WEBHOOK_EVENTS.map(str::to_owned).to_vec();
    let journal = Some(journal(&settings.data_dir)?);
    let options = docket_stripe::Options { webhook_events, journal, ..Default::default() };
    let (secret_key, webhook_secret) = (options.secret_key.clone(), options.webhook_secret.clone());
    let stripe = StripeStandIn::start(options).await.map_err(StartError::other)?;
    settings.stripe_secret_key = Some(SecretString::from(secret_key));
    settings.stripe_webhook_secret = vec![SecretString::from(webhook_secret)];
    // Browsers do not talk to the stand-in.
    settings.stripe_publishable_key = None;
    settings.stripe_api_base = Some(stripe.base_url().parse().map_err(StartError::other)?);
    Ok(Some(stripe))
}

/// Where the stand-in keeps its books, so that what was paid before a restart can still be refunded.
fn journal(data_dir: &Path) -> Result<std::path::PathBuf, StartError> {
    std::fs::create_dir_all(data_dir).map_err(StartError::other)?;
    Ok(data_dir.join("stripe.ndjson"))
}
