//! The payment against every order of what can happen, and against a model of Stripe's intent.

use common::events::payments::{PaymentFailed, PaymentRefunded};
use common::id::{RefundId, TicketId};
use common::money::Currency;
use proptest::prelude::*;

use super::*;
use crate::dispute::DisputeState;

pub(crate) const NOW: Time = Time::from_millis(1_795_000_000_000);
const OWN: &str = "pi_own";
pub(crate) const TOTAL: i64 = 1000;

pub(crate) fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::USD).unwrap()
}

pub(crate) fn facts() -> OrderFacts {
    OrderFacts {
        order_id: OrderId::generate(NOW),
        ticket_id: TicketId::generate(NOW),
        buyer_id: UserId::generate(NOW),
        seller_id: UserId::generate(NOW),
        quantity: 2,
        total: usd(TOTAL),
    }
}

pub(crate) fn begun() -> Payment {
    Payment::begin(&facts(), OWN.to_owned(), NOW)
}

pub(crate) fn stands(standing: Standing) -> Input {
    stands_at(1, standing)
}

/// What Stripe said to somebody who knew of so many attempts.
fn stands_at(attempt: u32, standing: Standing) -> Input {
    Input::Stands { intent: OWN.to_owned(), attempt, standing, method: None, next_action: None }
}

fn declined(attempt: u32, code: &str) -> Input {
    Input::Declined { attempt, code: code.to_owned(), request: None }
}

#[test]
fn the_second_decline_in_the_browser_tells_its_own_reason() {
    let first = after(&begun(), stands_at(1, refused("insufficient_funds")));
    let second = after(&first, stands_at(2, refused("expired_card")));
    assert_eq!((second.decline_code.as_deref(), second.attempt), (Some("expired_card"), 3));
    assert_eq!(second.handle(stands_at(3, refused("expired_card")), NOW), Ok(None), "the same decline, told again");
}

fn refused(code: &str) -> Standing {
    Standing::Open { error: Some(code.to_owned()) }
}

#[test]
fn what_stripe_said_before_an_attempt_is_no_answer_to_it() {
    let by_click = Input::Declined { attempt: 1, code: "card_declined".to_owned(), request: Some(Uuid::from_u128(7)) };
    let declined = after(&begun(), by_click);
    assert_eq!(declined.handle(stands_at(1, refused("expired_card")), NOW), Ok(None), "asked before that decline");
    let unanswered = Input::Declined { attempt: 2, code: UNANSWERED.to_owned(), request: None };
    let failed = after(&declined, unanswered);
    assert_eq!(
        failed.handle(stands_at(3, refused("card_declined")), NOW),
        Ok(None),
        "the bank's word on the first one"
    );
    let paid = after(&declined, stands_at(1, Standing::Succeeded));
    assert_eq!(paid.state, PaymentState::Succeeded, "money is never late");
}

pub(crate) fn after(payment: &Payment, input: Input) -> Payment {
    payment.handle(input, NOW).ok().flatten().map_or_else(|| payment.clone(), |step| step.next)
}

#[test]
fn what_a_declined_attempt_was_made_with_is_not_said_of_the_next() {
    let asks_the_bank = Input::Stands {
        intent: OWN.to_owned(),
        attempt: 1,
        standing: Standing::RequiresAction,
        method: Some("pm_one".to_owned()),
        next_action: None,
    };
    let waiting = after(&begun(), asks_the_bank);
    assert_eq!(waiting.method.as_deref(), Some("pm_one"));
    let declined = after(&waiting, declined(1, "card_declined"));
    let paid = after(&declined, stands(Standing::Succeeded));
    assert_eq!((paid.state, paid.method), (PaymentState::Succeeded, None), "a webhook noted it, by another card");
}

fn refund_id(number: u8) -> RefundId {
    RefundId::derived(OrderId::generate(NOW).uuid(), &number.to_string())
}

fn stripe_id(id: RefundId) -> String {
    format!("re_{id}")
}

