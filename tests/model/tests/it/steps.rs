//! Which actions are possible in a state, and what each does.

use orders::order::{Input as Told, OrderState};
use payments::payment::{PaymentState, Standing};

use super::action::{Action, Outcome};
use super::state::{Desk, Sale, State};
use super::world::{Deadlines, Removed, World};

const HOLDING: [OrderState; 2] = [OrderState::Created, OrderState::AwaitingPayment];

impl World {
    /// All that can happen next. What would change nothing may be among it.
    pub(super) fn list(&self, state: &State, actions: &mut Vec<Action>) {
        for (buyer, sale) in state.sales.iter().enumerate() {
            self.of_people(state, buyer, sale, actions);
            self.of_orders(state, buyer, sale, actions);
            self.of_expiration(buyer, sale, actions);
            self.of_payments(buyer, sale, actions);
            Self::deaths(buyer, sale, actions);
        }
        for desk in 0..state.desks.len() {
            self.of_desk(state, desk, actions);
        }
        actions.extend((0..state.late.len()).map(Action::LateWriteLands));
    }

    fn of_people(&self, state: &State, buyer: usize, sale: &Sale, actions: &mut Vec<Action>) {
        let mut can = |possible: bool, action: Action| actions.extend(possible.then_some(action));
        let new = sale.order.is_none() && !sale.refused && !sale.unanswered && !self.is_pending(state, buyer);
        can(new, Action::Hold(buyer));
        can(new && state.may_be_late > 0, Action::HoldIsLost(buyer));
        can(sale.unanswered && self.removed == Removed::LostIsUnknown, Action::HoldIsDecidedAgain(buyer));
        can(self.cancels && sale.order.is_some(), Action::CancelOrder(buyer));
        can(self.may_be_overdue(state, buyer, sale), Action::DeadlinePasses(buyer));
        can(sale.luck.seller_refunds > 0 && sale.payment_is(|it| it.state.is_paid()), Action::SellerRefunds(buyer));
        let payable = sale.intent_is_known() && sale.intent_is_open();
        can(payable, Action::Pay(buyer, Outcome::Succeeds));
        can(payable && sale.luck.declines > 0, Action::Pay(buyer, Outcome::Declined));
        let asleep = sale.stripe.intent != Some(Standing::RequiresAction);
        can(payable && self.slow_bank, Action::Pay(buyer, Outcome::Processing));
        can(payable && self.slow_bank && asleep, Action::Pay(buyer, Outcome::Authenticate));
        for yes in [true, false] {
            let possible = yes || sale.luck.declines > 0;
            can(possible && sale.stripe.intent == Some(Standing::Processing), Action::BankDecides(buyer, yes));
        }
        let cancelled = sale.stripe.intent == Some(Standing::Cancelled);
        can(cancelled && sale.intent_is_known() && sale.luck.late_money > 0, Action::BankPaysLate(buyer));
        let back = sale.stripe.refunds.iter().any(|refund| !refund.bounced);
        can(back && sale.luck.bounces > 0, Action::RefundBounces(buyer));
        for nth in 0..sale.order.as_ref().map_or(0, |(_, order)| order.passes.len()) {
            can(sale.luck.scans > 0 && sale.may_scan(nth), Action::Scan(buyer, nth));
            can(sale.may_undo(nth), Action::Undo(buyer, nth));
        }
    }

    fn may_be_overdue(&self, state: &State, buyer: usize, sale: &Sale) -> bool {
        !sale.overdue && (sale.order.is_some() || self.is_pending(state, buyer))
    }

    fn of_orders(&self, state: &State, buyer: usize, sale: &Sale, actions: &mut Vec<Action>) {
        let pending = self.is_pending(state, buyer);
        let mut can = |possible: bool, action: Action| actions.extend(possible.then_some(action));
        can(pending && sale.order.is_none(), Action::StoreOrder(buyer));
        can(pending && sale.order.is_some(), Action::DropPending(buyer));
        let free = self.orders[buyer].is_free() && sale.is_in(&[OrderState::Created]);
        can(free && !sale.overdue, Action::CompleteFree(buyer));
        let overdue = sale.overdue && sale.is_in(&HOLDING);
        can(overdue && self.deadlines == Deadlines::Sweep, Action::SweepOverdue(buyer));
        for again in self.again() {
            can(sale.deadline.due, Action::HearDue { buyer, again });
            for input in sale.to_orders.iter().copied() {
                can(true, Action::HearPayment { buyer, input, again });
            }
        }
    }

