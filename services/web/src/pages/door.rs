//! At the door of a show: a pass is shown, and the answer is yes or no. What was a mistake can be undone.

mod verdict;

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::json;

use crate::failure::{ApiProblem, Failure};
use crate::fields::{Form, Id};
use crate::format::{Words, zone_name};
use crate::html::{Answered, form_page, go, page};
use crate::live::{Look, Pace};
use crate::making::{NotMade, key_of, new_key};
use crate::model::{Admitted, Sale, Undone};
use crate::reader::Asks as _;
use crate::shell::Shell;
use crate::visit::Visit;

pub(crate) use verdict::Verdict;

/// How often an open door asks how many are inside.
const PACE: Pace = Pace { quick: Duration::from_secs(1), slow: Duration::from_secs(2) };

/// How many are inside.
struct Count {
    admitted: String,
    sold: String,
}

impl Count {
    fn new(sale: &Sale, words: &Words) -> Self {
        Self { admitted: words.number(sale.checked_in), sold: words.number(sale.standing.sold) }
    }
}

#[derive(Template)]
#[template(path = "door_count.html")]
struct CountPiece {
    count: Count,
}

#[derive(Template)]
#[template(path = "door.html")]
struct DoorPage {
    shell: Shell,
    id: String,
    title: String,
    when: Option<String>,
    zone: String,
    venue: Option<String>,
    count: Count,
    verdict: Option<Verdict>,
    /// What is wrong with the form, which says nothing of the pass.
    problem: Option<ApiProblem>,
    code: String,
    place: String,
    /// Names the scan: sent once more, as after an answer that was lost, it is the same one.
    key: String,
}

#[derive(Template)]
#[template(path = "verdict.html")]
pub(crate) struct VerdictPiece {
    verdict: Verdict,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Scan {
    code: String,
    place: String,
    key: String,
}

/// What became of a scan.
pub(crate) struct Scanned {
    pub(crate) verdict: Verdict,
    /// What the API said, if it was no.
    pub(crate) problem: Option<ApiProblem>,
    place: String,
}

impl Scanned {
    /// The verdict alone, for a script. A status that says the same would only be an error in the browser's log.
    pub(crate) fn piece(self) -> VerdictPiece {
        VerdictPiece { verdict: self.verdict }
    }
}

/// What of a scan says nothing of the pass: the form comes back with it.
pub(crate) struct Unread {
    pub(crate) problem: ApiProblem,
    scan: Scan,
}

/// The door, before the first scan.
pub(crate) async fn show(visit: Visit, id: Id) -> Answered {
    page(&DoorPage::of(&visit, &id, Scan { key: new_key(&visit), ..Scan::default() }).await?)
}

/// Uses a pass. A script gets the verdict alone.
pub(crate) async fn check(visit: Visit, id: Id, form: Form<Scan>) -> Answered {
    match scanned(&visit, Some(&id), form.0, &format!("/check-in/{id}")).await? {
        Ok(scanned) if visit.is_partial() => page(&scanned.piece()),
        Ok(Scanned { verdict, problem, place }) => {
            let scan = Scan { place, key: new_key(&visit), ..Scan::default() };
            let told = DoorPage { verdict: Some(verdict), ..DoorPage::of(&visit, &id, scan).await? };
            form_page(problem.as_ref(), &told)
        }
        // Whoever stands at the door is not to be sent away for what says nothing of the pass.
        Err(Unread { problem, scan }) => {
            let unread = DoorPage { problem: Some(problem), ..DoorPage::of(&visit, &id, scan).await? };
            form_page(unread.problem.as_ref(), &unread)
        }
    }
}

/// Uses a pass at the door of a show, or of any; `page` is where somebody goes on who has to sign in first.
///
/// # Errors
/// What no page with a form can tell.
pub(crate) async fn scanned(
    visit: &Visit,
    ticket: Option<&Id>,
    scan: Scan,
    page: &str,
) -> Result<Result<Scanned, Unread>, Failure> {
    let Scan { code, place, key } = scan;
    let mut wish = json!({ "code": code.trim(), "place": place });
    if let Some(ticket) = ticket {
        wish["ticketId"] = json!(ticket.to_string());
    }
    let key = key_of(visit, key);
    let NotMade { problem, key } = match visit.make::<Admitted>("/api/passes/check-in", &key, &wish).await {
        Ok(pass) => return Ok(Ok(Scanned { verdict: Verdict::welcome(visit, &pass), problem: None, place })),
        Err(failure) => visit.not_made(failure.at(page), key)?,
    };
    Ok(match Verdict::refused(visit, &problem) {
        Some(verdict) => Ok(Scanned { verdict, problem: Some(problem), place }),
        None => Err(Unread { problem, scan: Scan { code, place, key } }),
    })
}

/// A check-in that is to be undone, and the name of that wish.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Undo {
    order: String,
    pass: String,
    at: String,
    key: String,
}