fn done(id: RefundId, amount: Money) -> Refunding {
    Refunding::Done { id, stripe_id: stripe_id(id), amount }
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        Just(Standing::Open { error: None }),
        Just(Standing::Open { error: Some("card_declined".to_owned()) }),
        Just(Standing::RequiresAction),
        Just(Standing::Processing),
        Just(Standing::Succeeded),
        Just(Standing::Cancelled),
    ]
}

fn refunding() -> impl Strategy<Value = Refunding> {
    let (id, amount) = (0..4_u8, 1..=TOTAL + 10);
    prop_oneof![
        (id.clone(), proptest::option::of(amount.clone())).prop_map(|(id, amount)| Refunding::Asked {
            id: refund_id(id),
            amount: amount.map(usd),
            reason: None
        }),
        Just(Refunding::All),
        id.clone().prop_map(|id| Refunding::Refused {
            id: refund_id(id),
            stripe_id: None,
            code: "declined".to_owned()
        }),
    ]
}

fn dispute() -> impl Strategy<Value = Dispute> {
    let states = [DisputeState::Inquiry, DisputeState::Open, DisputeState::Won, DisputeState::Lost];
    (0..2_u8, 1..=TOTAL, prop::sample::select(states.to_vec())).prop_map(|(number, amount, state)| Dispute {
        id: format!("du_{number}"),
        reason: "fraudulent".to_owned(),
        amount: usd(amount),
        state,
    })
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => standing().prop_map(stands),
        1 => (1..4_u32).prop_map(|attempt| declined(attempt, "card_declined")),
        1 => Just(Input::OrderEnded),
        1 => dispute().prop_map(Input::Disputed),
        3 => refunding().prop_map(Input::Refunding),
    ]
}

/// The inputs, and between them confirmations of refunds that were really begun.
fn run(inputs: &[Input], mut check: impl FnMut(&Payment, &Step)) -> Payment {
    let mut payment = begun();
    for (number, input) in inputs.iter().enumerate() {
        let started = payment.started_refunds().next().filter(|_| number % 3 == 0).cloned();
        let confirmed = started.map(|refund| Input::Refunding(done(refund.id, refund.amount)));
        for input in confirmed.into_iter().chain([input.clone()]) {
            if let Ok(Some(step)) = payment.handle(input, NOW) {
                check(&payment, &step);
                payment = step.next;
            }
        }
    }
    payment
}

proptest! {
    #[test]
    fn said_twice_is_said_once(inputs in prop::collection::vec(input(), 0..20), last in input()) {
        let payment = run(&inputs, |_, _| {});
        if let Ok(Some(step)) = payment.handle(last.clone(), NOW) {
            prop_assert!(!matches!(step.next.handle(last, NOW), Ok(Some(_))));
        }
    }

    #[test]
    fn money_that_came_in_is_never_forgotten_and_never_given_back_twice(inputs in prop::collection::vec(input(), 0..30)) {
        run(&inputs, |before, step| {
            let next = &step.next;
            assert!(!before.state.is_paid() || next.state.is_paid());
            assert!(next.returned_money().minor() <= TOTAL);
            let going: i64 = next.refunds.iter().filter(|it| it.state != RefundState::Failed).map(|it| it.amount.minor()).sum();
            assert!(going <= TOTAL && next.left() == (TOTAL - going - next.charged_back()).max(0));
            assert_eq!(next.state == PaymentState::Refunded, next.state.is_paid() && next.returned() >= TOTAL);
            assert!(next.refunds.len() == before.refunds.len() || !before.is_with_the_bank() || next.returned() > before.returned());
            if let PaymentEvent::Refunded(PaymentRefunded { in_full, .. }) = &step.event {
                assert_eq!(*in_full, next.state == PaymentState::Refunded);
            }
        });
    }

    #[test]
    fn a_success_counts_whatever_came_before(inputs in prop::collection::vec(input(), 0..20)) {
        let payment = run(&inputs, |_, _| {});
        prop_assert!(after(&payment, stands(Standing::Succeeded)).state.is_paid());
    }

    #[test]
    fn an_ended_order_is_not_paid_any_more_unless_the_money_came(inputs in prop::collection::vec(input(), 0..20)) {
        let ended = after(&run(&inputs, |_, _| {}), Input::OrderEnded);
        prop_assert!(!ended.state.is_open());
        let settled = after(&ended, stands(Standing::Cancelled));
        prop_assert!(settled.state.is_paid() || settled.state == PaymentState::Cancelled);
    }

    #[test]
    fn whoever_can_move_unnoticed_is_looked_after(inputs in prop::collection::vec(input(), 0..30)) {
        let payment = run(&inputs, |_, _| {});
        let restless = payment.state.is_open() || payment.state == PaymentState::Cancelling || payment.started_refunds().next().is_some();
        prop_assert!(!restless || payment.attention_at.is_some_and(|at| at >= NOW) || payment.state == PaymentState::Refunded);
        let later = NOW + std::time::Duration::from_secs(86_400);
        prop_assert!(attention::next(&payment, later).is_none_or(|at| at > later));
    }
}