    fn of_desk(&self, state: &State, desk: usize, actions: &mut Vec<Action>) {
        match &state.desks[desk] {
            Desk::Idle => {
                // Desks of the same phase are the same: the first idle one goes.
                if state.desks[..desk].contains(&Desk::Idle) {
                    return;
                }
                for (buyer, sale) in state.sales.iter().enumerate() {
                    let noted =
                        self.tidies && state.inventory.settled.iter().any(|key| key.order_id == self.orders[buyer].id);
                    actions.extend((noted || !sale.movements.is_empty()).then_some(Action::DeskReads { desk, buyer }));
                    actions.extend((sale.unanswered && !sale.refused).then_some(Action::AskedAgain { desk, buyer }));
                }
                return;
            }
            Desk::Read { .. } => actions.push(Action::DeskConsiders(desk)),
            Desk::Considered { .. } => {
                actions.push(Action::DeskWrites(desk));
                actions.extend((state.may_be_late > 0).then_some(Action::DeskLosesWrite(desk)));
            }
            Desk::Asked { .. } => actions.push(Action::DeskLooksUp(desk)),
            Desk::LookedUp { .. } => actions.push(Action::DeskHolds(desk)),
            Desk::Made { told: false, .. } => actions.push(Action::DeskTells(desk)),
            Desk::Made { told: true, .. } => actions.push(Action::DeskClears(desk)),
        }
        actions.push(Action::DeskDies(desk));
    }

    fn of_expiration(&self, buyer: usize, sale: &Sale, actions: &mut Vec<Action>) {
        if self.deadlines == Deadlines::Sweep {
            return;
        }
        let mut can = |possible: bool, action: Action| actions.extend(possible.then_some(action));
        for again in self.again() {
            can(sale.deadline.to_set, Action::SetDeadline { buyer, again });
        }
        can(sale.deadline.scheduled && sale.overdue, Action::DeadlineRings(buyer));
    }

    fn of_payments(&self, buyer: usize, sale: &Sale, actions: &mut Vec<Action>) {
        let mut can = |possible: bool, action: Action| actions.extend(possible.then_some(action));
        can(sale.next_mail().is_some(), Action::Follow(buyer));
        let seen = sale.replica.as_ref().map_or(0, |(version, _)| *version);
        for mail in sale.to_payments.iter().filter(|mail| mail.version <= seen) {
            for again in self.again() {
                can(true, Action::DoDuty { buyer, version: mail.version, again });
            }
        }
        can(sale.may_begin(), Action::MakeIntent(buyer));
        can(sale.in_hand, Action::StorePayment(buyer));
        let cancelling = sale.payment_is(|payment| payment.state == PaymentState::Cancelling);
        can(cancelling && sale.answers.len() < self.readers, Action::CancelIntent(buyer));
        can(sale.may_ask(self.readers), Action::AskStripe(buyer));
        for (place, answer) in sale.answers.iter().enumerate() {
            can(!sale.answers[..place].contains(answer), Action::Learn { buyer, answer: answer.clone() });
        }
        let paid = sale.payment_is(|payment| payment.state.is_paid());
        can(paid && sale.attended(), Action::LookAfterRefunds(buyer));
        can(sale.refund_to_make().is_some(), Action::MakeRefund(buyer));
        let known = sale.attended() || sale.stripe.news;
        can(known && !sale.refunds_to_record().is_empty(), Action::RecordRefunds(buyer));
    }

    fn deaths(buyer: usize, sale: &Sale, actions: &mut Vec<Action>) {
        actions.extend(sale.in_hand.then_some(Action::BuyersRequestDies(buyer)));
        for (place, answer) in sale.answers.iter().enumerate() {
            let first = !sale.answers[..place].contains(answer);
            actions.extend(first.then(|| Action::AnswerDies { buyer, answer: answer.clone() }));
        }
    }

