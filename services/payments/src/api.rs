//! HTTP in.

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Json};
use actix_web::{HttpRequest, HttpResponse};
use common::http::{Answer, Body, Created, Creation, Fields, Page, Paging, PathOf, Principal, Problem, Query, Tagged};
use common::id::OrderId;
use common::money::{Money, charge};
use common::store::Versioned;
use common::text::one_line;

use crate::Payments;
use crate::checkout::Request;
use crate::gateway::Method;
use crate::meter::Received;
use crate::payment::Payment;
use crate::webhook::Notice;

mod views;

use views::{Config, GiveBack, ListFilter, Pay, PaymentView};

/// Pays an order of the buyer's own: begins it, or charges at once if a payment method or token is given.
#[utoipa::path(post, path = "/api/payments", request_body = Pay,
    responses(
        (status = 201, description = "How the payment stands, and how to go on", body = PaymentView),
        (status = 402, description = "`payment_declined`; the places stay held until the order's deadline"),
        (status = 404, description = "No such order of the buyer's"),
        (status = 409, description = "`order_not_payable`, `already_paid`, `nothing_to_pay`, `amount_not_chargeable`; `too_many_attempts`: ten were declined"),
    ))]
pub(crate) async fn pay(
    payments: Data<Payments>,
    buyer: Principal,
    attempt: Creation,
    body: Body<Pay>,
) -> Result<Answer<Created<PaymentView>>, Problem> {
    let Body(Pay { order_id, payment_method, token }) = body;
    let method = method(payment_method, token)?;
    let request = Request { buyer: buyer.user, id: attempt.id(), is_repeated: attempt.is_repeated() };
    let receipt = payments.pay(order_id, method, request).await?;
    let secret = receipt.client_secret.filter(|_| !receipt.payment.value.state.is_paid());
    let view = PaymentView::of(&receipt.payment, &buyer).with_secret(secret, receipt.next_action);
    // The secret lets a browser pay: no cache may keep it, and no record of an answer.
    let has_secret = view.lets_pay();
    let location = format!("/api/payments/{order_id}");
    let made = Created { location, version: receipt.payment.version, body: view };
    Ok(Answer::of(made).no_store().made_again(has_secret))
}

fn method(payment_method: Option<String>, token: Option<String>) -> Result<Option<Method>, Problem> {
    let mut fields = Fields::default();
    fields.check("token", payment_method.is_none() || token.is_none(), "must not be given together with paymentMethod");
    let payment_method = fields.take_optional("paymentMethod", payment_method, stripe_id);
    let token = fields.take_optional("token", token, stripe_id);
    let (payment_method, token) = fields.finish((payment_method, token))?;
    Ok(payment_method.map(Method::PaymentMethod).or(token.map(Method::Token)))
}

fn stripe_id(text: String) -> Result<String, &'static str> {
    let right =
        (1..=100).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    right.then_some(text).ok_or("must be an id of Stripe's, such as pm_card_visa")
}

/// The buyer's own payments, newest first, or that of one order.
#[utoipa::path(get, path = "/api/payments", params(ListFilter, Paging),
    responses((status = 200, description = "Payments", body = Page<PaymentView>)))]
pub(crate) async fn list(
    payments: Data<Payments>,
    buyer: Principal,
    filter: Query<ListFilter>,
    paging: Paging,
) -> Result<Json<Page<PaymentView>>, Problem> {
    let rows = match filter.0.order_id {
        Some(order) => payments
            .payments
            .get(order)
            .await?
            .into_iter()
            .filter(|payment| payment.value.buyer_id == buyer.user)
            .collect(),
        None => payments.payments.of_buyer(buyer.user, paging.after()?, paging.fetch()).await?,
    };
    let page = Page::from_rows(rows, &paging, |payment: &Versioned<Payment>| payment.value.order_id);
    Ok(Json(page.map(|payment| PaymentView::of(&payment, &buyer))))
}

/// A payment, for its buyer, its seller and administrators.
#[utoipa::path(get, path = "/api/payments/{id}", params(("id" = OrderId, Path, description = "The payment, or its order: they have one id")),
    responses((status = 200, description = "The payment", body = PaymentView), (status = 404, description = "No such payment")))]
