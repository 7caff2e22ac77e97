//! HTTP in: passes and their use at the door.

use actix_web::web;
use common::clock::Time;
use common::http::{Body, Creation, Fields, PathOf, Principal, Problem};
use common::id::{OrderId, PassId, TicketId};
use common::signing::PublicKey;
use common::text::{self, TextFault, one_line};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Orders;
use crate::order::{CheckIn, Order, OrderState, Pass};
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

fn entrance(place: Option<String>) -> Result<Option<String>, TextFault> {
    place.filter(|place| !place.trim().is_empty()).map(|place| one_line(&place, 100)).transpose()
}

/// Admits the bearer of a pass, once. Only the ticket's seller may scan.
#[utoipa::path(post, path = "/api/passes/check-in", request_body = Scan,
    responses((status = 200, description = "Admitted; the same again for the same scan sent again", body = Admitted),
        (status = 409, description = "`already_checked_in` with time and place of the first, `pass_void`")))]
pub(crate) async fn check_in(
    orders: web::Data<Orders>,
    principal: Principal,
    creation: Creation,
    body: Body<Scan>,
) -> Result<web::Json<Admitted>, Problem> {
    let Scan { code, place } = body.0;
    let mut fields = Fields::default();
    let claims =
        fields.take("code", orders.pass_codes.read(text::code(&code)).ok_or("is not the code of a pass of this house"));
    let place = fields.take("place", entrance(place));
    let (claims, place) = fields.finish((claims, place))?;
    let order = orders.orders.get(claims.order).await?.filter(|order| order.value.seller_id == principal.user);
    order.ok_or_else(Problem::not_found)?;
    let used = CheckIn { at: orders.clock.now(), by: principal.user, place, request: Some(creation.id()) };
    let changed = orders
        .orders
        .change(claims.order, Some(principal.user), |order| order.check_in(claims.pass, used.clone()))
        .await
        .map_err(of_change)?;
    admitted(&changed.value, claims.pass).map(web::Json)
}

fn admitted(order: &Order, pass_id: PassId) -> Result<Admitted, Problem> {
    let pass = order.passes.iter().find(|pass| pass.id == pass_id).ok_or_else(Problem::not_found)?;
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
