//! Each kind of broken promise is found in a history made by hand, and nothing in a history without one.

use super::*;
use crate::chaos::history::{IN_PROGRESS, Snapshot};

mod moves;

const HELD_FOR: i64 = 1_000;

fn at(millis: i64) -> Time {
    Time::from_millis(millis)
}

/// A sale of three places: o1 is bought and kept, o2 is given back, o3 is given up, and o4 expires. Nobody heard of o5.
struct Story(History);

impl Story {
    fn told() -> Self {
        let mut story = Self(History { capacities: [("t".to_owned(), 3)].into(), ..History::default() });
        story.hold("o1", 10).hold("o2", 20).hold("o3", 30);
        story.pay("o1", 40).pay("o2", 50).look("o1", "complete", 60).look("o2", "complete", 70);
        story.answer(Wish::Cancel { order: "o3".into() }, 80, said("o3", "cancelled"));
        story.hold("o4", 90);
        story.answer(Wish::Refund { order: "o2".into(), amount: None }, 2_000, said("o2", "refunded"));
        story.no_answer(hold(), Some("o5"), 2_100);
        story.refused(hold(), Some("o5"), 2_200);
        for (id, status) in
            [("o1", "complete"), ("o2", "refunded"), ("o3", "cancelled"), ("o4", "expired"), ("o5", "expired")]
        {
            story.0.end.orders.insert(id.to_owned(), order(status));
            story.0.end.listed.entry(0).or_default().push(id.to_owned());
        }
        story.0.end.charges = vec![charge("o1", 0), charge("o2", 100)];
        story.shows(Places { quantity: 3, held: 0, sold: 1, available: 2 });
        story
    }

    /// At the end the page and the inventory count this.
    fn shows(&mut self, places: Places) {
        self.0.end.tickets.insert("t".to_owned(), places);
        self.0.end.inventories.insert("t".to_owned(), Counted { held: places.held, sold: places.sold });
    }

    fn call(&mut self, wish: Wish, key: Option<&str>, at_: i64, outcome: Outcome) {
        let key = key.map(str::to_owned);
        self.0.calls.push(Call { who: 0, began: at(at_), ended: at(at_ + 5), wish, key, outcome });
    }

    fn answer(&mut self, wish: Wish, at_: i64, said: Said) -> &mut Self {
        self.call(wish, None, at_, Outcome::Acknowledged(said));
        self
    }

    fn no_answer(&mut self, wish: Wish, key: Option<&str>, at_: i64) {
        self.call(wish, key, at_, Outcome::Unknown("it broke".to_owned()));
    }

    fn refused(&mut self, wish: Wish, key: Option<&str>, at_: i64) {
        self.call(wish, key, at_, Outcome::Refused { status: 409, code: "sold_out".to_owned() });
    }

    /// Each hold has a key of its own, which is called like the order.
    fn hold(&mut self, order: &str, at_: i64) -> &mut Self {
        self.hold_by(order, order, at_)
    }

    fn hold_by(&mut self, key: &str, order: &str, at_: i64) -> &mut Self {
        let said = Said { expires_at: Some(at(at_ + HELD_FOR)), ..said(order, "created") };
        self.call(hold(), Some(key), at_, Outcome::Acknowledged(said));
        self
    }

    fn pay(&mut self, order: &str, at_: i64) -> &mut Self {
        let wish = Wish::Pay { order: order.to_owned(), method: "pm_card_visa".to_owned() };
        self.answer(wish, at_, said(order, "succeeded"))
    }

    /// Gives a part back, as a request of its own.
    fn give_part(&mut self, order: &str, amount: i64, at_: i64) -> &mut Self {
        let wish = Wish::Refund { order: order.to_owned(), amount: Some(amount) };
        let key = format!("{order}-{amount}");
        self.call(wish, Some(&key), at_, Outcome::Acknowledged(said(order, "refunded")));
        self
    }

    fn look(&mut self, order: &str, status: &str, at_: i64) -> &mut Self {
        self.answer(Wish::LookAtOrder { order: order.to_owned() }, at_, said(order, status))
    }

    fn order(&mut self, id: &str) -> &mut OrderSeen {
        self.0.end.orders.get_mut(id).unwrap()
    }

    fn end(&mut self) -> &mut Snapshot {
        &mut self.0.end
    }

    #[track_caller]
    fn breaks(&self, rules: &[Rule]) {
        let mut found: Vec<Rule> = check(&self.0).into_iter().map(|violation| violation.rule).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, rules, "{:#?}", check(&self.0));
    }
}

