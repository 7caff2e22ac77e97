//! Shows that move while they are sold: their seller says another title, place or time of them, and insists.

use std::time::Duration;

use common::clock::{Clock, SystemClock};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::buyers::{Notes, judged};
use super::doors::Asked;
use super::history::{Call, Outcome, Show, Wish};
use super::plan::Plan;
use super::world::World;
use crate::wait::pause;

/// How long the seller insists on a change.
const INSISTS_FOR: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(300);

/// What is said of a show the `nth` time: each time something else, and sometimes nothing of what may be left out.
pub(crate) fn said(nth: usize) -> Show {
    let venue = if nth % 4 == 3 { Value::Null } else { json!(format!("Hall {}", nth / 2)) };
    let start = if nth % 5 == 4 { Value::Null } else { json!(format!("2099-05-{:02}T19:00:00.000Z", nth % 28 + 1)) };
    let zone = if nth.is_multiple_of(3) { "Europe/Rome" } else { "Asia/Tokyo" };
    let fields = [
        ("title", json!(format!("Friday evening {}", nth / 3))),
        ("venue", venue),
        ("startsAt", start),
        ("timeZone", json!(zone)),
    ];
    fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
}

/// A listing of such a show.
pub(crate) fn listing(show: &Show) -> Value {
    let mut listing = json!({ "price": "19.99" });
    if let Some(fields) = listing.as_object_mut() {
        fields.extend(show.clone());
    }
    listing
}

/// All moves of a run, those of different listings side by side.
pub(crate) async fn move_shows(world: &World, notes: &Notes, tickets: &[String], plan: &Plan) {
    let moved = tickets.iter().zip(&plan.moves).map(|(ticket, moves)| async move {
        for (nth, wait) in moves.iter().enumerate() {
            pause(*wait).await;
            insist(world, notes, ticket, said(nth + 1)).await;
        }
    });
    join_all(moved).await;
}

/// Says it until there is an answer that it is said.
async fn insist(world: &World, notes: &Notes, ticket: &str, show: Show) {
    let until = SystemClock.now() + INSISTS_FOR;
    while !say(world, notes, ticket, &show).await && SystemClock.now() < until {
        pause(BETWEEN_TRIES).await;
    }
}

/// Says it in the place of what the listing says now, and whether that was acknowledged. It names the version that it replaces, so
/// that it cannot land late on what is said after it.
async fn say(world: &World, notes: &Notes, ticket: &str, show: &Show) -> bool {
    let path = format!("/api/tickets/{ticket}");
    let seen = Asked { method: Method::GET, path: &path, key: None, tag: None, body: Value::Null };
    let Ok(page) = world.doors.ask(&world.seller, seen).await else { return false };
    let Some(version) = page.body["version"].as_i64() else { return false };
    let tag = format!("\"{version}\"");
    let began = SystemClock.now();
    let change = Asked { method: Method::PUT, path: &path, key: None, tag: Some(&tag), body: listing(show) };
    let answer = world.doors.ask(&world.seller, change).await;
    let outcome = answer.map_or_else(Outcome::Unknown, |answer| judged(answer.status, &answer.body));
    let acknowledged = matches!(outcome, Outcome::Acknowledged(_));
    let wish = Wish::Move { ticket: ticket.to_owned(), show: show.clone() };
    notes.add(Call { who: 0, began, ended: SystemClock.now(), wish, key: None, outcome });
    acknowledged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_something_else_is_said_and_each_field_changes_and_stays() {
        let said: Vec<Show> = (0..8).map(said).collect();
        for pair in said.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
        for field in ["title", "venue", "startsAt", "timeZone"] {
            assert!(said.windows(2).any(|pair| pair[0][field] != pair[1][field]), "{field} changes");
        }
        for field in ["title", "venue", "timeZone"] {
            assert!(said.windows(2).any(|pair| pair[0][field] == pair[1][field]), "{field} stays");
        }
    }
}
