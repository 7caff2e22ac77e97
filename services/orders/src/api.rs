//! HTTP in: orders, as their buyers have them.

use std::collections::HashSet;
use std::time::Duration;

use actix_web::web;
use common::clock::Time;
use common::events::orders::RefundReason;
use common::events::payments::DisputeStanding;
use common::events::tickets::{Listing, RefundPolicy};
use common::http::{Body, Created, Creation, Fields, Page, Paging, PathOf, Principal, Problem, Role, Tagged};
use common::id::{OrderId, TicketId, UserId};
use common::money::charge;
use common::store::Versioned;
use common::zone::Zone;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Orders;
use crate::box_office::Held;
use crate::inventory::PendingHold;
use crate::meter::Refusal;
use crate::moved::{Show, Was};
use crate::order::{Input, Order, OrderState};
use crate::problems::of_change;
use crate::store::{Replica, listings_of};

pub(crate) mod admission;
pub(crate) mod sold;

/// The most places in one order, whatever the listing says.
const MOST_PLACES: u32 = 100;

/// How long places are held at the most for an order that costs nothing. It is complete within its request; if that fails, it
/// is complete at this deadline.
const FREE_HOLD: Duration = Duration::from_secs(15);

/// What a buyer wants.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewOrder {
    ticket_id: TicketId,
    /// 1 to 100, and no more than the listing's `perOrderLimit`.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 100)]
    quantity: i64,
}

fn one() -> i64 {
    1
}

fn places(quantity: i64) -> Result<u32, String> {
    match u32::try_from(quantity) {
        Ok(places @ 1..=MOST_PLACES) => Ok(places),
        _ => Err(format!("must be a whole number from 1 to {MOST_PLACES}")),
    }
}

/// An order as its buyer, and without the buyer its seller, sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderBody {
    id: OrderId,
    version: i64,
    ticket_id: TicketId,
    /// Shown to the buyer and administrators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    buyer_id: Option<UserId>,
    /// What the show is called by now, as venue, start and time zone are those of now.
    title: String,
    venue: Option<String>,
    starts_at: Option<Time>,
    /// The IANA name of the time zone in which `startsAt` is to be shown.
    time_zone: String,
    /// What was said of these when the places were held, as far as it is different.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    was: Option<Was>,
    refund_policy: RefundPolicy,
    quantity: u32,
    /// The price of one place, in major units.
    price: String,
    /// The price of all places, in major units.
    total: String,
    currency: String,
    status: OrderState,
    created_at: Time,
    expires_at: Time,
    /// When it became complete, if it ever did.
    paid_at: Option<Time>,
    refund_reason: Option<RefundReason>,
    /// How the disputes of the buyer's bank stand, if there are any.
    dispute: Option<DisputeStanding>,
}

impl OrderBody {
    /// An order of a show that is sold as `listing` by now.
    fn new(order: Versioned<Order>, listing: Option<&Listing>, with_buyer: bool, zone: &Zone) -> Self {
        let Versioned { version, value } = order;
        let told = Show::told(&value, zone);
        let show = Show::now(&value, listing, zone);
        Self {
            id: value.id,
            version,
            ticket_id: value.ticket_id,
            buyer_id: with_buyer.then_some(value.buyer_id),
            was: Was::of(told, &show),
            title: show.title,
            venue: show.venue,
            starts_at: show.starts_at,
            time_zone: show.time_zone,
            refund_policy: value.refund_policy,
            quantity: value.quantity,
            price: value.unit_price.decimal(),
            total: value.total.decimal(),
            currency: value.total.currency().to_string(),
            status: value.state,
            created_at: value.created_at,
            expires_at: value.expires_at,
            paid_at: value.paid_at,
            refund_reason: value.refund_reason,
            dispute: value.dispute.standing,
        }
    }
}

/// Holds places of a ticket for the buyer, at the price of this moment, until `expiresAt`.
#[utoipa::path(post, path = "/api/orders", request_body = NewOrder,
    responses((status = 201, description = "Held; the order as it is by then if the request was sent before", body = OrderBody),
        (status = 403, description = "`own_ticket`"), (status = 404, description = "There is no such ticket"),
        (status = 409, description = "`sold_out`, `over_limit`, `not_on_sale`; `sale_ended` from `saleEndsAt` on; `hold_limit`: too many unpaid places of this ticket; `free_limit`: as many free tickets of this show as one person may have; `hold_pause`: several holds of it ran out, or many were given up, come again after `Retry-After`")))]
