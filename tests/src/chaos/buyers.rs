//! People who buy, and write down what they are told.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use common::clock::{Clock, SystemClock, Time};
use reqwest::Method;
use serde_json::{Value, json};

use super::doors::Asked;
use super::history::{Call, IN_PROGRESS, Outcome, Places, Said, Shown, Wish};
use super::moves::listing;
use super::plan::{After, Deal, Plan, Then, Webhooks};
use super::world::World;
use crate::person::Person;
use crate::wait::pause;

/// How often somebody who was refused places asks for some.
const TRIES: usize = 3;

/// How long somebody without an answer repeats a request before going on; in the end nobody is left without one.
const REPEATED_FOR: Duration = Duration::from_secs(10);
const ANSWERED_WITHIN: Duration = Duration::from_secs(90);
const ANSWERED_SOON: Duration = Duration::from_secs(8);
const BETWEEN_TRIES: Duration = Duration::from_millis(300);
const UNTIL_PLACES_MAY_BE_FREE: Duration = Duration::from_millis(700);

/// The parts of an order that the seller gives back, each once, in minor units.
const PARTS: [i64; 2] = [100, 250];

/// How long after a hold was granted a late payer pays: about when it expires.
const LATE: Duration = Duration::from_millis(2_600);

/// What everybody writes down.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<Call>>);

impl Notes {
    /// Writes down a call.
    pub(crate) fn add(&self, call: Call) {
        self.0.lock().expect("nobody panics while writing").push(call);
    }

    /// All that was written, in the order of the answers.
    pub(crate) fn take(self) -> Vec<Call> {
        self.0.into_inner().expect("nobody panics while writing")
    }

