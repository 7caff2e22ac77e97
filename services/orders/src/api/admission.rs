//! HTTP in: passes and their use at the door.

use actix_web::http::StatusCode;
use actix_web::web;
use common::clock::Time;
use common::http::{Body, Creation, Fields, PathOf, Principal, Problem};
use common::id::{OrderId, PassId, TicketId, UserId};
use common::signing::PublicKey;
use common::text::{self, TextFault, one_line};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Orders;
use crate::order::{CheckIn, Order, OrderState, Pass, Undone};
use crate::pass_codes::qr_svg;
use crate::problems::of_change;

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
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Scan {
    code: String,
    /// The show at whose door it is: a pass of another one is refused. Without it the pass of any show will do.
    #[serde(default)]
    ticket_id: Option<TicketId>,
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
    /// When. With the order and the pass it names this check-in, so that it can be undone.
    checked_in_at: Time,
    place: Option<String>,
}

fn entrance(place: Option<String>) -> Result<Option<String>, TextFault> {
    place.filter(|place| !place.trim().is_empty()).map(|place| one_line(&place, 100)).transpose()
}

/// Admits the bearer of a pass, once. Only the ticket's seller and administrators may scan.
#[utoipa::path(post, path = "/api/passes/check-in", request_body = Scan,
    responses((status = 200, description = "Admitted; the same again for the same scan sent again", body = Admitted),
        (status = 409, description = "`already_checked_in` with time and place of the first; `pass_void` with `orderStatus` and `refundReason`; `other_show` with `title`, `startsAt`, `timeZone` and `venue` of the show that the pass is for; `check_in_undone`: this very scan was undone since. What the pass is stands beside it: `orderId`, `passId`, `number`, `of`")))]
pub(crate) async fn check_in(
    orders: web::Data<Orders>,
    principal: Principal,
    creation: Creation,
    body: Body<Scan>,
) -> Result<web::Json<Admitted>, Problem> {
    let Scan { code, ticket_id, place } = body.0;
    let mut fields = Fields::default();
    let claims =
        fields.take("code", orders.pass_codes.read(text::code(&code)).ok_or("is not the code of a pass of this house"));
    let place = fields.take("place", entrance(place));
    let (claims, place) = fields.finish((claims, place))?;
    let order = orders.at_the_door(claims.order, &principal).await?;
    if ticket_id.is_some_and(|ticket| ticket != order.ticket_id) {
        return Err(orders.other_show(&order, claims.pass).await?);
    }
    let scan = CheckIn { at: orders.clock.now(), by: principal.user, place, request: Some(creation.id()) };
    let changed = orders
        .orders
        .change(order.id, Some(principal.user), |order| order.check_in(claims.pass, scan.clone()))
        .await
        .map_err(|error| about(of_change(error), &order, claims.pass))?;
    admitted(&changed.value, claims.pass).map(web::Json)
}

fn admitted(order: &Order, pass_id: PassId) -> Result<Admitted, Problem> {
    let pass = order.pass(pass_id).ok_or_else(Problem::not_found)?;
    let used = pass.checked_in.as_ref().ok_or_else(|| Problem::internal("a pass was used and does not say so"))?;
    Ok(Admitted {
        pass_id,
        order_id: order.id,
        ticket_id: order.ticket_id,
        number: pass.number,
        of: order.quantity,
        title: order.title.clone(),
        checked_in_at: used.at,
        place: used.place.clone(),
    })
}

/// With what the pass is, for whoever stands at the door.
fn about(problem: Problem, order: &Order, pass_id: PassId) -> Problem {
    let Some(pass) = order.pass(pass_id).filter(|_| problem.status() == StatusCode::CONFLICT) else { return problem };
    let problem = problem.with("orderId", order.id.to_string()).with("passId", pass_id.to_string());
    problem.with("number", pass.number).with("of", order.quantity)
}

impl Orders {
    /// The order, if the principal may open the door of its show: its seller, and administrators where the seller cannot.
    async fn at_the_door(&self, id: OrderId, principal: &Principal) -> Result<Order, Problem> {
        let order = self.orders.get(id).await?.map(|order| order.value);
        let opens = |order: &Order| order.seller_id == principal.user || principal.is_admin();
        order.filter(opens).ok_or_else(Problem::not_found)
    }