pub(crate) async fn detail(
    payments: Data<Payments>,
    who: Principal,
    id: PathOf<OrderId>,
) -> Result<Tagged<PaymentView>, Problem> {
    let payment = payments.payments.get(id.0).await?.filter(|payment| may_see(&who, &payment.value));
    let payment = payment.ok_or_else(Problem::not_found)?;
    Ok(Tagged { version: payment.version, body: PaymentView::of(&payment, &who) })
}

/// What a page must know before it can take payments.
#[utoipa::path(get, path = "/api/payments/config",
    responses((status = 200, description = "Whether real money moves", body = Config)))]
pub(crate) async fn config(payments: Data<Payments>) -> Json<Config> {
    Json(Config { test_mode: payments.gateway.test_mode(), publishable_key: payments.publishable_key.clone() })
}

/// Gives money back, all that is left if no amount is said.
#[utoipa::path(post, path = "/api/payments/{id}/refunds", request_body = GiveBack,
    params(("id" = OrderId, Path, description = "The payment")),
    responses(
        (status = 201, description = "Given back, or on its way", body = PaymentView),
        (status = 404, description = "No such payment"),
        (status = 403, description = "`not_the_seller`"),
        (status = 409, description = "`refund_exceeds_payment`, `not_paid`, `refund_refused`; `disputed`: the buyer's bank has the money until it decides"),
    ))]
pub(crate) async fn give_back(
    payments: Data<Payments>,
    who: Principal,
    id: PathOf<OrderId>,
    refund: Creation,
    body: Body<GiveBack>,
) -> Result<Created<PaymentView>, Problem> {
    let Body(GiveBack { amount, reason }) = body;
    let payment = payments.payments.get(id.0).await?.filter(|payment| may_see(&who, &payment.value));
    let payment = payment.ok_or_else(Problem::not_found)?;
    if !who.is_admin() && who.user != payment.value.seller_id {
        return Err(Problem::forbidden("not_the_seller", "Only the seller can give money back."));
    }
    let mut fields = Fields::default();
    let amount = fields.take_optional("amount", amount, |amount| positive(&amount.text(), &payment.value));
    let reason = fields.take_optional("reason", reason, |reason| one_line(&reason, 200));
    let (amount, reason) = fields.finish((amount, reason))?;
    payments.look_at_disputes(&payment.value).await;
    let payment = payments.give_back(id.0, refund.id(), who.user, amount, reason).await?;
    let location = format!("/api/payments/{}", id.0);
    Ok(Created { location, version: payment.version, body: PaymentView::of(&payment, &who) })
}

fn positive(text: &str, payment: &Payment) -> Result<Money, String> {
    let amount = Money::parse(text, payment.amount.currency()).map_err(|error| error.to_string())?;
    charge::units(amount).map_err(|error| error.to_string())?;
    if amount.minor() > 0 { Ok(amount) } else { Err("must be more than zero".to_owned()) }
}

fn may_see(who: &Principal, payment: &Payment) -> bool {
    who.is_admin() || who.user == payment.buyer_id || who.user == payment.seller_id
}

/// Takes Stripe's webhooks.
#[utoipa::path(post, path = "/api/payments/webhook",
    request_body(content = Object, content_type = "application/json", description = "A Stripe event"),
    params(("Stripe-Signature" = String, Header, description = "Stripe's signature over the body and the time")),
    responses((status = 200, description = "Remembered"), (status = 400, description = "`webhook_not_genuine`, or too old")))]
pub(crate) async fn webhook(
    payments: Data<Payments>,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let signature = request.headers().get("Stripe-Signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let notice = Notice::read(&body, signature, &payments.webhook_secrets, payments.clock.now());
    let notice = notice.inspect_err(|_| payments.webhooks.count(Received::Refused))?;
    payments.webhooks.heard(payments.clock.now());
    payments.receive(&notice).await?;
    Ok(HttpResponse::new(StatusCode::OK))
}