/// Stripe's intent, as far as it matters who was first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    Open,
    Action,
    Processing,
    Succeeded,
    Cancelled,
}

#[derive(Clone, Copy, Debug)]
enum Happens {
    Confirmed(Model),
    BankDecides(bool),
    OrderEnds,
    /// A webhook or an answer arrives that tells how the intent stood some steps ago.
    Heard(usize),
    /// The arbiter's call to cancel, which a crash may have delayed.
    CancelCall,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        prop_oneof![Just(Model::Open), Just(Model::Action), Just(Model::Processing), Just(Model::Succeeded)]
            .prop_map(Happens::Confirmed),
        any::<bool>().prop_map(Happens::BankDecides),
        Just(Happens::OrderEnds),
        (0..6_usize).prop_map(Happens::Heard),
        Just(Happens::CancelCall),
    ]
}

fn told(model: Model) -> Standing {
    match model {
        Model::Open => Standing::Open { error: Some("card_declined".to_owned()) },
        Model::Action => Standing::RequiresAction,
        Model::Processing => Standing::Processing,
        Model::Succeeded => Standing::Succeeded,
        Model::Cancelled => Standing::Cancelled,
    }
}

fn cancelled(model: Model) -> Model {
    if matches!(model, Model::Open | Model::Action) { Model::Cancelled } else { model }
}

fn step_of(model: Model, happens: Happens, payment: &Payment) -> Model {
    match (happens, model) {
        (Happens::Confirmed(outcome), Model::Open | Model::Action) => outcome,
        (Happens::BankDecides(yes), Model::Action | Model::Processing) => {
            if yes {
                Model::Succeeded
            } else {
                Model::Open
            }
        }
        (Happens::CancelCall, model) if payment.state == PaymentState::Cancelling => cancelled(model),
        (_, model) => model,
    }
}

proptest! {
    /// Whatever the interleaving, once the order has ended and somebody looks, the payment says what Stripe says.
    #[test]
    fn the_intent_decides(story in prop::collection::vec(happens(), 0..40), bank_says_yes in any::<bool>()) {
        let (mut payment, mut model, mut past) = (begun(), Model::Open, vec![Model::Open]);
        for happens in story {
            match happens {
                Happens::OrderEnds => payment = after(&payment, Input::OrderEnded),
                Happens::Heard(ago) => {
                    let then = past[past.len().saturating_sub(1 + ago)];
                    payment = after(&payment, stands(told(then)));
                }
                happens => {
                    model = step_of(model, happens, &payment);
                    past.push(model);
                }
            }
        }
        payment = after(&payment, Input::OrderEnded);
        model = step_of(cancelled(model), Happens::BankDecides(bank_says_yes), &payment);
        payment = after(&payment, stands(told(cancelled(model))));
        prop_assert_eq!(payment.state.is_paid(), model == Model::Succeeded);
        prop_assert_eq!(payment.state == PaymentState::Cancelled, model != Model::Succeeded);
    }
}

