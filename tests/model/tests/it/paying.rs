//! Payments and Stripe: what checkout, arbiter, refunds, webhooks and jobs do with the pure rules.

use std::sync::Arc;

use common::id::RefundId;
use orders::order::Input as Told;
use payments::order::{Duty, OrderReplica};
use payments::payment::{Input, Payment, PaymentState, Standing, Step};
use payments::refund::Refunding;

use super::action::Outcome;
use super::state::{Answer, START, Sale, StripeRefund};
use super::world::{Removed, World};

/// The one intent of an order.
const INTENT: &str = "pi";

impl Sale {
    pub(super) fn payment_is(&self, check: impl Fn(&Payment) -> bool) -> bool {
        self.payment.as_ref().is_some_and(|payment| check(payment))
    }

    /// Whether the buyer may have been told the intent's secret.
    pub(super) fn intent_is_known(&self) -> bool {
        self.payment_is(|payment| payment.intent.is_some())
    }

    pub(super) fn intent_is_open(&self) -> bool {
        matches!(self.stripe.intent, Some(Standing::Open { .. } | Standing::RequiresAction))
    }

    pub(super) fn attended(&self) -> bool {
        self.payment_is(|payment| payment.attention_at.is_some())
    }

    fn publish_payment(&mut self, event: &common::events::PaymentEvent) {
        if let Some((_, input)) = Told::told_by(event) {
            self.tell_order(input);
        }
    }

    fn insert(&mut self, payment: Payment) {
        self.publish_payment(&payment.made());
        self.payment = Some(Arc::new(payment));
    }

    /// What becomes of the payment, if anything does.
    pub(super) fn foresee(&self, input: Input) -> Option<Step> {
        self.payment.as_ref()?.handle(input, START).ok().flatten()
    }

    fn change(&mut self, input: Input) {
        if let Some(Step { next, event }) = self.foresee(input) {
            self.publish_payment(&event);
            self.payment = Some(Arc::new(next));
        }
    }

    /// The answer of a process that has asked Stripe just now.
    fn remember(&mut self) {
        if let Some(answer) = self.answer() {
            self.answers.push(answer);
            self.answers.sort_unstable_by_key(|answer| format!("{answer:?}"));
        }
    }

    fn answer(&self) -> Option<Answer> {
        let (standing, attempt) = (self.stripe.intent.clone()?, self.payment.as_ref()?.attempt);
        Some(Answer { attempt, standing })
    }

    pub(super) fn forget(&mut self, answer: &Answer) {
        if let Some(place) = self.answers.iter().position(|known| known == answer) {
            self.answers.remove(place);
        }
    }

    /// The next event of the order that the version gate lets through.
    pub(super) fn next_mail(&self) -> Option<usize> {
        let seen = self.replica.as_ref().map_or(0, |(version, _)| *version);
        self.to_payments.iter().position(|mail| mail.version == seen + 1)
    }

    pub(super) fn may_begin(&self) -> bool {
        let payable = self.replica.as_ref().is_some_and(|(_, replica)| replica.payable(self.now()).is_ok());
        payable && self.payment.is_none() && !self.in_hand
    }

    pub(super) fn make_intent(&mut self) {
        self.in_hand = true;
        self.stripe.intent.get_or_insert(Standing::Open { error: None });
    }

