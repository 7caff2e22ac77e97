//! How an order stands: what its page shows of the order, its payment and its passes.
//!
//! Open pages share one look at it. It asks no more than the services have in their databases: the address of the bank's page,
//! for which Stripe is asked, is asked for once by each page that shows it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::Web;
use crate::failure::Failure;
use crate::live::{Look, Pace};
use crate::model::{Items, Order, OrderStatus, Page, Pass, Payment, PaymentStatus};
use crate::reader::{Asks, Reader};

/// How often an order is asked for while its page is open.
const PACE: Pace = Pace { quick: Duration::from_secs(1), slow: Duration::from_secs(2) };

/// How often a paid order is asked for, of which little is to be expected.
const PACE_OF_PAID: Pace = Pace { quick: Duration::from_secs(3), slow: Duration::from_secs(5) };

/// How an order stands.
#[derive(Clone, PartialEq)]
pub(crate) struct Standing {
    pub(crate) order: Order,
    pub(crate) payment: Option<Payment>,
    pub(crate) passes: Vec<Pass>,
}

impl Standing {
    pub(super) async fn of(asks: &impl Asks, id: &str) -> Result<Self, Failure> {
        let (order, payments) = (format!("/api/orders/{id}"), format!("/api/payments?orderId={id}"));
        let (order, payments) = futures::join!(asks.read::<Order>(&order), asks.read::<Page<Payment>>(&payments));
        let (order, payments) = (order?, payments?);
        let passes = if order.status == OrderStatus::Complete { passes(asks, id).await? } else { Vec::new() };
        Ok(Self { order, payment: payments.items.into_iter().next(), passes })
    }

    /// The same with the address of the bank's page, if the bank asks something; as it is now, if meanwhile the bank has asked all
    /// it wanted. The address is told to the buyer alone, and only when they want to go on.
    pub(super) async fn with_the_banks_page(mut self, asks: &impl Asks) -> Result<Self, Failure> {
        let asked = self.payment.as_ref().is_some_and(|payment| payment.status == PaymentStatus::RequiresAction);
        if !asked || !self.order.status.is_payable() {
            return Ok(self);
        }
        let id = &self.order.id;
        self.payment = match asks.tell::<Payment>("/api/payments", &json!({ "orderId": id })).await {
            Ok(payment) => Some(payment),
            Err(failure) => {
                failure.problem()?;
                asks.read::<Page<Payment>>(&format!("/api/payments?orderId={id}")).await?.items.into_iter().next()
            }
        };
        Ok(self)
    }

    /// What tells whether there is news: how the order and its payment stand, what is said of a declined card, and what of the
    /// show, in a form that tells nobody more.
    pub(super) fn state(&self) -> String {
        let payment = self.payment.as_ref().map(|payment| payment.status);
        let mut said = DefaultHasher::new();
        let declined = self.payment.as_ref().and_then(|payment| payment.last_decline.as_ref());
        declined.map(|declined| &declined.message).hash(&mut said);
        let Order { title, venue, starts_at, time_zone, was, .. } = &self.order;
        (title, venue, starts_at, time_zone, was).hash(&mut said);
        format!("{:?}.{payment:?}.{:x}", self.order.status, said.finish()).to_lowercase()
    }
}

/// The passes of an order.
pub(crate) async fn passes(asks: &impl Asks, id: &str) -> Result<Vec<Pass>, Failure> {
    Ok(asks.read::<Items<Pass>>(&format!("/api/orders/{id}/passes")).await?.items)
}

/// The look at the order that all open pages of this session share.
pub(super) async fn look(web: &Web, reader: &Reader, id: &str) -> Result<Arc<Look<Standing>>, Failure> {
    let (reader, id) = (reader.clone(), id.to_owned());
    let subject = reader.subject(id.clone());
    if let Some(look) = web.orders.at(&subject) {
        return Ok(look);
    }
    let seen = Standing::of(&reader, &id).await?;
    let ask = move || {
        let (reader, id) = (reader.clone(), id.clone());
        async move { Standing::of(&reader, &id).await }
    };
    Ok(web.orders.begin(subject, seen, PACE, ask))
}

/// The look at a paid order that all open pages of this session share.
pub(super) fn look_at_paid(web: &Web, reader: &Reader, seen: &Order) -> Arc<Look<Order>> {
    let (reader, path) = (reader.clone(), format!("/api/orders/{}", seen.id));
    let subject = reader.subject(seen.id.clone());
    let ask = move || {
        let (reader, path) = (reader.clone(), path.clone());
        async move { reader.read(&path).await }
    };
    web.paid_orders.begin(subject, seen.clone(), PACE_OF_PAID, ask)
}
