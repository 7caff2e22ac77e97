//! Disputes: a buyer asks their bank for the money back, and the bank decides. Pure.
//!
//! Stripe's webhooks about disputes may come late, twice and in any order, so they are only a reason to ask Stripe how all
//! disputes of the intent stand. While one is open, Stripe has no money to give back. One that is won changes nothing; one
//! that is lost is money that went back. What was decided stays decided.

use common::events::PaymentEvent;
use common::events::payments::{DisputeStanding, PaymentDisputeLost, PaymentDisputeWon, PaymentDisputed};
use common::money::Money;
use serde::{Deserialize, Serialize};

use crate::payment::{Payment, PaymentState, Step};

/// Where a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    /// The bank only asks. To give the money back ends it.
    Inquiry,
    /// The bank has the money until it decides.
    Open,
    /// Decided for the seller.
    Won,
    /// Decided for the buyer.
    Lost,
}

impl DisputeState {
    fn is_decided(self) -> bool {
        matches!(self, Self::Won | Self::Lost)
    }
}

/// One dispute of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dispute {
    /// Its id at Stripe.
    pub id: String,
    /// Stripe's reason.
    pub reason: String,
    /// How much of the payment is disputed.
    pub amount: Money,
    /// Where it stands.
    pub state: DisputeState,
}

impl Payment {
    /// Takes over what Stripe says of one of its disputes.
    pub(crate) fn disputed(&self, dispute: Dispute) -> Option<Step> {
        let known = self.disputes.iter().position(|known| known.id == dispute.id);
        let is_news = known.is_none_or(|at| {
            let before = self.disputes[at].state;
            !before.is_decided() && before != dispute.state
        });
        if !self.state.is_paid() || !(is_news || self.forgets_disputes()) {
            return None;
        }
        let mut next = self.clone();
        let at = known.unwrap_or(next.disputes.len());
        match known {
            Some(_) if !is_news => {}
            Some(at) => next.disputes[at] = dispute,
            None => next.disputes.push(dispute),
        }
        // What was forgotten is told first: the money is gone. Of the news the disputes' standing tells.
        let lost = next.disputes.iter().rfind(|dispute| dispute.state == DisputeState::Lost);
        let dispute = lost.filter(|_| self.forgets_disputes()).unwrap_or(&next.disputes[at]).clone();
        next.dispute.get_or_insert_with(|| dispute.reason.clone());
        next.state = next.state_by_returned();
        let event = next.told_of(dispute)?;
        Some(Step { next, event })
    }

    /// Whether it was changed by a build that keeps no disputes, and told what went back without them.
    fn forgets_disputes(&self) -> bool {
        self.charged_back() > 0 && self.state != self.state_by_returned()
    }

    fn told_of(&self, dispute: Dispute) -> Option<PaymentEvent> {
        let Self { order_id, buyer_id, amount, .. } = *self;
        let (standing, Dispute { reason, amount: lost, state, .. }) = (self.dispute_standing()?, dispute);
        Some(match state {
            DisputeState::Inquiry | DisputeState::Open => {
                PaymentDisputed { order_id, buyer_id, amount, reason, standing: Some(standing) }.into()
            }
            DisputeState::Won => PaymentDisputeWon { order_id, buyer_id, amount, reason, standing }.into(),
            DisputeState::Lost => {
                let (in_full, returned) = (self.state == PaymentState::Refunded, self.returned_money());
                PaymentDisputeLost { order_id, buyer_id, amount, reason, standing, lost, in_full, returned }.into()
            }
        })
    }

    /// How its disputes stand together: what is undecided first, then what was lost.
    pub fn dispute_standing(&self) -> Option<DisputeStanding> {
        let any = |state| self.disputes.iter().any(|dispute| dispute.state == state);
        if any(DisputeState::Open) || (self.disputes.is_empty() && self.dispute.is_some()) {
            return Some(DisputeStanding::Open);
        }
        let rest = [
            (DisputeState::Inquiry, DisputeStanding::Inquiry),
            (DisputeState::Lost, DisputeStanding::Lost),
            (DisputeState::Won, DisputeStanding::Won),
        ];
        rest.into_iter().find(|(state, _)| any(*state)).map(|(_, standing)| standing)
    }

    /// Whether the bank has the money until it decides, so that none can be given back.
    pub fn is_with_the_bank(&self) -> bool {
        self.dispute_standing() == Some(DisputeStanding::Open)
    }

    /// Whether the bank has the money, and nobody will look what becomes of it.
    pub fn is_unwatched_dispute(&self) -> bool {
        self.is_with_the_bank() && self.attention_at.is_none()
    }

    /// Whether it is known, and told, that one of its disputes stands so.
    pub(crate) fn knows_of_dispute(&self, id: &str, state: DisputeState) -> bool {
        let is_known = |known: &Dispute| known.id == id && (known.state == state || known.state.is_decided());
        self.disputes.iter().any(is_known) && !self.forgets_disputes()
    }

