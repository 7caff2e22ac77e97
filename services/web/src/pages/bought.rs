//! An order as the seller sees it, and the way to give its money back.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use askama::Template;
use futures::future::{Ready, ready};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::order::Docket;
use crate::failure::{ApiProblem, Failure};
use crate::fields::{Form, Id};
use crate::format::Words;
use crate::html::{Answered, form_page, go, page};
use crate::making::{NotMade, key_of, new_key};
use crate::model::{Order, Payment, Refund, Sale};
use crate::send_again::or_send_again;
use crate::shell::Shell;
use crate::visit::Visit;

/// A wish to give money back, as it is typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct GiveBack {
    /// All that is left if it is empty.
    amount: String,
    reason: String,
    /// Gives it back once, however often the form is sent.
    #[serde(skip_serializing)]
    key: String,
}

/// Money that went back, in the words of the visitor.
struct WentBack {
    refund: Refund,
    amount: String,
}

/// What is known of the payment; nothing is before its buyer has begun to pay.
struct Money {
    payment: Payment,
    /// How much of how much went back, if anything did.
    went_back: Option<String>,
    refunds: Vec<WentBack>,
}

impl Money {
    fn new(payment: Payment, order: &Order, words: &Words) -> Self {
        let money = |amount: &str| words.money(amount, &order.currency);
        let went_back = format!("{} of {} went back", money(&payment.refunded), money(&payment.amount));
        let in_words = |refund: &Refund| WentBack { amount: money(&refund.amount), refund: refund.clone() };
        Self {
            went_back: (!payment.refunds.is_empty()).then_some(went_back),
            refunds: payment.refunds.iter().map(in_words).collect(),
            payment,
        }
    }
}

#[derive(Template)]
#[template(path = "bought.html")]
struct BoughtPage {
    shell: Shell,
    docket: Docket,
    bought: String,
    money: Option<Money>,
    wish: GiveBack,
    problem: Option<ApiProblem>,
}

/// A listing, and one of its orders, as an address names them.
pub(crate) struct Ids {
    ticket: Id,
    order: Id,
}

impl FromRequest for Ids {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let ids = Id::named(request, "id").and_then(|ticket| Ok(Self { ticket, order: Id::named(request, "order")? }));
        ready(ids)
    }
}

impl BoughtPage {
    /// The page of an order with an empty form; there is none for whoever does not sell the listing.
    async fn of(
        visit: &Visit,
        ids: &Ids,
        order: impl Future<Output = Result<Order, Failure>>,
    ) -> Result<Self, Failure> {
        let (sale, payment) = (format!("/api/orders/sales/{}", ids.ticket), format!("/api/payments/{}", ids.order));
        let (own, sale, order, payment) =
            futures::join!(visit.own_shell(), visit.get::<Sale>(&sale), order, visit.get::<Payment>(&payment));
        let ((shell, _), _, order) = (own?, sale?, order?);
        let payment = match payment {
            Err(Failure::Refused(problem)) if problem.status == 404 => None,
            payment => Some(payment?),
        };
        let words = visit.words();
        let bought = words.moment(order.created_at, &order.time_zone);
        let money = payment.map(|payment| Money::new(payment, &order, words));
        let wish = GiveBack { key: new_key(visit), ..GiveBack::default() };
        Ok(Self { shell, docket: Docket::new(order, words), bought, money, wish, problem: None })
    }
}

fn address(ids: &Ids) -> String {
    format!("/sales/{}/orders/{}", ids.ticket, ids.order)
}

/// The page.
pub(crate) async fn show(visit: Visit, ids: Ids) -> Answered {
    page(&BoughtPage::of(&visit, &ids, order_of(&visit, &ids)).await?)
}

/// To the order, for somebody who comes to the address of its form.
pub(crate) async fn back(ids: Ids) -> Answered {
    Ok(go(&address(&ids)))
}

/// The order, which is not reached by the address of another sale.
async fn order_of(visit: &Visit, Ids { ticket, order }: &Ids) -> Result<Order, Failure> {
    let order: Order = visit.get(&format!("/api/orders/{order}")).await?;
    if order.ticket_id == ticket.to_string() { Ok(order) } else { Err(Failure::NotFound) }
}

/// Gives money back, or shows the form with what is wrong.
pub(crate) async fn give_back(visit: Visit, ids: Ids, form: Form<GiveBack>) -> Answered {
    let (here, wish) = (address(&ids), form.0);
    let order = order_of(&visit, &ids).await?;
    // A form that cannot be read is empty, and nothing said means all: that must be meant.
    if wish.key.is_empty() {
        return not_given(&visit, &ids, order, &wish, ApiProblem::damaged("key"), new_key(&visit)).await;
    }
    let key = key_of(&visit, wish.key.clone());
    let amount = visit.words().read_amount(&wish.amount);
    let body = wish.body(amount.as_deref().unwrap_or("unreadable"));
    let path = format!("/api/payments/{}/refunds", ids.order);
    let NotMade { mut problem, key } = match visit.make::<Value>(&path, &key, &body).await {
        Ok(_) => return Ok(go(&here)),
        Err(failure) => visit.not_made(failure.at(&here), key)?,
    };
    if let Err(wrong) = amount.as_ref().map_err(ToString::to_string)
        && !wish.amount.trim().is_empty()
    {
        problem.replace("amount", "amount", wrong);
    }
    let page = not_given(&visit, &ids, order, &wish, problem.clone(), key.clone()).await;
    or_send_again(page, &problem, &format!("{here}/refund"), &wish, key)
}

async fn not_given(
    visit: &Visit,
    ids: &Ids,
    order: Order,
    wish: &GiveBack,
    problem: ApiProblem,
    key: String,
) -> Answered {
    let page = BoughtPage::of(visit, ids, ready(Ok(order))).await?;
    let problem = Some(told(problem, &page.docket.order.currency, visit.words()));
    let page = BoughtPage { wish: GiveBack { key, ..wish.clone() }, problem, ..page };
    form_page(page.problem.as_ref(), &page)
}

/// The problem with what is left in the words of the visitor, at the amount.
fn told(mut problem: ApiProblem, currency: &str, words: &Words) -> ApiProblem {
    let left = problem.facts.get("left").and_then(Value::as_str).map(|left| words.money(left, currency));
    if let Some(left) = left {
        problem.replace("amount", "amount", format!("is too much: only {left} is left"));
    }
    problem
}

impl GiveBack {
    /// What is sent to the API. What is left out is all that is left, and why is nobody's business.
    fn body(&self, amount: &str) -> Value {
        let mut body = json!({});
        if !self.amount.trim().is_empty() {
            body["amount"] = json!(amount);
        }
        if !self.reason.trim().is_empty() {
            body["reason"] = json!(self.reason.trim());
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_not_sent() {
        let wish = |amount: &str, reason: &str| {
            GiveBack { amount: amount.to_owned(), reason: reason.to_owned(), ..GiveBack::default() }.body("5.50")
        };
        assert_eq!(wish("", " "), json!({}));
        assert_eq!(wish("5,5", " Rain "), json!({ "amount": "5.50", "reason": "Rain" }));
    }

    #[test]
    fn what_is_left_is_told_as_the_visitor_writes_it() {
        let refused = json!({ "status": 409, "code": "refund_exceeds_payment", "detail": "d", "left": "1234.50" });
        let problem = told(serde_json::from_value(refused).unwrap(), "eur", &Words::for_languages("de"));
        assert_eq!(problem.of("amount"), Some("is too much: only 1.234,50\u{a0}€ is left"));
    }
}
