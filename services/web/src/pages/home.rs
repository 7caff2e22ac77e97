//! What is on sale.

use askama::Template;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::fields::Query;
use crate::format::Words;
use crate::html::{Answered, page};
use crate::model::{Page, Ticket};
use crate::pages::ticket::Card;
use crate::shell::Shell;
use crate::visit::Visit;

/// What the visitor looks for.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    search: String,
    /// A day, as `<input type="date">` sends it.
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    cursor: String,
}

/// The same as the API takes it.
#[derive(Serialize)]
struct Query_<'a> {
    limit: u32,
    search: &'a str,
    from: String,
    to: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    cursor: &'a str,
}

#[derive(Template)]
#[template(path = "home.html", blocks = ["results"])]
struct Home {
    shell: Shell,
    wanted: Wanted,
    cards: Vec<Card>,
    more: Option<String>,
}

const ON_A_PAGE: u32 = 24;

/// The tickets on sale; a search answers with the results alone if a script asks. What an address has that nobody can look for is
/// left out.
pub(crate) async fn show(visit: Visit, wanted: Query<Wanted>) -> Answered {
    let wanted = wanted.0.possible();
    let path = wanted.for_api();
    let (shell, found) = futures::join!(visit.shell(), visit.get::<Page<Ticket>>(&path));
    let (found, wanted) = match found {
        Err(Failure::Refused(problem)) if problem.status == 400 => {
            (visit.get::<Page<Ticket>>(&Wanted::default().for_api()).await, Wanted::default())
        }
        found => (found, wanted),
    };
    let (shell, found) = (shell?, found?);
    let more = found.next_cursor.map(|cursor| wanted.page_after(&cursor));
    let home = Home { shell, cards: cards(found.items, visit.words()), more, wanted };
    if visit.is_partial() { page(&home.as_results()) } else { page(&home) }
}

fn cards(tickets: Vec<Ticket>, words: &Words) -> Vec<Card> {
    tickets.into_iter().map(|ticket| Card::new(ticket, words)).collect()
}

impl Wanted {
    fn for_api(&self) -> String {
        let query = Query_ {
            limit: ON_A_PAGE,
            search: &self.search,
            from: day_begins(&self.from),
            to: day_ends(&self.to),
            cursor: &self.cursor,
        };
        format!("/api/tickets?{}", serde_urlencoded::to_string(query).unwrap_or_default())
    }

    /// The same without days that are none.
    fn possible(mut self) -> Self {
        for day in [&mut self.from, &mut self.to] {
            if day.parse::<Date>().is_err() {
                day.clear();
            }
        }
        self
    }

    fn page_after(&self, cursor: &str) -> String {
        let fields = [("search", self.search.as_str()), ("from", &self.from), ("to", &self.to), ("cursor", cursor)];
        let said = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect::<Vec<_>>();
        format!("/?{}", serde_urlencoded::to_string(said).unwrap_or_default())
    }

    fn is_said(&self) -> bool {
        ![&self.search, &self.from, &self.to].into_iter().all(String::is_empty)
    }
}

/// The first moment of a day anywhere: a day that somebody looks for is that of the place, wherever it is.
fn day_begins(day: &str) -> String {
    if day.is_empty() { String::new() } else { format!("{day}T00:00:00+14:00") }
}

/// Its last moment anywhere.
fn day_ends(day: &str) -> String {
    if day.is_empty() { String::new() } else { format!("{day}T23:59:59-12:00") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_goes_on_where_the_page_ended() {
        let wanted = Wanted { search: "late trains".to_owned(), from: "2026-11-27".to_owned(), ..Wanted::default() };
        assert_eq!(
            wanted.for_api(),
            "/api/tickets?limit=24&search=late+trains&from=2026-11-27T00%3A00%3A00%2B14%3A00&to="
        );
        assert_eq!(wanted.page_after("abc"), "/?search=late+trains&from=2026-11-27&cursor=abc");
        assert!(wanted.is_said() && !Wanted::default().is_said());
        assert_eq!(wanted.possible().from, "2026-11-27");
        for nonsense in ["garbage", "2026-13-45", "2026-02-30", "\0"] {
            let wanted = Wanted { from: nonsense.to_owned(), to: nonsense.to_owned(), ..Wanted::default() };
            assert!(!wanted.possible().is_said(), "{nonsense}");
        }
    }
}