fn hold() -> Wish {
    Wish::Hold { ticket: "t".to_owned(), quantity: 1 }
}

fn said(id: &str, status: &str) -> Said {
    Said { id: id.to_owned(), status: status.to_owned(), ..Said::default() }
}

fn order(status: &str) -> OrderSeen {
    let passes = u32::from(status == "complete");
    let (ticket, status) = ("t".to_owned(), status.to_owned());
    OrderSeen { ticket, quantity: 1, total: 100, status, passes, ..OrderSeen::default() }
}

fn charge(order: &str, returned: i64) -> Charge {
    Charge {
        order: order.to_owned(),
        captured: 100,
        returned,
        refunds: if returned > 0 { vec![returned] } else { vec![] },
    }
}

#[test]
fn a_history_without_a_broken_promise_passes() {
    Story::told().breaks(&[]);
}

#[test]
fn a_hold_that_is_lost() {
    let mut story = Story::told();
    story.end().orders.remove("o3");
    story.breaks(&[Rule::HoldKept]);
}

#[test]
fn a_hold_that_is_listed_twice_or_never() {
    let mut story = Story::told();
    story.end().listed.entry(0).or_default().push("o1".to_owned());
    story.breaks(&[Rule::HoldKept]);
    story.end().listed.clear();
    story.breaks(&[Rule::HoldKept]);
}

#[test]
fn a_hold_that_became_somebody_elses_or_another() {
    let mut story = Story::told();
    story.order("o3").buyer = 1;
    story.breaks(&[Rule::HoldKept]);
    story.order("o3").buyer = 0;
    story.order("o3").quantity = 2;
    // With one place more in it there are also too many.
    story.breaks(&[Rule::HoldKept, Rule::NeverOversold]);
}

#[test]
fn one_order_for_two_holds() {
    let mut story = Story::told();
    story.hold_by("o3", "o3", 31);
    story.breaks(&[]);
    story.hold_by("another", "o3", 32);
    story.breaks(&[Rule::HoldKept]);
}

#[test]
fn two_orders_for_one_request() {
    let mut story = Story::told();
    story.hold_by("o3", "o4", 95);
    story.breaks(&[Rule::HoldKept, Rule::DoneOnce]);
}

#[test]
fn a_request_without_an_answer_makes_one_order_and_one_that_was_granted_no_other() {
    let mut story = Story::told();
    story.no_answer(hold(), Some("o5"), 2_150);
    story.end().orders.insert("o6".to_owned(), order("expired"));
    story.breaks(&[Rule::OrderWanted]);
    let mut story = Story::told();
    story.no_answer(hold(), Some("o4"), 85);
    story.end().orders.insert("o6".to_owned(), order("expired"));
    story.breaks(&[Rule::OrderWanted]);
}

#[test]
fn a_request_that_is_repeated_and_never_answered() {
    let mut story = Story::told();
    story.no_answer(hold(), Some("k"), 2_300);
    story.no_answer(hold(), Some("k"), 2_400);
    story.breaks(&[Rule::Answered]);
    story.refused(hold(), Some("k"), 2_500);
    story.breaks(&[]);
}

#[test]
fn a_request_that_is_in_progress_for_longer_than_everybody_insisted() {
    let mut story = Story::told();
    story.call(hold(), Some("k"), 2_300, Outcome::Unknown(IN_PROGRESS.to_owned()));
    story.breaks(&[]);
    story.0.insisted = true;
    story.breaks(&[Rule::Answered]);
}

#[test]
fn an_order_that_nobody_asked_for() {
    let mut story = Story::told();
    story.end().orders.insert("o6".to_owned(), order("expired"));
    story.breaks(&[Rule::OrderWanted]);
    story.end().orders.remove("o6");
    story.order("o5").quantity = 2;
    story.breaks(&[Rule::OrderWanted]);
}

#[test]
fn a_hold_too_many_at_the_same_time() {
    let mut story = Story::told();
    story.hold("o6", 35);
    story.end().orders.insert("o6".to_owned(), order("expired"));
    story.end().listed.entry(0).or_default().push("o6".to_owned());
    story.breaks(&[Rule::NeverOversold]);
}

#[test]
fn an_order_whose_money_the_bank_took_back_has_its_place_for_as_long_as_it_was_seen() {
    let mut story = Story::told();
    *story.order("o1") = order("refunded");
    story.end().charges = vec![charge("o1", 100), charge("o2", 100)];
    story.shows(Places { quantity: 3, held: 0, sold: 0, available: 3 });
    story.hold("o6", 100);
    story.end().orders.insert("o6".to_owned(), order("expired"));
    story.end().listed.entry(0).or_default().push("o6".to_owned());
    story.breaks(&[]);
    story.look("o1", "complete", 110);
    story.breaks(&[Rule::NeverOversold]);
}