    fn again(&self) -> impl Iterator<Item = bool> + use<> {
        [false].into_iter().chain(self.duplicates.then_some(true))
    }

    /// Does it.
    pub(super) fn act(&self, state: &mut State, action: Action) {
        use Action as A;
        match action {
            A::Hold(buyer) => self.hold(state, buyer),
            A::HoldIsLost(buyer) => self.lose_hold(state, buyer),
            A::HoldIsDecidedAgain(buyer) => self.decide_again(state, buyer),
            A::AskedAgain { desk, buyer } => state.desks[desk] = Desk::Asked { buyer },
            A::DeskLooksUp(desk) => self.look_up(state, desk),
            A::DeskHolds(desk) => self.hold_again(state, desk),
            A::DeskLosesWrite(desk) => self.lose_settlement(state, desk),
            A::LateWriteLands(nth) => self.land(state, nth),
            A::StoreOrder(buyer) => self.store_order(state, buyer),
            A::DropPending(buyer) => self.drop_pending(state, buyer),
            A::DeskReads { desk, buyer } => state.desks[desk] = Desk::Read { buyer },
            A::DeskConsiders(desk) => self.consider(state, desk),
            A::DeskWrites(desk) => self.write_inventory(state, desk),
            A::DeskTells(desk) => self.tell_orders(state, desk),
            A::DeskClears(desk) => self.clear_movements(state, desk),
            A::DeskDies(desk) => state.desks[desk] = Desk::Idle,

            A::CancelOrder(buyer) => state.alter(buyer, Sale::cancel_order),
            A::SellerRefunds(buyer) => state.alter(buyer, |sale| self.seller_refunds(buyer, sale)),
            A::Pay(buyer, outcome) => state.alter(buyer, |sale| sale.pay(outcome)),
            A::DeadlinePasses(buyer) => state.alter(buyer, |sale| sale.overdue = true),
            A::BankDecides(buyer, yes) => state.alter(buyer, |sale| sale.bank_decides(yes)),
            A::BankPaysLate(buyer) => state.alter(buyer, Sale::bank_pays_late),
            A::RefundBounces(buyer) => state.alter(buyer, Sale::refund_bounces),
            A::Scan(buyer, nth) => state.alter(buyer, |sale| sale.scan(nth)),
            A::Undo(buyer, nth) => state.alter(buyer, |sale| sale.undo(nth)),

            A::CompleteFree(buyer) => state.alter(buyer, |sale| self.inform(sale, Told::NothingToPay)),
            A::SweepOverdue(buyer) => state.alter(buyer, |sale| self.inform(sale, Told::DeadlinePassed)),
            A::HearPayment { buyer, input, again } => {
                state.alter(buyer, |sale| self.hear_payment(sale, input, again));
            }
            A::HearDue { buyer, again } => state.alter(buyer, |sale| self.hear_due(sale, again)),
            A::SetDeadline { buyer, again } => state.alter(buyer, |sale| sale.deadline.set(again)),
            A::DeadlineRings(buyer) => state.alter(buyer, |sale| sale.deadline.ring()),

            A::Follow(buyer) => state.alter(buyer, |sale| self.follow(sale)),
            A::DoDuty { buyer, version, again } => state.alter(buyer, |sale| self.do_duty(sale, version, again)),
            A::MakeIntent(buyer) => state.alter(buyer, Sale::make_intent),
            A::StorePayment(buyer) => state.alter(buyer, |sale| self.store_payment(buyer, sale)),
            A::CancelIntent(buyer) => state.alter(buyer, Sale::cancel_intent),
            A::AskStripe(buyer) => state.alter(buyer, Sale::ask_stripe),
            A::Learn { buyer, answer } => state.alter(buyer, |sale| sale.learn(answer)),
            A::LookAfterRefunds(buyer) => state.alter(buyer, Sale::look_after_refunds),
            A::MakeRefund(buyer) => state.alter(buyer, Sale::make_refund),
            A::RecordRefunds(buyer) => state.alter(buyer, Sale::record_refunds),

            A::BuyersRequestDies(buyer) => state.alter(buyer, |sale| sale.in_hand = false),
            A::AnswerDies { buyer, answer } => state.alter(buyer, |sale| sale.forget(&answer)),
        }
    }
}
