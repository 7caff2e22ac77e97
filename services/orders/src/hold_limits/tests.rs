use common::money::{Currency, Money};

use super::*;

const NOW: Time = Time::from_millis(100_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const HOLD: Duration = Duration::from_secs(900);
const LIMITS: HoldLimits = HoldLimits { unpaid_places: 100, pause_after: 2, pause: Duration::from_secs(300) };

fn order(state: OrderState, quantity: u32, expires_at: Time) -> Standing {
    let (order_id, buyer_id) = (OrderId::generate(NOW), UserId::generate(NOW));
    let unit_price = Money::from_minor(500, Currency::USD).unwrap();
    let hold = PendingHold { order_id, buyer_id, quantity, unit_price, at: expires_at - HOLD, expires_at };
    Standing { state, counts_until: None, ..Standing::pending(TicketId::generate(NOW), &hold) }
}

fn places(quantity: u32) -> Wanted {
    Wanted { quantity, is_free: false }
}

/// Holds that were given up so many minutes ago, after so many.
fn given_up(minutes: &[(u32, u32)]) -> Vec<Standing> {
    let given_up = |&(ago, after): &(u32, u32)| {
        let at = NOW - MINUTE * ago;
        let order = order(OrderState::Cancelled, 1, at - MINUTE * after + HOLD);
        Standing { given_up_soon_at: Some(at), ..order }
    };
    minutes.iter().map(given_up).collect()
}

fn waits_with(has: &[Standing]) -> Option<Duration> {
    match LIMITS.allow(has, places(1), None, NOW) {
        Ok(()) => None,
        Err(TooMany::RunOut { wait }) => Some(wait),
        Err(other) => panic!("{other}"),
    }
}

fn ran_out(minutes_ago: &[u32]) -> Vec<Standing> {
    minutes_ago.iter().map(|ago| order(OrderState::Expired, 1, NOW - MINUTE * *ago)).collect()
}

fn waits(limits: HoldLimits, minutes_ago: &[u32]) -> Option<Duration> {
    match limits.allow(&ran_out(minutes_ago), places(1), None, NOW) {
        Ok(()) => None,
        Err(TooMany::RunOut { wait }) => Some(wait),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn only_places_that_are_held_and_not_paid_count() {
    use OrderState::{AwaitingPayment, Cancelled, Complete, Created, Expired, Expiring, Refunded};
    let old = NOW - REMEMBERED;
    for state in [Created, AwaitingPayment, Expiring] {
        let has = [order(state, 2, old)];
        assert_eq!(LIMITS.allow(&has, places(2), Some(4), NOW), Ok(()), "{state:?}");
        let too_many = Err(TooMany::Places { held: 2, limit: 4 });
        assert_eq!(LIMITS.allow(&has, places(3), Some(4), NOW), too_many, "{state:?}");
        assert_eq!(LIMITS.allow(&has, places(3), None, NOW), Ok(()), "{state:?}");
    }
    let ended = [Cancelled, Complete, Expired, Refunded].map(|state| order(state, 4, old));
    assert_eq!(LIMITS.allow(&ended, places(4), Some(4), NOW), Ok(()));
    assert_eq!(LIMITS.allow(&ended, Wanted { quantity: 4, is_free: true }, Some(4), NOW), Ok(()), "paid");
}

#[test]
fn what_is_free_counts_until_it_is_given_back_and_keeps_nobody_from_paying() {
    use OrderState::{Cancelled, Complete, Created};
    let free = |quantity| Wanted { quantity, is_free: true };
    let complete = |quantity| Standing { counts_until: Some(HELD), ..order(Complete, quantity, NOW) };
    let unit_price = Money::from_minor(0, Currency::USD).unwrap();
    let ticket = |quantity| Standing { unit_price, ..complete(quantity) };
    // The last one was paid at a build that knows no `countsUntil`.
    let has = [ticket(1), ticket(2), order(Created, 1, NOW), complete(9)];
    assert_eq!(LIMITS.allow(&has, free(1), Some(5), NOW), Ok(()));
    let too_many = LIMITS.allow(&has, free(2), Some(5), NOW).unwrap_err();
    assert_eq!(too_many, TooMany::Free { has: 4, limit: 5 });
    assert_eq!(too_many.to_string(), "you have 4 free tickets of this show already and may have 5");
    let given_back = Standing { given_up_soon_at: Some(NOW), ..order(Cancelled, 2, NOW) };
    assert_eq!(LIMITS.allow(&[ticket(1), given_back], free(4), Some(5), NOW), Ok(()));
    assert_eq!(LIMITS.allow(&has, places(4), Some(5), NOW), Ok(()), "what is held counts");
    let too_many = Err(TooMany::Places { held: 1, limit: 5 });
    assert_eq!(LIMITS.allow(&has, places(5), Some(5), NOW), too_many);
    assert_eq!(LIMITS.allow(&has, free(50), None, NOW), Ok(()), "without limits");
    let at_once = LIMITS.allow(&[], free(6), Some(5), NOW).unwrap_err().to_string();
    assert_eq!(at_once, "one person may have at most 5 of the free tickets of this show");
}

#[test]
fn nobody_waits_for_having_changed_their_mind_three_times() {
    for after in [0, 1, 4, 7] {
        assert_eq!(waits_with(&given_up(&[(0, after), (8, after), (16, after)])), None, "{after}");
    }
    let both = [ran_out(&[40, 50]), given_up(&[(0, 7), (1, 7), (2, 7)])].concat();
    assert_eq!(waits_with(&both), None, "the pause of those that ran out is over");
    assert_eq!(waits_with(&[ran_out(&[1]), given_up(&[(0, 1), (2, 1), (3, 1)])].concat()), None);
}

#[test]
fn who_holds_again_and_again_just_under_half_the_time_waits() {
    assert_eq!(waits_with(&given_up(&[(0, 7), (8, 7), (16, 7), (24, 7)])), None, "28 minutes of places");
    let often = given_up(&[(0, 7), (8, 7), (16, 7), (24, 7), (32, 7)]);
    assert_eq!(waits_with(&often), Some(MINUTE * 5));
    let often = [often, given_up(&[(40, 7), (48, 7)])].concat();
    assert_eq!(waits_with(&often), Some(MINUTE * 10), "49 minutes");
    let late = [ran_out(&[30]), given_up(&[(0, 4), (10, 4), (11, 4), (12, 4)])].concat();
    assert_eq!(waits_with(&late), Some(MINUTE * 5), "with what ran out");
}

#[test]
fn who_holds_and_gives_up_at_once_waits_with_the_tenth_time() {
    let at_once = |times: usize| waits_with(&given_up(&vec![(1, 0); times]));
    assert_eq!((at_once(9), at_once(10), at_once(14)), (None, Some(MINUTE * 4), Some(MINUTE * 4)));
    assert_eq!((at_once(15), at_once(1_000)), (Some(MINUTE * 9), Some(MINUTE * 59)));
    assert_eq!(waits_with(&given_up(&[(61, 0); 50])), None, "after an hour it is forgotten");
}

#[test]
fn a_free_ticket_that_is_given_back_counts_as_little_as_a_hold_that_was_given_up_at_once() {
    let given_back = |times: usize| {
        let tickets = given_up(&vec![(1, 50); times]).into_iter();
        waits_with(&tickets.map(|ticket| Standing { paid_at: Some(NOW - HOLD), ..ticket }).collect::<Vec<_>>())
    };
    assert_eq!((given_back(9), given_back(10)), (None, Some(MINUTE * 4)));
}

#[test]
fn what_nobody_limits_is_not_asked_for() {
    let reads = |limits: HoldLimits| {
        let range = limits.counting(NOW);
        [NOW, NOW + MINUTE, HELD].map(|counts_until| range.contains(&counts_until))
    };
    assert_eq!(reads(LIMITS), [false, true, true]);
    assert_eq!(reads(HoldLimits { unpaid_places: 0, ..LIMITS }), [false, true, false]);
    assert_eq!(reads(HoldLimits { pause_after: 0, ..LIMITS }), [false, false, true]);
}

#[test]
fn an_order_in_a_state_of_a_later_build_holds_its_places() {
    let known = order(OrderState::Complete, 2, NOW);
    let stored = bson::doc! { "_id": known.id, "ticketId": known.ticket_id, "buyerId": known.buyer_id, "state": "queued",
    "quantity": 2_i64, "unitPrice": { "amount": 500_i64, "currency": "usd" }, "createdAt": NOW - HOLD, "expiresAt": NOW };
    let read: Standing = common::store::from_document(&stored).unwrap();
    assert_eq!(read, Standing { state: OrderState::Created, ..known });
}

#[test]
fn nobody_holds_more_at_once_than_in_all() {
    let at_once = |quantity| LIMITS.allow(&[], places(quantity), LIMITS.of_listing(None), NOW);
    assert_eq!((at_once(100), at_once(101)), (Ok(()), Err(TooMany::AtOnce { limit: 100 })));
}

#[test]
fn a_hold_that_was_given_up_late_counts_like_one_that_ran_out() {
    let mut has = ran_out(&[40]);
    let given_up = order(OrderState::Cancelled, 1, NOW + MINUTE);
    has.push(given_up.clone());
    assert_eq!(LIMITS.allow(&has, places(1), None, NOW), Ok(()), "given up soon");
    has.push(Standing { given_up_late_at: Some(NOW - MINUTE), ..given_up });
    let wait = Err(TooMany::RunOut { wait: 4 * MINUTE });
    assert_eq!(LIMITS.allow(&has, places(1), None, NOW), wait, "since it was given up");
}

#[test]
fn a_hold_that_ended_before_its_deadline_makes_nobody_wait_longer_than_the_pause() {
    let early = || order(OrderState::Expired, 1, NOW + MINUTE);
    assert_eq!(LIMITS.allow(&[early()], places(1), None, NOW), Ok(()), "it is the first");
    let wait = Err(TooMany::RunOut { wait: LIMITS.pause });
    assert_eq!(LIMITS.allow(&[early(), early()], places(1), None, NOW), wait);
    assert_eq!(HoldLimits { pause_after: 0, ..LIMITS }.allow(&[early(), early()], places(1), None, NOW), Ok(()));
}

#[test]
fn a_pause_begins_with_the_second_hold_that_ran_out_and_doubles() {
    assert_eq!(waits(LIMITS, &[1]), None);
    assert_eq!(waits(LIMITS, &[1, 40]), Some(MINUTE * 4));
    assert_eq!(waits(LIMITS, &[5, 40]), None);
    assert_eq!(waits(LIMITS, &[5, 20, 40]), Some(MINUTE * 5));
    assert_eq!(waits(LIMITS, &[1, 61]), None, "after an hour it is forgotten");
    assert_eq!(waits(LIMITS, &[1; 50]), Some(MINUTE * 59), "an hour is the most");
}

#[test]
fn a_pause_is_told_in_minutes() {
    let told = |seconds| TooMany::RunOut { wait: Duration::from_secs(seconds) }.to_string();
    assert!(told(30).ends_with("again in a minute") && told(61).ends_with("again in 2 minutes"), "{}", told(61));
}

#[test]
fn zero_turns_a_limit_off() {
    assert_eq!(waits(HoldLimits { pause_after: 0, ..LIMITS }, &[1, 1, 1]), None);
    assert_eq!(waits(HoldLimits { pause: Duration::ZERO, ..LIMITS }, &[1, 1, 1]), None);
    assert_eq!(LIMITS.of_listing(Some(4)), Some(4));
    assert_eq!(LIMITS.of_listing(None), Some(100));
    let none = HoldLimits { unpaid_places: 0, pause_after: 0, pause: Duration::ZERO };
    assert_eq!((none.of_listing(Some(4)), none.ask()), (None, false));
}
