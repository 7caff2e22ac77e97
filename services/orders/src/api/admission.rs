//! HTTP in: passes and their use at the door.

use actix_web::http::StatusCode;
use actix_web::web;
use common::clock::Time;
use common::http::{Answer, Body, Creation, Fields, PathOf, Principal, Problem};
use common::id::{OrderId, PassId, TicketId, UserId};
use common::signing::PublicKey;
use common::store::Versioned;
use common::text::{self, TextFault, one_line};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Orders;
use crate::moved::Show;
use crate::order::{CheckIn, Order, OrderState, Pass, Undone};
use crate::pass_codes::{Shown, qr_svg, readable};
use crate::problems::of_change;

/// One pass.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PassBody {
    id: PassId,
    number: u32,
    /// Signed with Ed25519; what the QR image says.
    code: String,
    /// What people can read out in its place. Passes that an earlier build issued have none.
    #[schema(example = "K7QM2-9XD4R-2")]
    short_code: Option<String>,
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
        let short_code = short_code(order, pass);
        Ok(PassBody { id: pass.id, number: pass.number, code, short_code, qr, checked_in_at: at, place })
    }
}

fn short_code(order: &Order, pass: &Pass) -> Option<String> {
    order.short_code.as_ref().map(|short| readable(short, pass.number))
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
///
/// A code is `D1:` and then, in base32 (RFC 4648, capitals, without padding), 81 bytes: the order's id (16), the number of the pass
/// (1), and an Ed25519 signature (64). It is a pass of the show whose `ticketId` is T if the signature is good for these bytes: the
/// text `docket pass 1`, a zero byte, T as 16 bytes, and the first 17 bytes of the code. Codes with dots are tokens (JWT) of the type
/// `pass+jwt` that earlier versions issued, signed by the same key; their claim `ticket` names the show.
#[utoipa::path(get, path = "/api/passes/keys", responses((status = 200, description = "JWKS", body = PassKeys)))]
pub(crate) async fn pass_keys(orders: web::Data<Orders>) -> web::Json<PassKeys> {
    web::Json(PassKeys { keys: vec![orders.pass_codes.public_key().clone()] })
}

/// A scan at the door.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Scan {
    /// What the QR image of a pass says, or its short code, with or without spaces and hyphens.
    #[schema(min_length = 1)]
    code: String,
    /// The show at whose door it is: a pass of another one is refused. A short code needs it. Without it the pass of any show will do.
    #[serde(default)]
    ticket_id: Option<TicketId>,
    /// Which entrance; at most 100 characters.
    #[serde(default)]
    #[schema(max_length = 100)]
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
    short_code: Option<String>,
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
        (status = 404, description = "No pass of a show of the caller's"),
        (status = 409, description = "`already_checked_in` with time and place of the first; `pass_void` with `orderStatus` and `refundReason`; `other_show` with `title`, `startsAt`, `timeZone` and `venue` of the show that the pass is for; `check_in_undone`: this very scan was undone since; `short_code_shared`: two orders have this short code, scan the QR image. What the pass is stands beside it: `orderId`, `passId`, `number`, `of`")))]
pub(crate) async fn check_in(
    orders: web::Data<Orders>,
    principal: Principal,
    creation: Creation,
    body: Body<Scan>,
) -> Result<Answer<web::Json<Admitted>>, Problem> {
    let Scan { code, ticket_id, place } = body.0;
    let mut fields = Fields::default();
    let shown = fields.take("code", orders.pass_codes.read(text::code(&code)).ok_or(NOT_OURS));
    let place = fields.take("place", entrance(place));
    let (shown, place) = fields.finish((shown, place))?;
    let (known, pass) = orders.shown_at_the_door(shown, ticket_id, &principal).await?;
    let order = &known.value;
    let show = orders.show_of(order).await;
    if ticket_id.is_some_and(|ticket| ticket != order.ticket_id) {
        return Err(other_show(order, pass, &show));
    }
    let scan = CheckIn { at: orders.clock.now(), by: principal.user, place, request: Some(creation.id()) };
    let changed = orders
        .orders
        .change_known(&known, Some(principal.user), |order| order.check_in(pass, scan.clone()))
        .await
        .map_err(|error| about(of_change(error), order, pass, &show))?;
    // Sent again, it is looked at again: it may have been undone since.
    Ok(Answer::of(web::Json(admitted(&changed.value, pass, show)?)).made_again(true))
}

fn admitted(order: &Order, pass_id: PassId, show: Show) -> Result<Admitted, Problem> {
    let pass = order.pass(pass_id).ok_or_else(Problem::not_found)?;
    let used = pass.checked_in.as_ref().ok_or_else(|| Problem::internal("a pass was used and does not say so"))?;
    Ok(Admitted {
        pass_id,
        order_id: order.id,
        ticket_id: order.ticket_id,
        number: pass.number,
        of: order.quantity,
        title: show.title,
        short_code: short_code(order, pass),
        checked_in_at: used.at,
        place: used.place.clone(),
    })
}

