//! A listing as everybody sees it.

use common::clock::Time;
use common::events::tickets::RefundPolicy;
use common::id::{TicketId, UserId};
use common::store::Versioned;
use common::zone::Zone;
use serde::Serialize;
use utoipa::ToSchema;

use crate::fields::{PerOrderLimit, SaleEndsAt, StartsAt};
use crate::ticket::Ticket;

/// A listing as everybody sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TicketBody {
    id: TicketId,
    /// Counts the seller's changes. Held and sold change without it.
    version: i64,
    /// Who sells it.
    user_id: UserId,
    title: String,
    /// The price of one place, in major units.
    #[schema(example = "19.99")]
    price: String,
    #[schema(example = "usd")]
    currency: String,
    /// How many places there are.
    quantity: u32,
    /// How many of them are held by orders not yet paid.
    held: u32,
    /// How many of them are sold.
    sold: u32,
    /// How many of them are free.
    available: u32,
    description: Option<String>,
    venue: Option<String>,
    starts_at: Option<Time>,
    /// The IANA name of the time zone in which `startsAt` is to be shown: what the seller said, or that of the business.
    #[schema(example = "Europe/Rome")]
    time_zone: String,
    /// When the sale ends, if the seller said so; else it ends when the show starts.
    sale_ends_at: Option<Time>,
    per_order_limit: Option<u32>,
    image_url: Option<String>,
    refund_policy: RefundPolicy,
    /// False once it was taken from sale, and once the sale has ended.
    on_sale: bool,
    /// True once the sale has ended by itself: at `saleEndsAt`, else at `startsAt`.
    sale_ended: bool,
    created_at: Time,
}

impl TicketBody {
    /// The body of a listing as it is at `now`; `zone` is that of the business.
    pub(crate) fn of(Versioned { version, value: ticket }: Versioned<Ticket>, zone: &Zone, now: Time) -> Self {
        let (quantity, available, on_sale) = (ticket.quantity(), ticket.available(), ticket.on_sale(now));
        let sale_ended = ticket.sale_is_over(now) && !ticket.withdrawn && !ticket.suspended;
        let offer = ticket.offer;
        Self {
            id: ticket.id,
            version,
            user_id: ticket.seller_id,
            title: offer.title.into(),
            price: offer.price.decimal(),
            currency: offer.price.currency().to_string(),
            quantity,
            held: ticket.places.held,
            sold: ticket.places.sold,
            available,
            description: offer.description.map(Into::into),
            venue: offer.venue.map(Into::into),
            starts_at: offer.starts_at.map(StartsAt::time),
            time_zone: offer.time_zone.as_ref().unwrap_or(zone).to_string(),
            sale_ends_at: offer.sale_ends_at.map(SaleEndsAt::time),
            per_order_limit: offer.per_order_limit.map(PerOrderLimit::get),
            image_url: offer.image_url.map(Into::into),
            refund_policy: offer.refund_policy,
            on_sale,
            sale_ended,
            created_at: ticket.created_at,
        }
    }
}