/// Undoes a check-in. A script gets the verdict alone.
pub(crate) async fn undo(visit: Visit, id: Id, form: Form<Undo>) -> Answered {
    let Undo { order, pass, at, key } = form.0;
    let (wish, key) = (json!({ "orderId": order, "passId": pass, "checkedInAt": at }), key_of(&visit, key));
    let (verdict, problem) = match visit.make::<Undone>("/api/passes/undo", &key, &wish).await {
        Ok(undone) => (Verdict::undone(&undone), None),
        Err(failure) => {
            let problem = visit.not_made(failure.at(&format!("/check-in/{id}")), key)?.problem;
            (Verdict::not_undone(&visit, &problem), Some(problem))
        }
    };
    if visit.is_partial() {
        return page(&VerdictPiece { verdict });
    }
    let scan = Scan { key: new_key(&visit), ..Scan::default() };
    form_page(problem.as_ref(), &DoorPage { verdict: Some(verdict), ..DoorPage::of(&visit, &id, scan).await? })
}

/// To the door, for somebody who comes to the address of a form.
pub(crate) async fn back(id: Id) -> Answered {
    Ok(go(&format!("/check-in/{id}")))
}

impl DoorPage {
    async fn of(visit: &Visit, id: &Id, scan: Scan) -> Result<Self, Failure> {
        let here = |failure: Failure| failure.at(&format!("/check-in/{id}"));
        let (shell, _) = visit.own_shell().await.map_err(here)?;
        let sale = visit.get::<Sale>(&path_of(id)).await.map_err(here)?;
        let (count, words, Scan { code, place, key }) = (Count::new(&sale, visit.words()), visit.words(), scan);
        let standing = sale.standing;
        Ok(Self {
            shell,
            id: id.to_string(),
            when: standing.starts_at.map(|at| words.moment(at, &standing.time_zone)),
            zone: zone_name(&standing.time_zone),
            title: standing.title,
            venue: standing.venue,
            count,
            verdict: None,
            problem: None,
            code,
            place,
            key,
        })
    }
}

/// How many are inside, now and whenever that changes, at whatever door.
pub(crate) async fn live(visit: Visit, id: Id) -> Answered {
    let (shell, _) = visit.own_shell().await?;
    let look = look(&visit, &id).await?;
    let web = visit.web();
    let seat = web.seats.take(visit.viewer(&shell))?;
    let words = visit.words().clone();
    let pieces = look.states().map(move |sale| {
        let count = Count::new(&sale, &words);
        CountPiece { count }.render().unwrap_or_default()
    });
    Ok(web.streams.answer(pieces, seat))
}

async fn look(visit: &Visit, id: &Id) -> Result<Arc<Look<Sale>>, Failure> {
    let (web, reader, sale) = (visit.web(), visit.reader()?, path_of(id));
    let subject = reader.subject(sale.clone());
    if let Some(look) = web.doors.at(&subject) {
        return Ok(look);
    }
    let seen = reader.read::<Sale>(&sale).await?;
    let ask = move || {
        let (reader, sale) = (reader.clone(), sale.clone());
        async move { reader.read::<Sale>(&sale).await }
    };
    Ok(web.doors.begin(subject, seen, PACE, ask))
}

fn path_of(id: &Id) -> String {
    format!("/api/orders/sales/{id}")
}