    pub(super) fn pay(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Succeeds => self.stripe.intent = Some(Standing::Succeeded),
            Outcome::Processing => self.stripe.intent = Some(Standing::Processing),
            Outcome::Authenticate => self.stripe.intent = Some(Standing::RequiresAction),
            Outcome::Declined => self.decline(),
        }
    }

    pub(super) fn bank_decides(&mut self, yes: bool) {
        match yes {
            true => self.stripe.intent = Some(Standing::Succeeded),
            false => self.decline(),
        }
    }

    fn decline(&mut self) {
        self.luck.declines -= 1;
        self.stripe.intent = Some(Standing::Open { error: Some("card_declined".to_owned()) });
    }

    pub(super) fn bank_pays_late(&mut self) {
        self.luck.late_money -= 1;
        self.stripe.intent = Some(Standing::Succeeded);
        self.stripe.news = true;
    }

    pub(super) fn refund_bounces(&mut self) {
        self.luck.bounces -= 1;
        self.stripe.refunds.iter_mut().for_each(|refund| refund.bounced = true);
        self.stripe.news = true;
    }

    /// The call cancels the intent or tells why it cannot.
    pub(super) fn cancel_intent(&mut self) {
        if self.intent_is_open() {
            self.stripe.intent = Some(Standing::Cancelled);
        }
        self.remember();
    }

    pub(super) fn ask_stripe(&mut self) {
        self.remember();
    }

    pub(super) fn learn(&mut self, answer: Answer) {
        self.forget(&answer);
        self.change(stands(answer));
        // The webhook is handled once what Stripe says of the intent by now is stored.
        self.stripe.news &= self.would_learn() || !self.refunds_to_record().is_empty();
    }

    /// The attention job: money of an order that may keep none goes back; a payment with nothing left to do rests.
    pub(super) fn look_after_refunds(&mut self) {
        if self.replica.as_ref().is_some_and(|(_, replica)| replica.wants_all_back()) {
            self.change(Input::Refunding(Refunding::All));
        } else if let Some(payment) = &mut self.payment
            && payment.started_refunds().next().is_none()
        {
            Arc::make_mut(payment).attention_at = None;
        }
    }

    pub(super) fn refund_to_make(&self) -> Option<StripeRefund> {
        let made = |id: RefundId| self.stripe.refunds.iter().any(|refund| refund.id == id);
        let refund = self.payment.as_ref()?.started_refunds().find(|refund| !made(refund.id))?;
        Some(StripeRefund { id: refund.id, minor: refund.amount.minor(), bounced: false })
    }

    /// What the payment does not know yet of refunds at Stripe.
    pub(super) fn refunds_to_record(&self) -> Vec<Input> {
        let Some(payment) = &self.payment else { return Vec::new() };
        let known = self.stripe.refunds.iter().map(|refund| match refund.bounced {
            true => Refunding::Refused {
                id: refund.id,
                stripe_id: Some(refund.id.to_string()),
                code: "expired_or_canceled_card".to_owned(),
            },
            false => Refunding::Done { id: refund.id, stripe_id: refund.id.to_string(), amount: payment.amount },
        });
        known.map(Input::Refunding).filter(|input| self.foresee(input.clone()).is_some()).collect()
    }

    pub(super) fn record_refunds(&mut self) {
        for input in self.refunds_to_record() {
            self.change(input);
        }
        self.stripe.news = false;
    }

    /// Whether Stripe says something that the payment does not know.
    pub(super) fn would_learn(&self) -> bool {
        self.answer().and_then(|answer| self.foresee(stands(answer))).is_some()
    }

    pub(super) fn may_ask(&self, readers: usize) -> bool {
        let looked_at = |payment: &Payment| !payment.state.is_paid() && payment.state != PaymentState::Cancelling;
        let asked = self.stripe.news || (self.attended() && self.payment_is(looked_at));
        asked && self.intent_is_known() && self.answers.len() < readers
    }

    pub(super) fn make_refund(&mut self) {
        self.stripe.refunds.extend(self.refund_to_make());
    }
}

pub(super) fn stands(Answer { attempt, standing }: Answer) -> Input {
    Input::Stands { intent: INTENT.to_owned(), attempt, standing, method: None, next_action: None }
}

impl World {
    /// The replica follows; what the event demands is done, and then done again until it is acknowledged.
    pub(super) fn follow(&self, sale: &mut Sale) {
        let Some(place) = sale.next_mail() else { return };
        let mail = &sale.to_payments[place];
        let known = sale.replica.take().map(|(_, replica)| OrderReplica::clone(&replica));
        sale.replica = OrderReplica::after(known, &mail.event).map(|replica| (mail.version, Arc::new(replica)));
        if self.duty(&mail.event).is_none() {
            sale.to_payments.remove(place);
        }
    }

    fn duty(&self, event: &common::events::OrderEvent) -> Option<Duty> {
        Duty::of(event).filter(|duty| !(self.removed.arbiter() && matches!(duty, Duty::Close(_))))
    }

    pub(super) fn do_duty(&self, sale: &mut Sale, version: u8, again: bool) {
        let Some(place) = sale.to_payments.iter().position(|mail| mail.version == version) else { return };
        match self.duty(&sale.to_payments[place].event) {
            Some(Duty::Close(facts)) if facts.total.minor() > 0 => match &sale.payment {
                None => sale.insert(Payment::never(&facts, START)),
                Some(_) => sale.change(Input::OrderEnded),
            },
            Some(Duty::GiveAllBack(_)) => {
                sale.change(Input::Refunding(Refunding::All));
                sale.dead_letter |= !sale.payment_is(|payment| payment.state.is_paid());
            }
            _ => {}
        }
        if !again {
            sale.to_payments.remove(place);
        }
    }

    /// The first insert counts; an intent that came too late is cancelled.
    pub(super) fn store_payment(&self, buyer: usize, sale: &mut Sale) {
        sale.in_hand = false;
        let first = sale.payment.is_none() || self.removed == Removed::FirstInsert;
        if first {
            sale.insert(Payment::begin(&self.orders[buyer].facts(), INTENT.to_owned(), START));
        } else if !sale.intent_is_known() {
            sale.stripe.intent = Some(Standing::Cancelled);
        }
    }

    pub(super) fn seller_refunds(&self, buyer: usize, sale: &mut Sale) {
        sale.luck.seller_refunds -= 1;
        let id = RefundId::derived(self.orders[buyer].id.uuid(), "seller");
        sale.change(Input::Refunding(Refunding::Asked { id, amount: None, reason: None }));
    }
}