pub(crate) async fn create(
    orders: web::Data<Orders>,
    buyer: Principal,
    creation: Creation,
    body: Body<NewOrder>,
) -> Result<Created<OrderBody>, Problem> {
    let NewOrder { ticket_id, quantity } = body.0;
    let mut fields = Fields::default();
    let quantity = fields.take("quantity", places(quantity));
    let (quantity,) = fields.finish((quantity,))?;
    let order = match orders.made_before(&creation, ticket_id).await? {
        Some(order) => order,
        None => orders.hold(ticket_id, buyer.user, quantity, &creation).await?,
    };
    let order = orders.with_passes_if_free(order).await;
    let location = format!("/api/orders/{}", order.value.id);
    // A hold of this moment says what the listing says; an earlier attempt may have been told something else.
    let listing = if creation.is_repeated() { orders.listing_of(ticket_id).await? } else { None };
    let Tagged { version, body } = orders.shown(order, listing.as_ref(), true);
    Ok(Created { location, version, body })
}

impl Orders {
    /// What an earlier attempt of the request has made, whatever has become of the listing since.
    async fn made_before(&self, creation: &Creation, ticket: TicketId) -> Result<Option<Versioned<Order>>, Problem> {
        if !creation.is_repeated() {
            return Ok(None);
        }
        let id = creation.id();
        if let Some(order) = self.orders.get(id).await? {
            return Ok(Some(order));
        }
        let Some(inventory) = self.inventories.get(ticket).await? else { return Ok(None) };
        let Some(pending) = inventory.value.pending_of(id) else { return Ok(None) };
        let replica = self.tickets.get(ticket).await?.ok_or_else(Problem::not_found)?.value;
        let order = Order::held(&replica.listing, pending).map_err(Problem::internal)?;
        self.held(order, true, replica.listing.per_order_limit).await.map(Some)
    }

    async fn hold(
        &self,
        ticket: TicketId,
        buyer: UserId,
        quantity: u32,
        creation: &Creation,
    ) -> Result<Versioned<Order>, Problem> {
        let found = self.tickets.get_soon(ticket.uuid(), &self.clock).await?;
        let ticket = found.ok_or_else(Problem::not_found)?.value;
        let order = self.wanted(&ticket, creation.id(), buyer, quantity)?;
        self.held(order, creation.is_repeated(), ticket.listing.per_order_limit).await
    }

    async fn held(&self, order: Order, repeated: bool, per_order: Option<u32>) -> Result<Versioned<Order>, Problem> {
        let id = order.id;
        match self.box_office.hold(order.clone(), repeated, per_order).await? {
            Held::New => Ok(Versioned { version: 1, value: order }),
            Held::Before => self.orders.get(id).await?.ok_or_else(Problem::not_found),
        }
    }

    /// The order that the buyer may have, if places are left.
    fn wanted(&self, ticket: &Replica, order_id: OrderId, buyer_id: UserId, quantity: u32) -> Result<Order, Problem> {
        let listing = &ticket.listing;
        if listing.seller_id == buyer_id {
            self.meter.refused(Refusal::OwnTicket);
            return Err(Problem::forbidden("own_ticket", "you cannot buy your own ticket"));
        }
        if !ticket.is_on_sale() {
            self.meter.refused(Refusal::NotOnSale);
            return Err(Problem::conflict("not_on_sale", "this ticket is not on sale any more"));
        }
        let at = self.clock.now();
        if let Some(end) = listing.sale_end().filter(|_| listing.sale_is_over(at)) {
            self.meter.refused(Refusal::SaleEnded);
            let says = format!("the sale of this ticket ended at {end}");
            return Err(Problem::conflict("sale_ended", says).with("saleEndedAt", end.to_string()));
        }
        if let Some(limit) = listing.per_order_limit.filter(|limit| quantity > *limit) {
            self.meter.refused(Refusal::OverLimit);
            return Err(
                Problem::conflict("over_limit", format!("at most {limit} places in one order")).with("limit", limit)
            );
        }
        let too_much = |error: &dyn std::fmt::Display| Problem::invalid("quantity", format!("the total {error}"));
        let expires_at = at + if listing.price.minor() == 0 { self.hold.min(FREE_HOLD) } else { self.hold };
        let hold = PendingHold { order_id, buyer_id, quantity, unit_price: listing.price, at, expires_at };
        let order = Order::held(listing, &hold).map_err(|error| too_much(&error))?;
        charge::check(order.total).map_err(|error| too_much(&error))?;
        Ok(order)
    }

    /// What is known of a listing by now.
    async fn listing_of(&self, ticket: TicketId) -> Result<Option<Listing>, Problem> {
        Ok(self.tickets.get(ticket).await?.map(|replica| replica.value.listing))
    }

    /// The show of an order, as it is by now. Where that cannot be read, as its buyer was told: who stands at the door does not wait.
    async fn show_of(&self, order: &Order) -> Show {
        let listing = self.listing_of(order.ticket_id).await.unwrap_or_else(|error| {
            tracing::warn!(%error, ticket = %order.ticket_id, "what a show is by now cannot be read");
            None
        });
        Show::now(order, listing.as_ref(), &self.zone)
    }

