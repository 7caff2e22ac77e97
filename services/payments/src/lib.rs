//! Payments: money in and out through Stripe, and the arbiter between paying and expiring.

mod api;
mod arbiter;
mod attention;
mod checkout;
mod decline;
mod gateway;
mod jobs;
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
use common::http::{Policy, routes};
use common::service::{Context, Finding, Health, Service, StartError};
use common::settings::Settings;
use metrics::Gauge;
use secrecy::SecretString;

use gateway::Gateway;
use meter::Webhooks;
use store::inbox::Inbox;
use store::{OrderReplicas, PaymentStore};

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
        .listen(listeners::on_order)
        .projection::<OrderEvent>(store::ORDERS)
        .job("attend", Duration::from_secs(2), jobs::attend)
        .job("webhooks", Duration::from_secs(10), jobs::handle_forgotten_webhooks)
        .job("count unsettled", Duration::from_secs(15), jobs::count_unsettled)
        .build()
}

/// Whether Stripe takes the key that the settings name.
pub async fn examine(settings: &Settings) -> Finding {
    let Ok(gateway) = Gateway::new(settings) else {
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
    inbox: Inbox,
    webhook_secrets: Vec<SecretString>,
    publishable_key: Option<String>,
    webhooks: Webhooks,
    unsettled: Gauge,
    clock: SharedClock,
}

impl Payments {
    async fn open(ctx: Context) -> Result<Self, StartError> {
        Ok(Self {
            payments: PaymentStore::new(ctx.aggregates(), ctx.clock()),
            orders: ctx.projection(store::ORDERS),
            gateway: Gateway::new(ctx.settings()).map_err(StartError::other)?,
            inbox: Inbox::new(ctx.database(), ctx.clock()),
            webhook_secrets: ctx.settings().stripe_webhook_secret.clone(),
            publishable_key: ctx.settings().stripe_publishable_key.clone(),
            webhooks: Webhooks::new(ctx.now()),
            unsettled: meter::unsettled(),
            clock: ctx.clock(),
        })
    }
}
