use common::events::OrderEvent;
use uuid::Uuid;

use super::super::Input;
use super::super::tests::{CANCELS, DEADLINE, START, after, order};
use super::*;

fn paid() -> Order {
    after(order(500), &[Input::PaymentSucceeded])
}

fn scan(order: &Order) -> CheckIn {
    CheckIn { at: START, by: order.seller_id, place: Some("north".into()), request: None }
}

fn used(order: &Order, nth: usize) -> Order {
    order.check_in(order.passes[nth].id, scan(order)).unwrap().unwrap().next
}

fn undone(order: &Order, nth: usize) -> Step {
    let pass = &order.passes[nth];
    let used_at = pass.checked_in.as_ref().unwrap().at;
    order.undo_check_in(pass.id, used_at, order.buyer_id, DEADLINE).unwrap().unwrap()
}

#[test]
fn a_pass_admits_once_and_only_while_the_order_is_complete() {
    let paid = paid();
    let (pass, first) = (paid.passes[0].id, scan(&paid));
    let entered = used(&paid, 0);
    assert_eq!((paid.admitted, entered.admitted), (0, 1));
    assert_eq!(entered.check_in(pass, first.clone()), Err(OrderError::AlreadyCheckedIn(first.clone())));
    assert!(entered.check_in(entered.passes[1].id, first.clone()).is_ok());
    let scan = CheckIn { request: Some(Uuid::from_u128(1)), ..first.clone() };
    let once = paid.check_in(pass, scan.clone()).unwrap().unwrap().next;
    assert_eq!(once.check_in(pass, CheckIn { at: DEADLINE, ..scan.clone() }), Ok(None), "the same scan, sent twice");
    let others = [
        CheckIn { request: Some(Uuid::from_u128(2)), ..scan.clone() },
        CheckIn { by: paid.buyer_id, ..scan.clone() },
        first.clone(),
    ];
    for other in others {
        assert_eq!(once.check_in(pass, other), Err(OrderError::AlreadyCheckedIn(scan.clone())));
    }
}

#[test]
fn a_pass_that_is_void_says_why() {
    let entered = used(&paid(), 0);
    let told = |inputs: &[Input], from: &Order| {
        let order = after(from.clone(), inputs);
        let refused = order.check_in(order.passes[1].id, scan(&order)).unwrap_err();
        (refused.to_string(), matches!(refused, OrderError::Void(void) if void.first.is_none()))
    };
    let paid = paid();
    let free = after(order(0), &[Input::NothingToPay]);
    for (inputs, from, why) in [
        (&[CANCELS][..], &paid, "the order is being refunded"),
        (&[CANCELS, Input::MoneyReturned], &paid, "the order was refunded"),
        (&[Input::MoneyReturned], &entered, "the order was refunded"),
        (&[Input::MoneyTakenBack], &paid, "the buyer's bank took the money back"),
        (&[CANCELS], &free, "the order was cancelled"),
    ] {
        assert_eq!(told(inputs, from), (format!("{why}, so its passes are not valid"), true), "{inputs:?}");
    }
    let refunded = after(entered.clone(), &[Input::MoneyReturned]);
    let (state, reason) = (OrderState::Refunded, Some(RefundReason::SellerGranted));
    let first = entered.passes[0].checked_in.clone();
    let void = OrderError::Void(Box::new(Void { state, reason, first }));
    assert_eq!(refunded.check_in(refunded.passes[0].id, scan(&refunded)), Err(void));
}

#[test]
fn what_is_undone_admits_again_and_stands_in_the_order() {
    let entered = used(&paid(), 0);
    let Step { next, event, places } = undone(&entered, 0);
    assert_eq!((next.admitted, next.passes[0].checked_in.clone(), places), (0, None, None));
    let check_in = entered.passes[0].checked_in.clone().unwrap();
    let (pass_id, by) = (next.passes[0].id, next.buyer_id);
    assert_eq!(next.undone, [Undone { pass_id, check_in, at: DEADLINE, by }]);
    let OrderEvent::PassCheckInUndone(told) = event else { panic!("{event:?}") };
    assert_eq!((told.pass_id, told.at, told.by), (pass_id, DEADLINE, by));
    let was = (START, next.seller_id, Some("north".to_owned()));
    assert_eq!((told.checked_in_at, told.checked_in_by, told.place), was);
    assert_eq!(used(&next, 0).admitted, 1);
}