    /// Whether a dispute is undecided.
    pub fn has_undecided_dispute(&self) -> bool {
        matches!(self.dispute_standing(), Some(DisputeStanding::Open | DisputeStanding::Inquiry))
    }

    /// All that was left was to go back, and Stripe gives nothing of a charge that the bank took back: not even where the bank
    /// took less than was paid. What it took is all that goes back, and it stands for all of it.
    pub(crate) fn close_by_dispute(mut self) -> Option<Step> {
        let lost = self.disputes.iter().rfind(|dispute| dispute.state == DisputeState::Lost)?.clone();
        self.closed_by_dispute = true;
        self.state = self.state_by_returned();
        let event = self.told_of(lost)?;
        Some(Step { next: self, event })
    }

    /// What the bank took back for good, in minor units.
    pub(crate) fn charged_back(&self) -> i64 {
        let lost = self.disputes.iter().filter(|dispute| dispute.state == DisputeState::Lost);
        lost.map(|dispute| dispute.amount.minor()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::tests::{NOW, TOTAL, after, begun, stands, usd};
    use crate::payment::{Input, PaymentError, Standing};
    use crate::refund::{CHARGE_DISPUTED, Refunding};

    fn said(state: DisputeState, amount: i64) -> Input {
        let (id, reason) = ("du_1".to_owned(), "fraudulent".to_owned());
        Input::Disputed(Dispute { id, reason, amount: usd(amount), state })
    }

    fn paid() -> Payment {
        after(&begun(), stands(Standing::Succeeded))
    }

    #[test]
    fn what_the_bank_has_cannot_be_given_back_until_it_has_decided() {
        let disputed = after(&paid(), said(DisputeState::Open, TOTAL));
        let (id, reason) = (common::id::RefundId::derived(disputed.order_id.uuid(), "wish"), None);
        let asked = Input::Refunding(Refunding::Asked { id, amount: Some(usd(1)), reason });
        assert_eq!(disputed.handle(asked, NOW), Err(PaymentError::Disputed));
        let all = Input::Refunding(Refunding::All);
        assert_eq!(disputed.handle(all.clone(), NOW), Ok(None), "the order's wish waits");
        let won = after(&disputed, said(DisputeState::Won, TOTAL));
        assert_eq!((won.state, won.attention_at), (PaymentState::Succeeded, Some(NOW)), "what waited is looked at");
        assert_eq!(after(&won, all).started_refunds().count(), 1);
    }

    #[test]
    fn a_lost_dispute_is_money_that_went_back() {
        let lost = after(&after(&paid(), said(DisputeState::Open, TOTAL)), said(DisputeState::Lost, TOTAL));
        assert_eq!((lost.state, lost.returned(), lost.left()), (PaymentState::Refunded, TOTAL, 0));
        assert_eq!(lost.dispute_standing(), Some(DisputeStanding::Lost));
        let step = paid().handle(said(DisputeState::Lost, TOTAL - 1), NOW).unwrap().unwrap();
        assert_eq!((step.next.state, step.next.left()), (PaymentState::PartiallyRefunded, 1), "told at once");
        let PaymentEvent::DisputeLost(told) = step.event else { panic!("{:?}", step.event) };
        assert_eq!((told.lost, told.returned, told.in_full), (usd(TOTAL - 1), usd(TOTAL - 1), false));
    }

    #[test]
    fn what_a_build_forgot_that_keeps_no_disputes_is_told_again() {
        let lost = after(&paid(), said(DisputeState::Lost, TOTAL));
        let by_an_earlier_build = Payment { state: PaymentState::Succeeded, ..lost.clone() };
        assert!(lost.knows_of_dispute("du_1", DisputeState::Lost));
        assert!(!by_an_earlier_build.knows_of_dispute("du_1", DisputeState::Lost));
        for late in [DisputeState::Open, DisputeState::Lost] {
            let step = by_an_earlier_build.handle(said(late, TOTAL), NOW).unwrap().unwrap();
            let PaymentEvent::DisputeLost(told) = step.event else { panic!("{:?}", step.event) };
            assert_eq!((told.in_full, told.returned, step.next.state), (true, usd(TOTAL), PaymentState::Refunded));
            assert_eq!(step.next.disputes, lost.disputes, "what was decided stays");
        }
        let another = Dispute { id: "du_2".to_owned(), state: DisputeState::Won, ..lost.disputes[0].clone() };
        let step = by_an_earlier_build.handle(Input::Disputed(another), NOW).unwrap().unwrap();
        assert!(matches!(step.event, PaymentEvent::DisputeLost(told) if told.in_full), "not of the one that was won");
    }

    #[test]
    fn what_the_bank_left_of_a_lost_dispute_keeps_no_order_open() {
        let lost = after(&paid(), said(DisputeState::Lost, TOTAL - 1));
        let wanted = after(&lost, Input::Refunding(Refunding::All));
        let id = wanted.started_refunds().next().unwrap().id;
        let refused = |code: &str| Input::Refunding(Refunding::Refused { id, stripe_id: None, code: code.to_owned() });
        let other = after(&wanted, refused("api_error"));
        assert_eq!((other.state, other.left()), (PaymentState::PartiallyRefunded, 1), "it may work the next time");
        let step = wanted.handle(refused(CHARGE_DISPUTED), NOW).unwrap().unwrap();
        let PaymentEvent::DisputeLost(told) = step.event else { panic!("{:?}", step.event) };
        assert_eq!((told.in_full, told.returned), (true, usd(TOTAL - 1)), "what stays is said");
        assert_eq!((step.next.state, step.next.left()), (PaymentState::Refunded, 0));
        assert_eq!(step.next.handle(Input::Refunding(Refunding::All), NOW), Ok(None));
    }

    #[test]
    fn while_another_dispute_is_open_nothing_is_closed() {
        let lost = after(&paid(), said(DisputeState::Lost, TOTAL - 1));
        let wanted = after(&lost, Input::Refunding(Refunding::All));
        let id = wanted.started_refunds().next().unwrap().id;
        let (other, reason) = ("du_2".to_owned(), "general".to_owned());
        let other = Dispute { id: other, reason, amount: usd(1), state: DisputeState::Open };
        let disputed = after(&wanted, Input::Disputed(other));
        let code = CHARGE_DISPUTED.to_owned();
        let refused = after(&disputed, Input::Refunding(Refunding::Refused { id, stripe_id: None, code }));
        assert_eq!(
            (refused.state, refused.left()),
            (PaymentState::PartiallyRefunded, 1),
            "the bank may decide otherwise"
        );
    }

    #[test]
    fn what_a_seller_gives_back_ends_no_order() {
        let lost = after(&paid(), said(DisputeState::Lost, TOTAL - 1));
        let (id, reason) = (common::id::RefundId::derived(lost.order_id.uuid(), "the rest"), None);
        let asked = after(&lost, Input::Refunding(Refunding::Asked { id, amount: None, reason }));
        let code = CHARGE_DISPUTED.to_owned();
        let step =
            asked.handle(Input::Refunding(Refunding::Refused { id, stripe_id: None, code }), NOW).unwrap().unwrap();
        assert!(matches!(step.event, PaymentEvent::RefundFailed(_)), "{:?}", step.event);
        assert_eq!((step.next.state, step.next.left()), (PaymentState::PartiallyRefunded, 1));
    }

    #[test]
    fn a_part_that_stripe_does_not_give_back_closes_nothing() {
        let lost = after(&paid(), said(DisputeState::Lost, TOTAL / 2));
        let (id, reason) = (common::id::RefundId::derived(lost.order_id.uuid(), "a part"), None);
        let asked = after(&lost, Input::Refunding(Refunding::Asked { id, amount: Some(usd(1)), reason }));
        let code = CHARGE_DISPUTED.to_owned();
        let refused = after(&asked, Input::Refunding(Refunding::Refused { id, stripe_id: None, code }));
        assert_eq!((refused.state, refused.left()), (PaymentState::PartiallyRefunded, TOTAL / 2));
    }

    #[test]
    fn what_was_decided_is_not_undone_by_what_comes_late() {
        for decided in [DisputeState::Won, DisputeState::Lost] {
            let payment = after(&paid(), said(decided, TOTAL));
            for late in [DisputeState::Inquiry, DisputeState::Open, DisputeState::Won, DisputeState::Lost] {
                assert_eq!(payment.handle(said(late, TOTAL), NOW), Ok(None), "{decided:?}, then {late:?}");
            }
        }
    }

    #[test]
    fn while_the_bank_only_asks_money_can_be_given_back() {
        let asked = after(&paid(), said(DisputeState::Inquiry, TOTAL));
        assert_eq!(after(&asked, Input::Refunding(Refunding::All)).started_refunds().count(), 1);
        assert_eq!(asked.dispute_standing(), Some(DisputeStanding::Inquiry));
        assert_eq!(after(&asked, said(DisputeState::Open, TOTAL)).dispute_standing(), Some(DisputeStanding::Open));
    }

    #[test]
    fn an_undecided_dispute_is_looked_at_now_and_then() {
        let disputed = after(&paid(), said(DisputeState::Open, TOTAL));
        assert!(disputed.attention_at.is_some_and(|at| at.since(NOW) > std::time::Duration::from_secs(3600)));
        let by_an_earlier_build = Payment { dispute: Some("fraudulent".to_owned()), ..paid() };
        assert!(by_an_earlier_build.is_with_the_bank(), "it did not note what became of it");
        assert!(by_an_earlier_build.is_unwatched_dispute() && !disputed.is_unwatched_dispute());
    }
}