    /// The last call of each request with a key that has no answer.
    fn unanswered(&self) -> Vec<Call> {
        let mut requests = BTreeMap::new();
        for call in self.0.lock().expect("nobody panics while writing").iter() {
            if let Some(key) = &call.key {
                let is_answered = !matches!(call.outcome, Outcome::Unknown(_));
                let (answered, last) = requests.entry(key.clone()).or_insert((false, call.clone()));
                *answered |= is_answered;
                *last = call.clone();
            }
        }
        requests.into_values().filter(|(answered, _)| !answered).map(|(_, last)| last).collect()
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
    /// Whether the bank's webhooks come.
    pub(crate) bank_tells: bool,
}

/// All of a run's deals, side by side.
pub(crate) async fn buy(world: &World, notes: &Notes, tickets: &[String], plan: &Plan, run: &str) {
    let people = plan.deals.iter().enumerate().map(|(who, deals)| async move {
        let bank_tells = plan.webhooks != Webhooks::Lost;
        let buyer = Buyer { world, notes, tickets, who, run: run.to_owned(), bank_tells };
        for (nth, deal) in deals.iter().enumerate() {
            buyer.deal(nth, deal).await;
        }
    });
    futures::future::join_all(people).await;
}

/// When all is well again: everybody who has no answer repeats the request until there is one; `insists` says whether also for as
/// long as the lease of a first request may last, whose process was killed.
pub(crate) async fn insist(world: &World, notes: &Notes, insists: bool) {
    let repeated = notes.unanswered().into_iter().map(|call| async move {
        let buyer = Buyer { world, notes, tickets: &[], who: call.who, run: String::new(), bank_tells: false };
        let key = call.key.unwrap_or_default();
        let answer = buyer.until_answered(&call.wish, &key, ANSWERED_SOON).await.0;
        if matches!(&answer, Outcome::Unknown(why) if insists || why != IN_PROGRESS) {
            buyer.until_answered(&call.wish, &key, ANSWERED_WITHIN).await;
        }
    });
    futures::future::join_all(repeated).await;
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
            self.after(nth, &order, deal).await;
        }
    }

    /// Asks for places until it gets some, or has asked often enough: who was refused asks anew, who got no answer repeats
    /// the question under the same key.
    async fn hold(&self, nth: usize, deal: &Deal) -> Option<String> {
        let ticket = &self.tickets[deal.ticket];
        let wish = Wish::Hold { ticket: ticket.clone(), quantity: deal.quantity };
        for tried in 0..TRIES {
            let key = format!("{}-hold-{}-{nth}-{tried}", self.run, self.who);
            match self.until_answered(&wish, &key, REPEATED_FOR).await.0 {
                Outcome::Acknowledged(said) => return Some(said.id),
                Outcome::Refused { .. } => {
                    self.look_at_ticket(ticket).await;
                    pause(UNTIL_PLACES_MAY_BE_FREE).await;
                }
                Outcome::Unknown(_) => return None,
            }
        }
        None
    }

    /// Pays; the answer.
    async fn pay(&self, nth: usize, order: &str, method: &str) -> Value {
        let key = format!("{}-pay-{}-{nth}-{method}", self.run, self.who);
        let wish = Wish::Pay { order: order.to_owned(), method: method.to_owned() };
        self.until_answered(&wish, &key, REPEATED_FOR).await.1
    }

    /// Repeats a request under the same key until it is answered, but no longer than for `patience`.
    async fn until_answered(&self, wish: &Wish, key: &str, patience: Duration) -> (Outcome, Value) {
        let until = SystemClock.now() + patience;
        loop {
            let answer = self.ask(wish.clone(), Some(key)).await;
            if !matches!(answer.0, Outcome::Unknown(_)) || SystemClock.now() > until {
                return answer;
            }
            pause(BETWEEN_TRIES).await;
        }
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

    async fn after(&self, nth: usize, order: &str, deal: &Deal) {
        self.look(order).await;
        if deal.after == After::Keep {
            return;
        }
        pause(deal.think).await;
        match deal.after {
            After::Keep => {}
            After::BuyerReturns => self.cancel(order).await,
            After::SellerRefunds => self.refund(order, None).await,
            After::Both => drop(tokio::join!(self.cancel(order), self.refund(order, None))),
            After::SellerRefundsParts => {
                for part in PARTS {
                    self.refund(order, Some(part)).await;
                }
            }
            After::PartAndAll => {
                tokio::join!(self.refund(order, Some(PARTS[0])), self.refund(order, None));
            }
            After::Disputes { cancels, won } => self.dispute(order, cancels, won, deal.think).await,
            After::Door { undone, refunded } => self.come(nth, order, deal, undone, refunded).await,
        }
        self.look(order).await;
    }

    /// They come, and the seller lets them in: perhaps the first of them by mistake, and perhaps their money goes back meanwhile.
    async fn come(&self, nth: usize, order: &str, deal: &Deal, undone: bool, refunded: bool) {
        let path = format!("/api/orders/{order}/passes");
        let asked = Asked { method: Method::GET, path: &path, key: None, tag: None, body: Value::Null };
        let Ok(passes) = self.world.doors.ask(self.person(), asked).await else { return };
        let key = |what: &str| format!("{}-{what}-{}-{nth}", self.run, self.who);
        let mut first = None;
        for (place, pass) in passes.body["items"].as_array().into_iter().flatten().enumerate() {
            let code = pass["code"].as_str().unwrap_or_default().to_owned();
            let wish = Wish::CheckIn { order: order.to_owned(), ticket: self.tickets[deal.ticket].clone(), code };
            let admitted = self.until_answered(&wish, &key(&format!("scan-{place}")), REPEATED_FOR).await.1;
            let named = || Some((pass["id"].as_str()?.to_owned(), admitted["checkedInAt"].as_str()?.to_owned()));
            first = first.or_else(named);
        }
        let undoing = async {
            if let Some((pass, at)) = first.filter(|_| undone) {
                let wish = Wish::Undo { order: order.to_owned(), pass, at };
                self.until_answered(&wish, &key("undo"), REPEATED_FOR).await;
            }
        };
        let refunding = async {
            if refunded {
                self.refund(order, None).await;
            }
        };
        tokio::join!(undoing, refunding);
    }

    /// Complains at the bank, if it has charged the order and tells of what it does; a bank that tells nothing of a dispute leaves
    /// nobody a way to know.
    async fn dispute(&self, order: &str, cancels: bool, won: bool, think: Duration) {
        if !self.bank_tells {
            return;
        }
        let books = self.world.bank_lever(&format!("/test/charges?metadata[order]={order}"), Value::Null).await;
        let charges = books["charges"].as_array().map_or(&[][..], Vec::as_slice);
        let Some(paid) = charges.iter().find(|charge| charge["status"] == "succeeded") else { return };
        let intent = paid["payment_intent"].as_str().unwrap_or_default();
        let dispute = self.world.bank_lever(&format!("/test/payment_intents/{intent}/dispute"), json!({})).await;
        let Some(id) = dispute["id"].as_str() else { return };
        if cancels {
            self.cancel(order).await;
        }
        pause(think).await;
        let decision = json!({ "status": if won { "won" } else { "lost" } });
        self.world.bank_lever(&format!("/test/disputes/{id}/close"), decision).await;
    }

    async fn look(&self, order: &str) {
        self.ask(Wish::LookAtOrder { order: order.to_owned() }, None).await;
    }

    async fn look_at_ticket(&self, ticket: &str) {
        self.ask(Wish::LookAtTicket { ticket: ticket.to_owned() }, None).await;
    }

    async fn cancel(&self, order: &str) {
        self.ask(Wish::Cancel { order: order.to_owned() }, None).await;
    }

    async fn refund(&self, order: &str, amount: Option<i64>) {
        let what = amount.map_or("all".to_owned(), |amount| amount.to_string());
        let key = format!("{}-refund-{order}-{what}", self.run);
        let wish = Wish::Refund { order: order.to_owned(), amount };
        self.until_answered(&wish, &key, REPEATED_FOR).await;
    }

    /// Asks, and writes down what came of it.
    async fn ask(&self, wish: Wish, key: Option<&str>) -> (Outcome, Value) {
        let by_seller = matches!(wish, Wish::Refund { .. } | Wish::CheckIn { .. } | Wish::Undo { .. });
        let person = if by_seller { &self.world.seller } else { self.person() };
        let (method, path, body) = request(&wish);
        let began = SystemClock.now();
        let answer = self.world.doors.ask(person, Asked { method, path: &path, key, tag: None, body }).await;
        let ended = SystemClock.now();
        let (outcome, body) = match answer {
            Ok(answer) => (judged(answer.status, &answer.body), answer.body),
            Err(why) => (Outcome::Unknown(why), Value::Null),
        };
        let key = key.map(str::to_owned);
        self.notes.add(Call { who: self.who, began, ended, wish, key, outcome: outcome.clone() });
        (outcome, body)
    }
}