#[test]
fn a_late_repetition_undoes_no_later_use() {
    let entered = used(&paid(), 0);
    let (pass, by) = (entered.passes[0].id, entered.seller_id);
    let undo = |order: &Order, at| order.undo_check_in(pass, at, by, DEADLINE);
    let free_again = undone(&entered, 0).next;
    assert_eq!(undo(&free_again, START), Ok(None), "twice is as good as once");
    // A clock that stands still does not make two uses one.
    let again = used(&free_again, 0);
    let second = again.passes[0].checked_in.clone().unwrap();
    assert!(second.at > START, "{second:?}");
    assert_eq!(undo(&again, START), Ok(None), "the first was undone, and the second stays");
    assert_eq!(undo(&again, DEADLINE), Err(OrderError::NotThatUse(Some(second))));
    assert_eq!(undo(&paid(), START).unwrap_err(), OrderError::NoSuchPass, "of another order");
    let unused = again.passes[1].id;
    assert_eq!(again.undo_check_in(unused, START, by, DEADLINE), Err(OrderError::NotThatUse(None)));
}

#[test]
fn a_scan_that_was_undone_does_not_admit_when_it_is_sent_again() {
    let paid = paid();
    let pass = paid.passes[0].id;
    let scan = CheckIn { request: Some(Uuid::from_u128(1)), ..scan(&paid) };
    let entered = paid.check_in(pass, scan.clone()).unwrap().unwrap().next;
    let free_again = undone(&entered, 0).next;
    assert_eq!(free_again.check_in(pass, scan.clone()), Err(OrderError::ScanUndone));
    let other = CheckIn { request: Some(Uuid::from_u128(2)), ..scan };
    assert!(free_again.check_in(pass, other).is_ok_and(|step| step.is_some()));
}

#[test]
fn who_is_inside_keeps_the_place_when_the_money_goes_back() {
    let returned = |quantity| (quantity > 0).then_some(Moving { places: Move::Return, quantity });
    let paid = paid();
    let (one, both) = (used(&paid, 0), used(&used(&paid, 0), 1));
    for gone in [Input::MoneyReturned, Input::MoneyTakenBack] {
        for (order, inside) in [(&paid, 0), (&one, 1), (&both, 2)] {
            let step = order.handle(gone, DEADLINE).unwrap().unwrap();
            assert_eq!((step.places, step.next.inside), (returned(2 - inside), inside), "{gone:?}");
            assert_eq!(step.next.admitted, inside);
            // Each that leaves gives one place free, once.
            let mut now = step.next;
            for nth in 0..usize::try_from(inside).unwrap() {
                let step = undone(&now, nth);
                assert_eq!(step.places, returned(1));
                now = step.next;
            }
            assert_eq!((now.inside, now.admitted), (0, 0));
        }
    }
}

#[test]
fn an_order_that_an_earlier_build_refunded_has_no_place_to_return() {
    let refunded = after(used(&paid(), 0), &[Input::MoneyReturned]);
    let step = undone(&Order { inside: 0, ..refunded }, 0);
    assert_eq!((step.places, step.next.admitted), (None, 0));
}

#[test]
fn while_the_money_is_on_its_way_back_an_undone_use_moves_nothing() {
    let entered = used(&paid(), 0);
    let refunding = Order { state: OrderState::Refunding, ..entered };
    let step = undone(&refunding, 0);
    assert_eq!(step.places, None);
    let gone = step.next.handle(Input::MoneyReturned, DEADLINE).unwrap().unwrap();
    assert_eq!(gone.places, Some(Moving { places: Move::Return, quantity: 2 }));
}

#[test]
fn an_order_remembers_the_last_hundred_that_were_undone() {
    let mut order = paid();
    for _ in 0..=UNDONE_REMEMBERED {
        order = undone(&used(&order, 0), 0).next;
    }
    assert_eq!(order.undone.len(), UNDONE_REMEMBERED);
    assert!(order.undone.is_sorted_by_key(|undone| undone.check_in.at) && order.undone[0].check_in.at > START);
}
