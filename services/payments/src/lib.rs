//! Payments: money in and out through Stripe, and the arbiter between paying and expiring.

mod api;
mod arbiter;
mod attention;
mod checkout;
mod decline;
pub mod dispute;
mod gateway;
mod jobs;
mod lanes;
mod listeners;
mod meter;
pub mod order;
pub mod payment;
mod problems;
pub mod refund;
mod refunds;
mod store;
mod webhook;

pub use webhook::WEBHOOK_EVENTS;

use std::time::Duration;

use common::clock::SharedClock;
use common::events::OrderEvent;
use common::http::{Policy, Status, routes};
use common::service::{Context, Finding, Health, Service, StartError};
use common::settings::Settings;
use metrics::{Counter, Gauge};
use moka::sync::Cache;
use secrecy::SecretString;

use gateway::{Gateway, Intent};
use lanes::Lanes;
use meter::Webhooks;
use payment::Payment;
use store::inbox::Inbox;
use store::{OrderReplicas, PaymentStore};

/// How often the jobs ask their lanes whether it is time for a turn. Mostly it is not, and the store is not asked.
const OFTEN: Duration = Duration::from_millis(200);

/// The payments service.
pub fn service() -> Service {
    Service::new("payments", Payments::open)
        .routes(routes! { api:
            pay => Policy::SignedIn, idempotent;
            list => Policy::SignedIn;
            config => Policy::Public;
            webhook => Policy::Webhook;
            detail => Policy::Owner;
            give_back => Policy::Owner, idempotent;
        })
        .indexes(store::indexes())
        .owns::<Payment>()
        .listen(listeners::on_order)
        .projection::<OrderEvent>(store::ORDERS)
        .job("close intents", OFTEN, jobs::close)
        .job("give back", OFTEN, jobs::give_back)
        .job("look at open payments", OFTEN, jobs::look)
        .job("webhooks", OFTEN, jobs::handle_waiting_webhooks)
        .job("find disputes", Duration::from_secs(300), jobs::find_disputes)
        .job("count unsettled", Duration::from_secs(15), jobs::count_unsettled)
        .build()
}

/// Whether Stripe takes the key that the settings name.
pub async fn examine(settings: &Settings) -> Finding {
    let Ok(gateway) = Gateway::new(settings, Status::default()) else {
        return Finding::new("stripe", Health::Ill, "STRIPE_SECRET_KEY is not set, or is none, so nobody can pay");
    };
    match gateway.greet().await {
        Ok(()) if gateway.test_mode() => Finding::new("stripe", Health::Well, "it takes the key; no real money moves"),
        Ok(()) => Finding::new("stripe", Health::Well, "it takes the key; real money moves"),
        Err(error) => Finding::new("stripe", Health::Ill, error.to_string()),
    }
}

/// What the service works with.
pub struct Payments {
    payments: PaymentStore,
    orders: OrderReplicas,
    gateway: Gateway,
    /// Intents as this process saw them a moment ago, by their ids.
    seen: Cache<String, Intent>,
    lanes: Lanes,
    inbox: Inbox,
    webhook_secrets: Vec<SecretString>,
    publishable_key: Option<String>,
    webhooks: Webhooks,
    unsettled: Gauge,
    doubled_refunds: Counter,
    left_by_disputes: Counter,
    clock: SharedClock,
}

impl Payments {
    async fn open(ctx: Context) -> Result<Self, StartError> {
        Ok(Self {
            payments: PaymentStore::new(ctx.aggregates(), ctx.clock()),
            orders: ctx.projection(store::ORDERS),
            gateway: Gateway::new(ctx.settings(), ctx.status()).map_err(StartError::other)?,
            seen: checkout::seen(),
            lanes: Lanes::default(),
            inbox: Inbox::new(ctx.database(), ctx.clock()),
            webhook_secrets: ctx.settings().stripe_webhook_secret.clone(),
            publishable_key: ctx.settings().stripe_publishable_key.clone(),
            webhooks: Webhooks::new(ctx.now()),
            unsettled: meter::unsettled(),
            doubled_refunds: meter::doubled_refunds(),
            left_by_disputes: meter::left_by_disputes(),
            clock: ctx.clock(),
        })
    }
}