#[test]
fn only_the_current_attempt_can_be_declined() {
    let declined = |attempt| declined(attempt, "generic_decline");
    let once = after(&begun(), declined(1));
    assert_eq!((once.state, once.attempt), (PaymentState::Failed, 2));
    assert_eq!(once.handle(declined(1), NOW), Ok(None));
    let twice = once.handle(declined(2), NOW).unwrap().unwrap();
    assert!(matches!(twice.event, PaymentEvent::Failed(PaymentFailed { code, .. }) if code == "generic_decline"));
}

#[test]
fn a_payment_that_never_began_cannot_begin() {
    let never = Payment::never(&facts(), NOW);
    assert!(matches!(never.made(), PaymentEvent::Cancelled(_)));
    assert_eq!(never.attention_at, None);
    for standing in
        [Standing::Open { error: None }, Standing::RequiresAction, Standing::Processing, Standing::Cancelled]
    {
        assert_eq!(never.handle(stands(standing), NOW), Ok(None));
    }
}

#[test]
fn another_intent_says_nothing_about_this_payment() {
    let (intent, standing) = ("pi_other".to_owned(), Standing::Succeeded);
    let other = Input::Stands { intent, attempt: 1, standing, method: None, next_action: None };
    assert_eq!(begun().handle(other, NOW), Ok(None));
}

#[test]
fn a_refund_takes_what_is_left_and_no_more() {
    let asked = |number, amount| Input::Refunding(Refunding::Asked { id: refund_id(number), amount, reason: None });
    assert_eq!(begun().handle(asked(1, None), NOW), Err(PaymentError::NotPaid(PaymentState::Initiated)));
    let paid = after(&begun(), stands(Standing::Succeeded));
    let part = after(&paid, asked(1, Some(usd(400))));
    assert_eq!(part.handle(asked(2, Some(usd(601))), NOW), Err(PaymentError::ExceedsPayment(usd(600))));
    let all = after(&part, Input::Refunding(Refunding::All));
    assert_eq!((all.left(), all.refunds.len(), all.state), (0, 2, PaymentState::Succeeded));
    assert_eq!(all.handle(Input::Refunding(Refunding::All), NOW), Ok(None));
}

#[test]
fn a_refund_that_bounces_is_wanted_again() {
    let all = Input::Refunding(Refunding::All);
    let started = after(&after(&begun(), stands(Standing::Succeeded)), all.clone());
    let first = started.refunds[0].clone();
    let made = after(&started, Input::Refunding(done(first.id, first.amount)));
    assert_eq!(made.state, PaymentState::Refunded);
    let refused = |stripe_id| Input::Refunding(Refunding::Refused { id: first.id, stripe_id, code: "lost".to_owned() });
    assert_eq!(made.handle(refused(None), NOW), Ok(None), "an answer that comes late says nothing of what was made");
    let bounced = after(&made, refused(Some(stripe_id(first.id))));
    assert_eq!((bounced.state, bounced.left()), (PaymentState::Succeeded, TOTAL));
    assert!(bounced.attention_at.is_some());
    let again = after(&bounced, all);
    assert_eq!(again.refunds.len(), 2);
    assert_ne!(again.refunds[1].id, first.id);
}

#[test]
fn a_refund_made_at_stripe_counts() {
    let paid = after(&begun(), stands(Standing::Succeeded));
    let done = Input::Refunding(done(refund_id(9), usd(TOTAL)));
    let step = paid.handle(done.clone(), NOW).unwrap().unwrap();
    assert!(matches!(step.event, PaymentEvent::Refunded(PaymentRefunded { in_full: true, .. })));
    assert_eq!(step.next.handle(done, NOW), Ok(None));
}

/// Paid, and `amount` of it is being given back as the refund 1.
fn giving_back(amount: i64) -> Payment {
    let asked = Refunding::Asked { id: refund_id(1), amount: Some(usd(amount)), reason: None };
    after(&after(&begun(), stands(Standing::Succeeded)), Input::Refunding(asked))
}