    /// Which show a pass is for, as it is told now.
    async fn other_show(&self, order: &Order, pass: PassId) -> Result<Problem, Problem> {
        let listing = self.tickets.get(order.ticket_id).await?.map(|replica| replica.value.listing);
        let (title, venue, starts_at, zone) = match listing {
            Some(listing) => (listing.title, listing.venue, listing.starts_at, listing.time_zone),
            None => (order.title.clone(), order.venue.clone(), order.starts_at, order.time_zone.clone()),
        };
        let problem = Problem::conflict("other_show", format!("this pass is for another show: {title}"))
            .with("title", title)
            .with("ticketId", order.ticket_id.to_string())
            .with("startsAt", starts_at.map(|at| at.to_string()))
            .with("timeZone", zone.as_ref().unwrap_or(&self.zone).to_string())
            .with("venue", venue);
        Ok(about(problem, order, pass))
    }
}

/// A check-in that is to be undone, named by the pass and by when it was.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Undo {
    order_id: OrderId,
    pass_id: PassId,
    /// What the check-in was answered with; so that what comes late never undoes a later one.
    checked_in_at: Time,
}

/// A check-in that is undone: the pass admits again, if its order is still good.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UndoneBody {
    order_id: OrderId,
    pass_id: PassId,
    number: u32,
    of: u32,
    checked_in_at: Time,
    checked_in_by: UserId,
    place: Option<String>,
    undone_at: Time,
    undone_by: UserId,
}

/// Undoes an accidental check-in, or gives the place of a guest free whose money went back. Only the ticket's seller and
/// administrators may. Who undid what stands in the order and in the event.
#[utoipa::path(post, path = "/api/passes/undo", request_body = Undo,
    responses((status = 200, description = "Undone, now or before", body = UndoneBody),
        (status = 409, description = "`not_checked_in`: the pass was not used at that time; `checkedInAt` says when it was, if it is")))]
pub(crate) async fn undo(
    orders: web::Data<Orders>,
    principal: Principal,
    body: Body<Undo>,
) -> Result<web::Json<UndoneBody>, Problem> {
    let Undo { order_id, pass_id, checked_in_at } = body.0;
    let order = orders.at_the_door(order_id, &principal).await?;
    let now = orders.clock.now();
    let changed = orders
        .orders
        .change(order_id, Some(principal.user), |order| {
            order.undo_check_in(pass_id, checked_in_at, principal.user, now)
        })
        .await
        .map_err(|error| about(of_change(error), &order, pass_id))?
        .value;
    if let Err(error) = orders.box_office.settle(changed.ticket_id, order_id).await {
        tracing::warn!(order = %order_id, %error, "the place of a guest who has left is moved by the sweep");
    }
    let undone = changed.undone.iter().find(|one| (one.pass_id, one.check_in.at) == (pass_id, checked_in_at));
    undone.and_then(|undone| undone_body(&changed, undone)).map(web::Json).ok_or_else(Problem::not_found)
}

fn undone_body(order: &Order, undone: &Undone) -> Option<UndoneBody> {
    let Undone { pass_id, check_in, at, by } = undone.clone();
    let number = order.pass(pass_id)?.number;
    let CheckIn { at: checked_in_at, by: checked_in_by, place, .. } = check_in;
    let (order_id, of, undone_at, undone_by) = (order.id, order.quantity, at, by);
    Some(UndoneBody { order_id, pass_id, number, of, checked_in_at, checked_in_by, place, undone_at, undone_by })
}

/// The use of a pass.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UsedPass {
    pass_id: PassId,
    number: u32,
    checked_in_at: Time,
    checked_in_by: UserId,
    place: Option<String>,
}

/// Who of an order was admitted, and what of that was undone.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckIns {
    /// The passes that are used.
    items: Vec<UsedPass>,
    /// What was undone, the newest last; the last hundred.
    undone: Vec<UndoneBody>,
    /// How many places of an order whose money went back are still taken, because their guests were admitted. To undo a check-in
    /// gives such a place free.
    still_taken: u32,
}

/// Shows the seller and administrators which passes of an order were used, and the audit of what was undone.
#[utoipa::path(get, path = "/api/orders/{id}/check-ins", params(("id" = OrderId, Path)),
    responses((status = 200, description = "Check-ins, now and undone", body = CheckIns)))]
pub(crate) async fn check_ins(
    orders: web::Data<Orders>,
    principal: Principal,
    id: PathOf<OrderId>,
) -> Result<web::Json<CheckIns>, Problem> {
    let order = orders.at_the_door(id.0, &principal).await?;
    let used = order.passes.iter().filter_map(|pass| {
        let CheckIn { at: checked_in_at, by: checked_in_by, place, .. } = pass.checked_in.clone()?;
        Some(UsedPass { pass_id: pass.id, number: pass.number, checked_in_at, checked_in_by, place })
    });
    let undone = order.undone.iter().filter_map(|undone| undone_body(&order, undone)).collect();
    Ok(web::Json(CheckIns { items: used.collect(), undone, still_taken: order.inside }))
}