/// How a wish is put to Docket.
fn request(wish: &Wish) -> (Method, String, Value) {
    match wish {
        Wish::Hold { ticket, quantity } => {
            (Method::POST, "/api/orders".to_owned(), json!({ "ticketId": ticket, "quantity": quantity }))
        }
        Wish::Pay { order, method } => {
            (Method::POST, "/api/payments".to_owned(), json!({ "orderId": order, "paymentMethod": method }))
        }
        Wish::Cancel { order } => (Method::DELETE, format!("/api/orders/{order}"), Value::Null),
        Wish::Refund { order, amount } => {
            let amount = amount.map(|minor| format!("{}.{:02}", minor / 100, minor % 100));
            let body = amount.map_or_else(|| json!({}), |amount| json!({ "amount": amount }));
            (Method::POST, format!("/api/payments/{order}/refunds"), body)
        }
        Wish::Move { ticket, show } => (Method::PUT, format!("/api/tickets/{ticket}"), listing(show)),
        Wish::CheckIn { ticket, code, .. } => {
            let body = json!({ "code": code, "ticketId": ticket, "place": "North door" });
            (Method::POST, "/api/passes/check-in".to_owned(), body)
        }
        Wish::Undo { order, pass, at } => {
            let body = json!({ "orderId": order, "passId": pass, "checkedInAt": at });
            (Method::POST, "/api/passes/undo".to_owned(), body)
        }
        Wish::LookAtOrder { order } => (Method::GET, format!("/api/orders/{order}"), Value::Null),
        Wish::LookAtTicket { ticket } => (Method::GET, format!("/api/tickets/{ticket}"), Value::Null),
    }
}

/// What an answer says.
pub(crate) fn judged(status: u16, body: &Value) -> Outcome {
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    match status {
        200..300 => Outcome::Acknowledged(Said {
            id: text("id"),
            status: text("status"),
            expires_at: text("expiresAt").parse::<Time>().ok(),
            places: places(body),
            shown: Shown::in_body(body),
        }),
        // Too many at once, or the first request with the key has not ended: nothing is said about what becomes of it.
        429 => Outcome::Unknown(format!("429 {}", text("code"))),
        409 if text("code") == IN_PROGRESS => Outcome::Unknown(text("code")),
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