/// With what the pass is, for whoever stands at the door.
fn about(problem: Problem, order: &Order, pass_id: PassId, show: &Show) -> Problem {
    let Some(pass) = order.pass(pass_id).filter(|_| problem.status() == StatusCode::CONFLICT) else { return problem };
    let problem = problem.with("orderId", order.id.to_string()).with("passId", pass_id.to_string());
    let problem = problem.with("ticketId", order.ticket_id.to_string());
    let problem =
        problem.with("number", pass.number).with("of", order.quantity).with("shortCode", short_code(order, pass));
    problem.with("title", show.title.clone()).with("timeZone", show.time_zone.clone())
}

/// Which show a pass is for that was shown at the door of another.
fn other_show(order: &Order, pass: PassId, show: &Show) -> Problem {
    let problem = Problem::conflict("other_show", format!("this pass is for another show: {}", show.title));
    let problem = problem.with("startsAt", show.starts_at.map(|at| at.to_string())).with("venue", show.venue.clone());
    about(problem, order, pass, show)
}

const NOT_OURS: &str = "is not the code of a pass of this house";

/// Its seller does, and administrators where the seller cannot.
fn opens_its_door(order: &Order, principal: &Principal) -> bool {
    order.seller_id == principal.user || principal.is_admin()
}

impl Orders {
    /// The order, if the principal may open the door of its show.
    async fn at_the_door(&self, id: OrderId, principal: &Principal) -> Result<Versioned<Order>, Problem> {
        let order = self.orders.get(id).await?;
        order.filter(|order| opens_its_door(&order.value, principal)).ok_or_else(Problem::not_found)
    }

    /// The pass that a code stands for, if the principal may open the door of its show.
    async fn shown_at_the_door(
        &self,
        shown: Shown,
        ticket: Option<TicketId>,
        principal: &Principal,
    ) -> Result<(Versioned<Order>, PassId), Problem> {
        match shown {
            Shown::Token(claims) => Ok((self.at_the_door(claims.order, principal).await?, claims.pass)),
            Shown::Signed(signed) => {
                let order = self.orders.get(signed.order).await?;
                let pass = order.as_ref().and_then(|order| self.pass_codes.signed(&signed, &order.value));
                let pass = pass.ok_or_else(|| Problem::invalid("code", NOT_OURS))?;
                let order = order.filter(|order| opens_its_door(&order.value, principal));
                Ok((order.ok_or_else(Problem::not_found)?, pass))
            }
            Shown::Short { code, number } => {
                let door = "must say at which show's door a short code is read out";
                let ticket = ticket.ok_or_else(|| Problem::invalid("ticketId", door))?;
                self.read_out(&code, number, ticket, principal).await
            }
        }
    }

    async fn read_out(
        &self,
        code: &str,
        number: u32,
        ticket: TicketId,
        principal: &Principal,
    ) -> Result<(Versioned<Order>, PassId), Problem> {
        let none = || Problem::invalid("code", "is not the code of a pass of this show");
        self.own_listing(ticket, principal).await?;
        match self.orders.of_short_code(ticket, code).await?.as_slice() {
            [] => Err(none()),
            [one] => {
                let order = self.at_the_door(*one, principal).await?;
                let pass = order.value.passes.iter().find(|pass| pass.number == number).map(|pass| pass.id);
                Ok((order, pass.ok_or_else(none)?))
            }
            _ => {
                let says = "two orders of this show have this short code: scan the QR image of the pass";
                Err(Problem::conflict("short_code_shared", says))
            }
        }
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
        (status = 404, description = "No such pass of a show of the caller's"),
        (status = 409, description = "`not_checked_in`: the pass was not used at that time; `checkedInAt` says when it was, if it is")))]
pub(crate) async fn undo(
    orders: web::Data<Orders>,
    principal: Principal,
    body: Body<Undo>,
) -> Result<web::Json<UndoneBody>, Problem> {
    let Undo { order_id, pass_id, checked_in_at } = body.0;
    let known = orders.at_the_door(order_id, &principal).await?;
    let order = &known.value;
    let show = orders.show_of(order).await;
    let now = orders.clock.now();
    let changed = orders
        .orders
        .change_known(&known, Some(principal.user), |order| {
            order.undo_check_in(pass_id, checked_in_at, principal.user, now)
        })
        .await
        .map_err(|error| about(of_change(error), order, pass_id, &show))?
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
    let order = orders.at_the_door(id.0, &principal).await?.value;
    let used = order.passes.iter().filter_map(|pass| {
        let CheckIn { at: checked_in_at, by: checked_in_by, place, .. } = pass.checked_in.clone()?;
        Some(UsedPass { pass_id: pass.id, number: pass.number, checked_in_at, checked_in_by, place })
    });
    let undone = order.undone.iter().filter_map(|undone| undone_body(&order, undone)).collect();
    Ok(web::Json(CheckIns { items: used.collect(), undone, still_taken: order.inside }))
}