#[test]
fn a_deadline_by_a_clock_that_is_wrong_is_no_certainty() {
    let mut story = Story::told();
    // One place more than there are, after o3 was given up and shortly before o4 expires.
    story.hold("o6", 1_050);
    story.end().orders.insert("o6".to_owned(), order("expired"));
    story.end().listed.entry(0).or_default().push("o6".to_owned());
    story.breaks(&[Rule::NeverOversold]);
    story.0.skew_ms = 100;
    story.breaks(&[]);
}

#[test]
fn more_sold_at_the_end_than_there_are() {
    let mut story = Story::told();
    for id in ["o3", "o4", "o5"] {
        *story.order(id) = order("complete");
        story.end().charges.push(charge(id, 0));
    }
    story.0.calls.retain(|call| !matches!(call.wish, Wish::Cancel { .. }));
    story.shows(Places { quantity: 3, held: 0, sold: 4, available: 0 });
    story.breaks(&[Rule::NeverOversold]);
}

#[test]
fn a_page_that_shows_more_than_there_is_or_does_not_add_up() {
    let looks = |places| {
        let mut story = Story::told();
        let said = Said { places: Some(places), ..said("t", "") };
        story.answer(Wish::LookAtTicket { ticket: "t".to_owned() }, 85, said);
        story
    };
    looks(Places { quantity: 3, held: 2, sold: 1, available: 0 }).breaks(&[]);
    looks(Places { quantity: 3, held: 3, sold: 1, available: 0 }).breaks(&[Rule::NeverOversold]);
    looks(Places { quantity: 3, held: 1, sold: 1, available: 0 }).breaks(&[Rule::PlacesAddUp]);
    looks(Places { quantity: 4, held: 2, sold: 1, available: 1 }).breaks(&[Rule::PlacesAddUp]);
}

#[test]
fn counts_that_are_not_those_of_the_orders() {
    let mut story = Story::told();
    story.shows(Places { quantity: 3, held: 1, sold: 1, available: 1 });
    story.breaks(&[Rule::PlacesAddUp]);
}

#[test]
fn places_that_never_come_free_in_the_inventory_while_the_page_is_right() {
    let mut story = Story::told();
    story.end().inventories.insert("t".to_owned(), Counted { held: 1, sold: 1 });
    story.breaks(&[Rule::PlacesAddUp]);
    story.end().inventories.clear();
    story.breaks(&[Rule::PlacesAddUp]);
}

#[test]
fn a_page_that_never_hears_of_the_newest_counts() {
    let mut story = Story::told();
    story.end().tickets.insert("t".to_owned(), Places { quantity: 3, held: 1, sold: 1, available: 1 });
    story.breaks(&[Rule::PlacesAddUp]);
}

#[test]
fn two_charges_for_one_order() {
    let mut story = Story::told();
    story.end().charges.push(charge("o1", 0));
    story.breaks(&[Rule::ChargedOnce]);
    let mut story = Story::told();
    story.end().charges[0].captured = 150;
    story.breaks(&[Rule::ChargedOnce]);
}

#[test]
fn an_acknowledged_payment_that_never_came_in() {
    let mut story = Story::told();
    story.end().charges.remove(0);
    story.breaks(&[Rule::PaymentKept, Rule::PassesHaveMoney]);
}

#[test]
fn money_kept_without_passes() {
    let mut story = Story::told();
    story.end().charges.push(charge("o4", 0));
    story.breaks(&[Rule::MoneyHasPasses]);
    let mut story = Story::told();
    story.order("o1").passes = 0;
    story.breaks(&[Rule::MoneyHasPasses]);
    let mut story = Story::told();
    story.end().charges.push(charge("nobody's", 0));
    story.breaks(&[Rule::MoneyHasPasses]);
}

#[test]
fn passes_without_money() {
    let mut story = Story::told();
    story.order("o4").passes = 1;
    story.breaks(&[Rule::PassesHaveMoney]);
    let mut story = Story::told();
    story.end().charges[0].returned = 100;
    story.breaks(&[Rule::PassesHaveMoney]);
}