    /// The answer that shows an order.
    fn shown(&self, order: Versioned<Order>, listing: Option<&Listing>, with_buyer: bool) -> Tagged<OrderBody> {
        Tagged { version: order.version, body: OrderBody::new(order, listing, with_buyer, &self.zone) }
    }

    /// Completes an order that costs nothing. If that fails, the hold is good all the same, and its deadline completes it.
    async fn with_passes_if_free(&self, order: Versioned<Order>) -> Versioned<Order> {
        if !order.value.is_free() || order.value.state != OrderState::Created {
            return order;
        }
        let id = order.value.id;
        match self.orders.inform(id, Input::NothingToPay).await {
            Ok(Some(complete)) => {
                self.box_office.settle_soon(complete.value.ticket_id, id);
                complete
            }
            Ok(None) => order,
            Err(error) => {
                tracing::warn!(order = %id, %error, "a free order is left to its deadline");
                order
            }
        }
    }

    /// The order, if the principal may see it at all.
    async fn visible(&self, id: OrderId, principal: &Principal) -> Result<Versioned<Order>, Problem> {
        let order = self.orders.get(id).await?.ok_or_else(Problem::not_found)?;
        let involved = [order.value.buyer_id, order.value.seller_id].contains(&principal.user);
        if involved || principal.role == Role::Admin { Ok(order) } else { Err(Problem::not_found()) }
    }

    /// The order, if the principal bought it.
    async fn bought(&self, id: OrderId, principal: &Principal) -> Result<Versioned<Order>, Problem> {
        let order = self.orders.get(id).await?.filter(|order| order.value.buyer_id == principal.user);
        order.ok_or_else(Problem::not_found)
    }
}

/// Lists the caller's orders, newest first.
#[utoipa::path(get, path = "/api/orders", params(Paging),
    responses((status = 200, description = "Orders", body = Page<OrderBody>)))]
pub(crate) async fn list(
    orders: web::Data<Orders>,
    buyer: Principal,
    paging: Paging,
) -> Result<web::Json<Page<OrderBody>>, Problem> {
    let found = orders.orders.of_buyer(buyer.user, paging.after()?, paging.fetch()).await?;
    let wanted: HashSet<TicketId> = found.iter().map(|order| order.value.ticket_id).collect();
    let listings = listings_of(&orders.tickets, wanted).await?;
    let shown = |order: Versioned<Order>| {
        let listing = listings.get(&order.value.ticket_id);
        orders.shown(order, listing, true).body
    };
    let rows = found.into_iter().map(shown).collect();
    Ok(web::Json(Page::from_rows(rows, &paging, |order: &OrderBody| order.id)))
}

/// Shows an order to its buyer, and to the ticket's seller without the buyer's identity.
#[utoipa::path(get, path = "/api/orders/{id}", params(("id" = OrderId, Path)),
    responses((status = 200, description = "The order", body = OrderBody)))]
pub(crate) async fn show(
    orders: web::Data<Orders>,
    principal: Principal,
    id: PathOf<OrderId>,
) -> Result<Tagged<OrderBody>, Problem> {
    let order = orders.visible(id.0, &principal).await?;
    let with_buyer = order.value.buyer_id == principal.user || principal.role == Role::Admin;
    let listing = orders.listing_of(order.value.ticket_id).await?;
    Ok(orders.shown(order, listing.as_ref(), with_buyer))
}

/// Gives a hold up, or asks for the money of a paid order back as the refund policy says. Twice is as good as once.
#[utoipa::path(delete, path = "/api/orders/{id}", params(("id" = OrderId, Path)),
    responses((status = 200, description = "Cancelled, or being refunded", body = OrderBody),
        (status = 409, description = "`order_ended`, `not_refundable`, `pass_used`; `disputed`: the buyer's bank decides whether the money goes back")))]
pub(crate) async fn cancel(
    orders: web::Data<Orders>,
    principal: Principal,
    id: PathOf<OrderId>,
) -> Result<Tagged<OrderBody>, Problem> {
    let order = orders.bought(id.0, &principal).await?.value;
    let listing = orders.listing_of(order.ticket_id).await?;
    let starts_at = listing.as_ref().map_or(order.starts_at, |listing| listing.starts_at);
    let (wish, now) = (Input::BuyerCancels { starts_at }, orders.clock.now());
    let changed = orders
        .orders
        .change(order.id, Some(principal.user), |order| order.handle(wish, now))
        .await
        .map_err(of_change)?;
    if let Err(error) = orders.box_office.settle(changed.value.ticket_id, changed.value.id).await {
        tracing::warn!(order = %changed.value.id, %error, "the places of an order that ended are moved by the sweep");
    }
    Ok(orders.shown(changed, listing.as_ref(), true))
}
