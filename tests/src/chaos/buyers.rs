//! People who buy, and write down what they are told.

use std::sync::Mutex;
use std::time::Duration;

use common::clock::{Clock, SystemClock, Time};
use reqwest::Method;
use serde_json::{Value, json};

use super::doors::Asked;
use super::history::{Call, Outcome, Places, Said, Wish};
use super::plan::{After, Deal, Plan, Then};
use super::world::World;
use crate::person::Person;
use crate::wait::pause;

/// How often a hold or a payment is tried in all.
const TRIES: usize = 3;
const BETWEEN_TRIES: Duration = Duration::from_millis(300);
const UNTIL_PLACES_MAY_BE_FREE: Duration = Duration::from_millis(700);

/// How long after a hold was granted a late payer pays: about when it expires.
const LATE: Duration = Duration::from_millis(2_600);

/// What everybody writes down.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<Call>>);

impl Notes {
    fn add(&self, call: Call) {
        self.0.lock().expect("nobody panics while writing").push(call);
    }

    /// All that was written, in the order of the answers.
    pub(crate) fn take(self) -> Vec<Call> {
        self.0.into_inner().expect("nobody panics while writing")
    }
}

/// Somebody in a run.
pub(crate) struct Buyer<'w> {
    pub(crate) world: &'w World,
    pub(crate) notes: &'w Notes,
    pub(crate) tickets: &'w [String],
    pub(crate) who: usize,
    /// Makes the keys of different runs differ.
    pub(crate) run: String,
}

/// All of a run's deals, side by side.
pub(crate) async fn buy(world: &World, notes: &Notes, tickets: &[String], plan: &Plan, run: &str) {
    let people = plan.deals.iter().enumerate().map(|(who, deals)| async move {
        let buyer = Buyer { world, notes, tickets, who, run: run.to_owned() };
        for (nth, deal) in deals.iter().enumerate() {
            buyer.deal(nth, deal).await;
        }
    });
    futures::future::join_all(people).await;
}