#[test]
fn two_refunds_at_stripe_with_one_id_of_ours_both_count() {
    let started = giving_back(400);
    let id = started.refunds[0].id;
    let once = after(&started, Input::Refunding(done(id, usd(400))));
    let second = Refunding::Done { id, stripe_id: "re_second".to_owned(), amount: usd(300) };
    let twice = after(&once, Input::Refunding(second.clone()));
    assert_eq!((twice.returned(), twice.left(), twice.refunds.len()), (700, TOTAL - 700, 2));
    assert!(twice.doubled("re_second").is_some() && once.doubled("re_second").is_none());
    assert_eq!(twice.handle(Input::Refunding(second), NOW), Ok(None));
    assert_eq!(twice.handle(Input::Refunding(done(id, usd(400))), NOW), Ok(None));
    // When the second one bounces, the first one has gone back all the same.
    let stripe_id = Some("re_second".to_owned());
    let bounced = Refunding::Refused { id, stripe_id, code: "lost".to_owned() };
    assert_eq!(after(&twice, Input::Refunding(bounced)).returned(), 400);
}

#[test]
fn a_refund_that_an_answer_refused_and_the_books_have_went_back() {
    let started = giving_back(TOTAL);
    let id = started.refunds[0].id;
    let refused = Refunding::Refused { id, stripe_id: None, code: "api_error".to_owned() };
    let failed = after(&started, Input::Refunding(refused));
    assert_eq!((failed.refunds[0].state, failed.returned()), (RefundState::Failed, 0));
    // Meanwhile all is wanted again: that one can only be refused.
    let again = after(&failed, Input::Refunding(Refunding::All));
    let known = after(&again, Input::Refunding(done(id, usd(TOTAL))));
    assert_eq!((known.state, known.returned(), known.left()), (PaymentState::Refunded, TOTAL, 0));
    assert!(known.attention_at.is_some(), "the second one is still to be refused");
    let second =
        Refunding::Refused { id: known.refunds[1].id, stripe_id: None, code: "charge_already_refunded".to_owned() };
    let ended = after(&known, Input::Refunding(second));
    assert_eq!((ended.state, ended.attention_at), (PaymentState::Refunded, None));
}

#[test]
fn what_the_order_wants_is_due_at_once() {
    let ended = after(&begun(), Input::OrderEnded);
    assert_eq!((ended.state, ended.attention_at), (PaymentState::Cancelling, Some(NOW)));
    let wanted = after(&after(&begun(), stands(Standing::Succeeded)), Input::Refunding(Refunding::All));
    assert_eq!(wanted.attention_at, Some(NOW));
}

#[test]
fn the_banks_page_is_known_while_the_buyer_must_go_there() {
    let requires = |method: Option<&str>, page: Option<&str>| Input::Stands {
        intent: OWN.to_owned(),
        attempt: 1,
        standing: Standing::RequiresAction,
        method: method.map(str::to_owned),
        next_action: page.map(str::to_owned),
    };
    let page = |payment: &Payment| payment.next_action.clone().map(|action| (action.url, action.learnt_at));
    let known = |url: &str| Some((url.to_owned(), NOW));
    let told = after(&begun(), requires(Some("pm_1"), Some("https://bank.example/1")));
    assert_eq!(page(&told), known("https://bank.example/1"));
    assert_eq!(told.handle(requires(None, Some("https://bank.example/other")), NOW), Ok(None));
    let again = after(&told, requires(Some("pm_2"), Some("https://bank.example/2")));
    assert_eq!((page(&again), again.state), (known("https://bank.example/2"), PaymentState::RequiresAction));
    let learnt_late = after(&after(&begun(), requires(None, None)), requires(None, Some("https://bank.example/3")));
    assert_eq!(page(&learnt_late), known("https://bank.example/3"));
    for end in [Standing::Succeeded, Standing::Cancelled, Standing::Open { error: Some("x".to_owned()) }] {
        assert_eq!(after(&again, stands(end)).next_action, None);
    }
}
