//! HTTP in.

use actix_web::web;
use common::clock::Time;
use common::events::orders::RefundReason;
use common::events::tickets::RefundPolicy;
use common::http::{Body, Created, Fields, Page, Paging, PathOf, Principal, Problem, Role, Tagged};
use common::id::{OrderId, PassId, TicketId, UserId};
use common::signing::PublicKey;
use common::store::Versioned;
use common::zone::Zone;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Orders;
use crate::inventory::PendingHold;
use crate::meter::Refusal;
use crate::order::{CheckIn, Input, Order, OrderState, Pass};
use crate::pass_codes::qr_svg;
use crate::problems::of_change;
use crate::store::Replica;

pub(crate) mod sold;

/// The most places in one order, whatever the listing says.
const MOST_PLACES: u32 = 100;

/// What a buyer wants.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewOrder {
    ticket_id: TicketId,
    /// 1 to 100, and no more than the listing's `perOrderLimit`.
    #[serde(default = "one")]
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
    buyer_id: Option<UserId>,
    title: String,
    venue: Option<String>,
    starts_at: Option<Time>,
    /// The IANA name of the time zone in which `startsAt` is to be shown.
    time_zone: String,
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
}

impl OrderBody {
    fn new(order: Versioned<Order>, with_buyer: bool, zone: &Zone) -> Self {
        let Versioned { version, value } = order;
        Self {
            id: value.id,
            version,
            ticket_id: value.ticket_id,
            buyer_id: with_buyer.then_some(value.buyer_id),
            title: value.title,
            venue: value.venue,
            starts_at: value.starts_at,
            time_zone: value.time_zone.as_ref().unwrap_or(zone).to_string(),
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
        }
    }

    fn tagged(order: Versioned<Order>, with_buyer: bool, zone: &Zone) -> Tagged<Self> {
        Tagged { version: order.version, body: Self::new(order, with_buyer, zone) }
    }
}

/// Holds places of a ticket for the buyer, at the price of this moment, until `expiresAt`.
#[utoipa::path(post, path = "/api/orders", request_body = NewOrder,
    responses((status = 201, description = "Held", body = OrderBody), (status = 409, description = "`sold_out`, `over_limit`, `not_on_sale`")))]
pub(crate) async fn create(
    orders: web::Data<Orders>,
    buyer: Principal,
    body: Body<NewOrder>,
) -> Result<Created<OrderBody>, Problem> {
    let NewOrder { ticket_id, quantity } = body.0;
    let mut fields = Fields::default();
    let quantity = fields.take("quantity", places(quantity));
    let (quantity,) = fields.finish((quantity,))?;
    let ticket = orders.tickets.get_soon(ticket_id.uuid(), &orders.clock).await?.ok_or_else(Problem::not_found)?.value;
    let order = orders.wanted(&ticket, buyer.user, quantity)?;
    let id = order.id;
    orders.box_office.hold(order.clone()).await?;
    let held = if order.is_free() { orders.complete_free(id).await? } else { Versioned { version: 1, value: order } };
    let (location, version) = (format!("/api/orders/{id}"), held.version);
    Ok(Created { location, version, body: OrderBody::new(held, true, &orders.zone) })
}

impl Orders {
    /// The order that the buyer may have, if places are left.
    fn wanted(&self, ticket: &Replica, buyer_id: UserId, quantity: u32) -> Result<Order, Problem> {
        let listing = &ticket.listing;
        if listing.seller_id == buyer_id {
            self.meter.refused(Refusal::OwnTicket);
            return Err(Problem::forbidden("own_ticket", "you cannot buy your own ticket"));
        }
        if ticket.withdrawn {
            self.meter.refused(Refusal::NotOnSale);
            return Err(Problem::conflict("not_on_sale", "this ticket is not on sale any more"));
        }
        if let Some(limit) = listing.per_order_limit.filter(|limit| quantity > *limit) {
            self.meter.refused(Refusal::OverLimit);
            return Err(
                Problem::conflict("over_limit", format!("at most {limit} places in one order")).with("limit", limit)
            );
        }
        listing.price.times(quantity).map_err(|error| Problem::invalid("quantity", format!("the total {error}")))?;
        let at = self.clock.now();
        let order_id = OrderId::generate(at);
        let hold =
            PendingHold { order_id, buyer_id, quantity, unit_price: listing.price, at, expires_at: at + self.hold };
        Ok(ticket.order(&hold))
    }

    async fn complete_free(&self, id: OrderId) -> Result<Versioned<Order>, Problem> {
        let order = self.orders.inform(id, Input::NothingToPay).await?.ok_or_else(Problem::not_found)?;
        self.box_office.settle_soon(order.value.ticket_id, id);
        Ok(order)
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
    let rows = found.into_iter().map(|order| OrderBody::new(order, true, &orders.zone)).collect();
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
    Ok(OrderBody::tagged(order, with_buyer, &orders.zone))
}

/// Gives a hold up, or asks for the money of a paid order back as the refund policy says. Twice is as good as once.
#[utoipa::path(delete, path = "/api/orders/{id}", params(("id" = OrderId, Path)),
    responses((status = 200, description = "Cancelled, or being refunded", body = OrderBody),
        (status = 409, description = "`order_ended`, `not_refundable`, `pass_used`")))]