impl Buyer<'_> {
    fn person(&self) -> &Person {
        &self.world.buyers[self.who]
    }

    async fn deal(&self, nth: usize, deal: &Deal) {
        pause(deal.wait).await;
        let Some(order) = self.hold(nth, deal).await else { return };
        let late = matches!(deal.then, Then::PayLate);
        pause(if late { LATE } else { deal.think }).await;
        match deal.then {
            Then::Forget => {
                self.look(&order).await;
            }
            Then::GiveUp => self.cancel(&order).await,
            Then::Pay | Then::PayLate => drop(self.pay(nth, &order, "pm_card_visa").await),
            Then::PayAtSecondTry => {
                self.pay(nth, &order, "pm_card_chargeDeclined").await;
                self.pay(nth, &order, "pm_card_visa").await;
            }
            Then::Authenticate => self.pay_at_bank(nth, &order, "pm_card_authenticationRequired", deal, true).await,
            Then::Process(yes) => self.pay_at_bank(nth, &order, "pm_card_processing", deal, yes).await,
        }
        if !matches!(deal.then, Then::Forget | Then::GiveUp) {
            self.after(&order, deal).await;
        }
    }

    /// Asks for places until it gets some, or has asked often enough: who was refused asks anew, who got no answer repeats
    /// the question under the same key.
    async fn hold(&self, nth: usize, deal: &Deal) -> Option<String> {
        let ticket = &self.tickets[deal.ticket];
        let mut refusals = 0;
        for _ in 0..TRIES {
            let key = format!("{}-hold-{}-{nth}-{refusals}", self.run, self.who);
            let wish = Wish::Hold { ticket: ticket.clone(), quantity: deal.quantity };
            let body = json!({ "ticketId": ticket, "quantity": deal.quantity });
            let asked = Asked { method: Method::POST, path: "/api/orders", key: Some(&key), body };
            match self.ask(self.person(), wish, asked).await.0 {
                Outcome::Acknowledged(said) => return Some(said.id),
                Outcome::Refused { .. } => {
                    refusals += 1;
                    self.look_at_ticket(ticket).await;
                    pause(UNTIL_PLACES_MAY_BE_FREE).await;
                }
                Outcome::Unknown(_) => pause(BETWEEN_TRIES).await,
            }
        }
        None
    }

    /// Pays, and repeats it if there is no answer; the last answer.
    async fn pay(&self, nth: usize, order: &str, method: &str) -> Value {
        let key = format!("{}-pay-{}-{nth}-{method}", self.run, self.who);
        for _ in 0..TRIES {
            let wish = Wish::Pay { order: order.to_owned() };
            let body = json!({ "orderId": order, "paymentMethod": method });
            let asked = Asked { method: Method::POST, path: "/api/payments", key: Some(&key), body };
            let (outcome, body) = self.ask(self.person(), wish, asked).await;
            if !matches!(outcome, Outcome::Unknown(_)) {
                return body;
            }
            pause(BETWEEN_TRIES).await;
        }
        Value::Null
    }

    /// Pays with a card whose bank decides later: it does, whether or not anybody has heard that it was asked.
    async fn pay_at_bank(&self, nth: usize, order: &str, method: &str, deal: &Deal, yes: bool) {
        let answer = self.pay(nth, order, method).await;
        pause(deal.think).await;
        let Some((intent, _)) = answer["clientSecret"].as_str().and_then(|secret| secret.split_once("_secret")) else {
            return;
        };
        let lever = if matches!(deal.then, Then::Authenticate) { "authenticate" } else { "settle" };
        let verdict = json!({ "outcome": if yes { "succeeded" } else { "failed" } });
        self.world.bank_lever(&format!("/test/payment_intents/{intent}/{lever}"), verdict).await;
    }

    async fn after(&self, order: &str, deal: &Deal) {
        self.look(order).await;
        if deal.after == After::Keep {
            return;
        }
        pause(deal.think).await;
        match deal.after {
            After::Keep => {}
            After::BuyerReturns => self.cancel(order).await,
            After::SellerRefunds => self.refund(order).await,
            After::Both => drop(tokio::join!(self.cancel(order), self.refund(order))),
        }
        self.look(order).await;
    }

    async fn look(&self, order: &str) {
        let path = format!("/api/orders/{order}");
        let asked = Asked { method: Method::GET, path: &path, key: None, body: Value::Null };
        self.ask(self.person(), Wish::LookAtOrder { order: order.to_owned() }, asked).await;
    }

    async fn look_at_ticket(&self, ticket: &str) {
        let path = format!("/api/tickets/{ticket}");
        let asked = Asked { method: Method::GET, path: &path, key: None, body: Value::Null };
        self.ask(self.person(), Wish::LookAtTicket { ticket: ticket.to_owned() }, asked).await;
    }

    async fn cancel(&self, order: &str) {
        let path = format!("/api/orders/{order}");
        let asked = Asked { method: Method::DELETE, path: &path, key: None, body: Value::Null };
        self.ask(self.person(), Wish::Cancel { order: order.to_owned() }, asked).await;
    }

    async fn refund(&self, order: &str) {
        let path = format!("/api/payments/{order}/refunds");
        let key = format!("{}-refund-{order}", self.run);
        let asked = Asked { method: Method::POST, path: &path, key: Some(&key), body: json!({}) };
        self.ask(&self.world.seller, Wish::Refund { order: order.to_owned() }, asked).await;
    }

    /// Asks, and writes down what came of it.
    async fn ask(&self, person: &Person, wish: Wish, asked: Asked<'_>) -> (Outcome, Value) {
        let began = SystemClock.now();
        let answer = self.world.doors.ask(person, asked).await;
        let ended = SystemClock.now();
        let (outcome, body) = match answer {
            Ok(answer) => (judged(answer.status, &answer.body), answer.body),
            Err(why) => (Outcome::Unknown(why), Value::Null),
        };
        self.notes.add(Call { who: self.who, began, ended, wish, outcome: outcome.clone() });
        (outcome, body)
    }
}

fn judged(status: u16, body: &Value) -> Outcome {
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    match status {
        200..300 => Outcome::Acknowledged(Said {
            id: text("id"),
            status: text("status"),
            expires_at: text("expiresAt").parse::<Time>().ok(),
            places: places(body),
        }),
        400..500 => Outcome::Refused { status, code: text("code") },
        _ => Outcome::Unknown(format!("{status} {}", text("code"))),
    }
}

/// The places on a listing's page; an order has no `available`.
pub(crate) fn places(body: &Value) -> Option<Places> {
    let count = |field: &str| body[field].as_u64().and_then(|count| u32::try_from(count).ok());
    Some(Places {
        quantity: count("quantity")?,
        held: count("held")?,
        sold: count("sold")?,
        available: count("available")?,
    })
}
