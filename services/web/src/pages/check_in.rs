//! Which door: one's own shows, the one that runs or comes next first.

use askama::Template;
use common::clock::Time;
use std::time::Duration;

use super::door::{Scan, Scanned, Verdict, scanned};
use super::{From, after};
use crate::failure::ApiProblem;
use crate::fields::{Form, Query};
use crate::format::{Words, zone_name};
use crate::html::{Answered, form_page, page};
use crate::model::{Page, Standing};
use crate::shell::Shell;
use crate::visit::Visit;

/// So long a show counts as running, as nobody says when it ends.
const RUNS_FOR: Duration = Duration::from_secs(6 * 3600);

/// How many shows are put in order; the API gives no more at a time.
const SHOWS: u32 = 100;

/// A show of one's own whose door can be opened.
struct Show {
    id: String,
    title: String,
    when: Option<String>,
    zone: String,
    venue: Option<String>,
    /// How many are sold, in words.
    sold: String,
}

impl Show {
    fn new(standing: Standing, words: &Words) -> Self {
        Self {
            when: standing.starts_at.map(|at| words.moment(at, &standing.time_zone)),
            zone: zone_name(&standing.time_zone),
            sold: format!("{} sold", words.number(standing.sold)),
            id: standing.ticket_id,
            title: standing.title,
            venue: standing.venue,
        }
    }
}

#[derive(Template)]
#[template(path = "check_in.html")]
struct CheckInPage {
    shell: Shell,
    shows: Vec<Show>,
    more: Option<String>,
    /// What became of a scan that named no show.
    verdict: Option<Verdict>,
    problem: Option<ApiProblem>,
}

/// The shows whose doors can be opened.
pub(crate) async fn shows(visit: Visit, from: Query<From>) -> Answered {
    page(&chosen_from(&visit, &from.0).await?)
}

/// Uses a pass of whatever show: what a page of an earlier build sends.
pub(crate) async fn check(visit: Visit, form: Form<Scan>) -> Answered {
    let Scanned { verdict, problem, .. } = match scanned(&visit, None, form.0, "/check-in").await? {
        Ok(scanned) if visit.is_partial() => return page(&scanned.piece()),
        Ok(scanned) => scanned,
        Err(not_made) => {
            let unread =
                CheckInPage { problem: Some(not_made.problem), ..chosen_from(&visit, &From::default()).await? };
            return form_page(unread.problem.as_ref(), &unread);
        }
    };
    let told = CheckInPage { verdict: Some(verdict), ..chosen_from(&visit, &From::default()).await? };
    form_page(problem.as_ref(), &told)
}

async fn chosen_from(visit: &Visit, from: &From) -> Result<CheckInPage, crate::failure::Failure> {
    let (shell, _) = visit.own_shell().await.map_err(|failure| failure.at("/check-in"))?;
    let path = from.after("/api/orders/sales");
    let path = format!("{path}{}limit={SHOWS}", if path.contains('?') { '&' } else { '?' });
    let found = visit.get::<Page<Standing>>(&path).await?;
    let shows = in_order(found.items, visit.web().clock.now());
    let shows = shows.into_iter().map(|standing| Show::new(standing, visit.words())).collect();
    let more = found.next_cursor.map(|cursor| after("/check-in", &cursor));
    Ok(CheckInPage { shell, shows, more, verdict: None, problem: None })
}

/// What runs or comes first, then what has no date, then what is over, the last first.
fn in_order(mut shows: Vec<Standing>, now: Time) -> Vec<Standing> {
    shows.sort_by_key(|show| match show.starts_at {
        Some(start) if start + RUNS_FOR > now => (0, start.millis()),
        None => (1, 0),
        Some(start) => (2, -start.millis()),
    });
    shows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_show_that_runs_or_comes_next_is_the_first() {
        let show = |title: &str, starts_at: Option<&str>| -> Standing {
            let standing = serde_json::json!({ "ticketId": "7", "title": title, "startsAt": starts_at, "onSale": true,
                "capacity": 1, "held": 0, "sold": 0, "currency": "eur", "revenue": "0.00" });
            serde_json::from_value(standing).unwrap()
        };
        let shows = vec![
            show("last week", Some("2026-11-20T19:00:00Z")),
            show("next week", Some("2026-12-04T19:00:00Z")),
            show("at any time", None),
            show("yesterday", Some("2026-11-26T19:00:00Z")),
            show("since an hour", Some("2026-11-27T19:00:00Z")),
        ];
        let now = "2026-11-27T20:00:00Z".parse().unwrap();
        let titles: Vec<String> = in_order(shows, now).into_iter().map(|show| show.title).collect();
        assert_eq!(titles, ["since an hour", "next week", "at any time", "yesterday", "last week"]);
    }
}