pub(crate) async fn cancel(
    orders: web::Data<Orders>,
    principal: Principal,
    id: PathOf<OrderId>,
) -> Result<Tagged<OrderBody>, Problem> {
    let order = orders.bought(id.0, &principal).await?.value;
    let now = orders.clock.now();
    let changed = orders
        .orders
        .change(order.id, Some(principal.user), |order| order.handle(Input::BuyerCancels, now))
        .await
        .map_err(of_change)?;
    orders.box_office.settle(&changed.value).await?;
    Ok(OrderBody::tagged(changed, true, &orders.zone))
}

/// One pass.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PassBody {
    id: PassId,
    number: u32,
    /// Signed with Ed25519; what the QR image says.
    code: String,
    /// The code as a QR image (SVG).
    qr: String,
    checked_in_at: Option<Time>,
    place: Option<String>,
}

/// The passes of an order.
#[derive(Serialize, ToSchema)]
pub(crate) struct Passes {
    items: Vec<PassBody>,
}

/// Lists the passes of a complete order.
#[utoipa::path(get, path = "/api/orders/{id}/passes", params(("id" = OrderId, Path)),
    responses((status = 200, description = "Valid passes; none unless the order is complete", body = Passes)))]
pub(crate) async fn passes(
    orders: web::Data<Orders>,
    principal: Principal,
    id: PathOf<OrderId>,
) -> Result<web::Json<Passes>, Problem> {
    let order = orders.bought(id.0, &principal).await?.value;
    let valid: &[Pass] = if order.state == OrderState::Complete { &order.passes } else { &[] };
    let items = valid.iter().map(|pass| orders.pass_body(&order, pass)).collect::<Result<_, _>>()?;
    Ok(web::Json(Passes { items }))
}

impl Orders {
    fn pass_body(&self, order: &Order, pass: &Pass) -> Result<PassBody, Problem> {
        let code = self.pass_codes.code(order, pass).map_err(Problem::internal)?;
        let qr = qr_svg(&code).map_err(Problem::internal)?;
        let CheckInBody { at, place } = CheckInBody::of(pass.checked_in.as_ref());
        Ok(PassBody { id: pass.id, number: pass.number, code, qr, checked_in_at: at, place })
    }
}

#[derive(Default)]
pub(crate) struct CheckInBody {
    at: Option<Time>,
    place: Option<String>,
}

impl CheckInBody {
    fn of(check_in: Option<&CheckIn>) -> Self {
        check_in.map_or_else(Self::default, |used| Self { at: Some(used.at), place: used.place.clone() })
    }
}

/// The public keys that verify passes, as JWKS.
#[derive(Serialize, ToSchema)]
pub(crate) struct PassKeys {
    keys: Vec<PublicKey>,
}

/// Shows the key with which a scanner verifies passes without a connection.
#[utoipa::path(get, path = "/api/passes/keys", responses((status = 200, description = "JWKS", body = PassKeys)))]
pub(crate) async fn pass_keys(orders: web::Data<Orders>) -> web::Json<PassKeys> {
    web::Json(PassKeys { keys: vec![orders.pass_codes.public_key().clone()] })
}

/// A scan at the door.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scan {
    code: String,
    /// Which entrance; at most 100 characters.
    #[serde(default)]
    place: Option<String>,
}

/// A pass that was just used.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Admitted {
    pass_id: PassId,
    order_id: OrderId,
    ticket_id: TicketId,
    number: u32,
    of: u32,
    title: String,
    checked_in_at: Time,
    place: Option<String>,
}

fn entrance(place: Option<String>) -> Result<Option<String>, &'static str> {
    let place = place.map(|place| place.trim().to_owned()).filter(|place| !place.is_empty());
    match &place {
        Some(long) if long.chars().count() > 100 => Err("must be at most 100 characters"),
        _ => Ok(place),
    }
}

/// Admits the bearer of a pass, once. Only the ticket's seller may scan.
#[utoipa::path(post, path = "/api/passes/check-in", request_body = Scan,
    responses((status = 200, description = "Admitted", body = Admitted),
        (status = 409, description = "`already_checked_in` with time and place of the first, `pass_void`")))]
pub(crate) async fn check_in(
    orders: web::Data<Orders>,
    principal: Principal,
    body: Body<Scan>,
) -> Result<web::Json<Admitted>, Problem> {
    let Scan { code, place } = body.0;
    let mut fields = Fields::default();
    let claims = fields.take("code", orders.pass_codes.read(&code).ok_or("is not the code of a pass of this house"));
    let place = fields.take("place", entrance(place));
    let (claims, place) = fields.finish((claims, place))?;
    let order = orders.orders.get(claims.order).await?.filter(|order| order.value.seller_id == principal.user);
    order.ok_or_else(Problem::not_found)?;
    let used = CheckIn { at: orders.clock.now(), by: principal.user, place };
    let changed = orders
        .orders
        .change(claims.order, Some(principal.user), |order| order.check_in(claims.pass, used.clone()).map(Some))
        .await
        .map_err(of_change)?;
    admitted(&changed.value, claims.pass, used).map(web::Json)
}

fn admitted(order: &Order, pass_id: PassId, used: CheckIn) -> Result<Admitted, Problem> {
    let pass = order.passes.iter().find(|pass| pass.id == pass_id).ok_or_else(Problem::not_found)?;
    Ok(Admitted {
        pass_id,
        order_id: order.id,
        ticket_id: order.ticket_id,
        number: pass.number,
        of: order.quantity,
        title: order.title.clone(),
        checked_in_at: used.at,
        place: used.place,
    })
}