#[test]
fn a_refund_that_was_acknowledged_and_not_made_or_made_twice() {
    let mut story = Story::told();
    story.end().charges[1].returned = 0;
    story.end().charges[1].refunds.clear();
    story.breaks(&[Rule::MoneyHasPasses, Rule::RefundKept]);
    let mut story = Story::told();
    story.end().charges[1].returned = 50;
    story.breaks(&[Rule::MoneyHasPasses, Rule::RefundKept]);
    let mut story = Story::told();
    story.end().charges[1].refunds = vec![50, 50];
    story.breaks(&[Rule::RefundKept]);
}

#[test]
fn a_part_of_the_money_goes_back_once_for_each_request() {
    let mut story = Story::told();
    story.give_part("o1", 10, 2_010).give_part("o1", 20, 2_020);
    story.end().charges[0] = Charge { returned: 30, refunds: vec![10, 20], ..charge("o1", 0) };
    story.breaks(&[]);
    story.end().charges[0] = Charge { returned: 50, refunds: vec![10, 20, 20], ..charge("o1", 0) };
    story.breaks(&[Rule::DoneOnce]);
    story.end().charges[0] = Charge { returned: 10, refunds: vec![10], ..charge("o1", 0) };
    story.breaks(&[Rule::RefundKept]);
    story.end().charges[0] = Charge { returned: 35, refunds: vec![10, 20, 5], ..charge("o1", 0) };
    story.breaks(&[Rule::RefundKept]);
}

#[test]
fn a_part_and_then_the_rest_go_back() {
    let mut story = Story::told();
    story.give_part("o2", 10, 1_900);
    story.end().charges[1] = Charge { returned: 100, refunds: vec![10, 90], ..charge("o2", 0) };
    story.breaks(&[]);
    story.end().charges[1] = Charge { returned: 100, refunds: vec![10, 45, 45], ..charge("o2", 0) };
    story.breaks(&[Rule::RefundKept]);
}

#[test]
fn a_cancelled_order_that_comes_back() {
    let mut story = Story::told();
    story.order("o3").status = "expired".to_owned();
    story.breaks(&[Rule::CancelKept]);
}

#[test]
fn an_order_without_an_end() {
    let mut story = Story::told();
    story.order("o4").status = "expiring".to_owned();
    story.shows(Places { quantity: 3, held: 1, sold: 1, available: 1 });
    story.breaks(&[Rule::ComesToRest]);
}

#[test]
fn an_event_that_still_waits() {
    let mut story = Story::told();
    story.end().waiting.push("orders: 1 event is parked".to_owned());
    story.breaks(&[Rule::ComesToRest]);
}

#[test]
fn an_event_given_up_and_a_process_that_died() {
    let mut story = Story::told();
    story.end().dead_letters.push("orders: payments:7".to_owned());
    story.end().deaths.push("orders-1 ended by itself".to_owned());
    story.breaks(&[Rule::NoDeadLetters, Rule::NoDeaths]);
}

#[test]
fn the_seat_of_a_guest_whose_money_went_back_is_sold_once() {
    let mut story = Story::told();
    story.order("o2").inside = 1;
    story.breaks(&[Rule::PlacesAddUp]);
    story.shows(Places { quantity: 3, held: 0, sold: 2, available: 1 });
    story.breaks(&[]);
    story.0.capacities.insert("t".to_owned(), 1);
    story.shows(Places { quantity: 1, held: 0, sold: 2, available: 0 });
    story.breaks(&[Rule::NeverOversold]);
}

impl Story {
    fn scan(&mut self, order: &str, key: &str) {
        let wish = Wish::CheckIn { order: order.to_owned(), ticket: "t".to_owned(), code: "c".to_owned() };
        self.call(wish, Some(key), 100, Outcome::Acknowledged(Said::default()));
    }

    fn undo(&mut self, order: &str, key: &str) {
        let wish = Wish::Undo { order: order.to_owned(), pass: "p".to_owned(), at: "then".to_owned() };
        self.call(wish, Some(key), 110, Outcome::Acknowledged(Said::default()));
    }
}

#[test]
fn as_many_are_inside_as_were_let_in_and_did_not_leave() {
    let mut story = Story::told();
    story.scan("o1", "scan");
    story.scan("o1", "scan");
    story.breaks(&[Rule::CheckInKept]);
    story.order("o1").admitted = 1;
    story.breaks(&[]);
    story.undo("o1", "undo");
    story.undo("o1", "undo");
    story.breaks(&[Rule::CheckInKept]);
    story.order("o1").admitted = 0;
    story.breaks(&[]);
    story.scan("o1", "again");
    story.breaks(&[Rule::CheckInKept]);
    story.order("o1").admitted = 1;
    story.breaks(&[]);
}
