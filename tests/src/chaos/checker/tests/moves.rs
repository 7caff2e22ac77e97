//! Shows that move, in histories made by hand.

use serde_json::{Value, json};

use super::*;
use crate::chaos::history::{Show, Shown};

fn show(venue: Option<&str>) -> Show {
    let show = json!({ "title": "Jazz", "venue": venue, "startsAt": Value::Null, "timeZone": "UTC" });
    Shown::in_body(&show).now
}

/// What an order says that was held in one place when the show is in another.
fn shown(told: Option<&str>, now: Option<&str>) -> Shown {
    let was = if told == now { Show::new() } else { [("venue".to_owned(), json!(told))].into() };
    Shown { now: show(now), was }
}

fn moves_to(venue: Option<&str>) -> Wish {
    Wish::Move { ticket: "t".to_owned(), show: show(venue) }
}

/// The show of the story is listed in the mill, and moves to the pier, of which o1 was told at the hold; the others were told of the
/// mill. An answer that was on its way meanwhile told the buyer of o2 both.
fn moved() -> Story {
    let mut story = Story::told();
    story.answer(moves_to(Some("Mill")), 1, said("t", "")).answer(moves_to(Some("Pier")), 5, said("t", ""));
    story.end().shows.insert("t".to_owned(), show(Some("Pier")));
    for (id, told) in [("o1", "Pier"), ("o2", "Mill"), ("o3", "Mill"), ("o4", "Mill"), ("o5", "Mill")] {
        says(&mut story, id, shown(Some(told), Some("Pier")));
        for call in &mut story.0.calls {
            if let Outcome::Acknowledged(said) = &mut call.outcome
                && said.id == id
            {
                said.shown = shown(Some(told), Some(told));
            }
        }
    }
    let later = Said { shown: shown(Some("Mill"), Some("Pier")), ..said("o2", "complete") };
    story.answer(Wish::LookAtOrder { order: "o2".to_owned() }, 75, later);
    story
}

fn says(story: &mut Story, id: &str, shown: Shown) {
    story.end().in_lists.insert(id.to_owned(), shown.clone());
    story.order(id).shown = shown;
}

#[test]
fn a_show_that_moved_and_orders_that_say_so() {
    moved().breaks(&[]);
}

#[test]
fn an_order_that_keeps_the_old_place_or_forgets_it() {
    let mut story = moved();
    says(&mut story, "o2", shown(Some("Mill"), Some("Mill")));
    story.breaks(&[Rule::MoveShown]);
    says(&mut story, "o2", shown(Some("Pier"), Some("Pier")));
    story.breaks(&[Rule::MoveShown]);
    says(&mut story, "o2", shown(None, Some("Pier")));
    story.breaks(&[Rule::MoveShown]);
}

#[test]
fn an_order_that_calls_different_what_is_the_same() {
    let mut story = moved();
    let was = [("title".to_owned(), json!("Jazz"))].into();
    says(&mut story, "o1", Shown { was, ..shown(Some("Pier"), Some("Pier")) });
    story.breaks(&[Rule::MoveShown]);
}

#[test]
fn a_list_that_keeps_the_old_place() {
    let mut story = moved();
    story.end().in_lists.insert("o2".to_owned(), shown(Some("Mill"), Some("Mill")));
    story.breaks(&[Rule::MoveShown]);
}

#[test]
fn a_move_that_was_acknowledged_and_is_lost() {
    let mut story = moved();
    story.end().shows.insert("t".to_owned(), show(Some("Mill")));
    story.breaks(&[Rule::MoveKept, Rule::MoveShown]);
}

#[test]
fn a_move_without_an_answer_may_have_been_made_if_none_came_after_it() {
    let made = |at_| {
        let mut story = moved();
        story.no_answer(moves_to(None), None, at_);
        story.end().shows.insert("t".to_owned(), show(None));
        for (id, told) in [("o1", "Pier"), ("o2", "Mill"), ("o3", "Mill"), ("o4", "Mill"), ("o5", "Mill")] {
            says(&mut story, id, shown(Some(told), None));
        }
        story
    };
    made(3_000).breaks(&[]);
    made(2).breaks(&[Rule::MoveKept]);
}
