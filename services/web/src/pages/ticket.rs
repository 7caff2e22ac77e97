//! A listing: what it is, how many places are left at this moment, and the way to hold some.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::places;
use crate::failure::{ApiProblem, Failure};
use crate::fields::{Form, Id, Query};
use crate::format::{Words, zone_name};
use crate::html::{Answered, form_page, go, page};
use crate::live::{Look, Pace};
use crate::making::{NotMade, key_of, new_key};
use crate::model::{Order, Ticket};
use crate::reader::{Asks as _, Reader};
use crate::send_again::or_send_again;
use crate::shell::Shell;
use crate::visit::Visit;

/// How often a listing is asked for while somebody looks at it.
const PACE: Pace = Pace { quick: Duration::from_millis(500), slow: Duration::from_millis(1500) };

/// A listing in the words of the visitor.
pub(crate) struct Card {
    pub(crate) ticket: Ticket,
    pub(crate) price: String,
    pub(crate) when: Option<String>,
    pub(crate) zone: String,
    /// When the sale ends, where that is not simply the start.
    pub(crate) sale_end: Option<String>,
    pub(crate) left: String,
}

impl Card {
    pub(crate) fn new(ticket: Ticket, words: &Words) -> Self {
        let price = words.price(&ticket.price, &ticket.currency);
        let when = ticket.starts_at.map(|at| words.moment(at, &ticket.time_zone));
        let left = match ticket.available {
            _ if ticket.sale_ended => "The sale has ended".to_owned(),
            _ if !ticket.on_sale => "Not on sale".to_owned(),
            0 if !ticket.is_sold_out() => "No place is free just now".to_owned(),
            0 => "Sold out".to_owned(),
            1 => "1 place left".to_owned(),
            many => format!("{} places left", words.number(many)),
        };
        let sale_end = ticket.sale_ends_at.map(|at| words.moment(at, &ticket.time_zone));
        Self { price, when, zone: zone_name(&ticket.time_zone), sale_end, left, ticket }
    }
}

#[derive(Template)]
#[template(path = "ticket.html", blocks = ["facts", "places", "price", "buy"])]
struct TicketPage {
    shell: Shell,
    card: Card,
    problem: Option<ApiProblem>,
    chosen: u32,
    /// Makes the hold once, however often the form is sent.
    key: String,
    is_own: bool,
    /// Whether facts, form and price are sent along with the places, to be swapped out of turn.
    apart: bool,
}

impl TicketPage {
    fn new(shell: Shell, ticket: Ticket, words: &Words, key: String) -> Self {
        let is_own = shell.user.as_ref().is_some_and(|user| user.id == ticket.user_id);
        Self { shell, card: Card::new(ticket, words), problem: None, chosen: 1, key, is_own, apart: false }
    }
}

/// How many places the visitor had chosen before signing in.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Chosen {
    quantity: u32,
}

impl Default for Chosen {
    fn default() -> Self {
        Self { quantity: 1 }
    }
}

/// The page.
pub(crate) async fn show(visit: Visit, id: Id, chosen: Query<Chosen>) -> Answered {
    let path = format!("/api/tickets/{id}");
    let (shell, ticket) = futures::join!(visit.shell(), visit.get::<Ticket>(&path));
    let (shell, ticket) = (shell?, ticket?);
    let page_of = TicketPage::new(shell, ticket, visit.words(), new_key(&visit));
    page(&TicketPage { chosen: chosen.0.quantity, ..page_of })
}

/// How many places are left, again and again; and the form, when it must become another one.
pub(crate) async fn live(visit: Visit, id: Id) -> Answered {
    let shell = visit.shell().await?;
    let look = look(&visit, &id).await?;
    let web = visit.web();
    let seat = web.seats.take(visit.viewer(&shell))?;
    let (words, key) = (visit.words().clone(), new_key(&visit));
    let mut shown = None;
    let pieces = look.states().map(move |ticket| {
        // What changes by itself stands with the places; all else is news.
        let shape = Ticket { held: 0, sold: 0, available: ticket.most(), ..ticket.clone() };
        let shape = (shape, ticket.is_sold_out());
        let reshaped = shown.replace(shape.clone()).is_some_and(|before| before != shape);
        let mut page = TicketPage::new(shell.clone(), ticket, &words, key.clone());
        let mut html = page.as_places().render().unwrap_or_default();
        if reshaped {
            page.apart = true;
            html += &page.as_facts().render().unwrap_or_default();
            html += &page.as_price().render().unwrap_or_default();
            html += &page.as_buy().render().unwrap_or_default();
        }
        html
    });
    Ok(web.streams.answer(pieces, seat))
}

/// The listing, as everybody may see it.
async fn look(visit: &Visit, id: &Id) -> Result<Arc<Look<Ticket>>, Failure> {
    let (web, path) = (visit.web(), format!("/api/tickets/{id}"));
    let reader = Reader::of_anybody(web.upstream.clone());
    let subject = reader.subject(path.clone());
    if let Some(look) = web.listings.at(&subject) {
        return Ok(look);
    }
    let seen = reader.read::<Ticket>(&path).await?;
    let ask = move || {
        let (reader, path) = (reader.clone(), path.clone());
        async move { reader.read(&path).await }
    };
    Ok(web.listings.begin(subject, seen, PACE, ask))
}

/// A wish to hold places, as the form sends it.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    quantity: u32,
    key: String,
}

impl Hold {
    /// The address that stands for it while its buyer signs in. Whoever comes to that address holds nothing by that.
    fn address(&self, id: &Id) -> String {
        format!("/tickets/{id}/hold?{}", serde_urlencoded::to_string(self).unwrap_or_default())
    }

    /// What an address stands for, if it is one of these.
    pub(crate) fn at(address: &str) -> Option<(Id, Self)> {
        let (path, query) = address.split_once('?')?;
        let id = path.strip_prefix("/tickets/")?.strip_suffix("/hold")?;
        Some((Id::parse(id)?, serde_urlencoded::from_str(query).ok()?))
    }

    /// How many places are to be held, in words.
    pub(crate) fn places(&self) -> String {
        places(self.quantity)
    }
}

/// Holds places, and leads to the order; or shows the same page with what keeps them from being held.
pub(crate) async fn hold(visit: Visit, id: Id, form: Form<Hold>) -> Answered {
    hold_now(&visit, &id, form.0).await
}

/// To the listing, for somebody who comes to the address of the form.
pub(crate) async fn back(id: Id, chosen: Query<Chosen>) -> Answered {
    Ok(go(&format!("/tickets/{id}?quantity={}", chosen.0.quantity)))
}

/// The same as [`hold`], also for somebody who has just signed in to do it.
pub(crate) async fn hold_now(visit: &Visit, id: &Id, hold: Hold) -> Answered {
    let Hold { quantity, key } = hold;
    let wish = json!({ "ticketId": id.to_string(), "quantity": quantity });
    let hold = Hold { quantity, key: key_of(visit, key) };
    let NotMade { problem, key } = match visit.make::<Order>("/api/orders", &hold.key, &wish).await {
        Ok(order) => return Ok(go(&format!("/orders/{}", order.id))),
        Err(failure) => visit.not_made(failure.at(&hold.address(id)), hold.key)?,
    };
    let page = not_held(visit, id, quantity, problem.clone(), key.clone()).await;
    or_send_again(page, &problem, &format!("/tickets/{id}/hold"), &[("quantity", quantity)], key)
}

/// The page with what keeps places from being held.
async fn not_held(visit: &Visit, id: &Id, quantity: u32, problem: ApiProblem, key: String) -> Answered {
    let path = format!("/api/tickets/{id}");
    let (shell, ticket) = futures::join!(visit.shell(), visit.get::<Ticket>(&path));
    let (shell, ticket) = (shell?, ticket?);
    let available = problem.available.unwrap_or(ticket.available);
    let ticket = ticket.with_available(available);
    let page = TicketPage::new(shell, ticket, visit.words(), key);
    let page = TicketPage { problem: Some(problem), chosen: quantity, ..page };
    form_page(page.problem.as_ref(), &page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_the_same_after_signing_in() {
        let id = "0199f7a0-0000-7000-8000-000000000001";
        let hold = Hold { quantity: 2, key: "a&b".to_owned() };
        let address = hold.address(&Id::parse(id).unwrap());
        assert_eq!(address, format!("/tickets/{id}/hold?quantity=2&key=a%26b"));
        let (of, read) = Hold::at(&crate::shell::safe_next(Some(&address))).unwrap();
        assert_eq!((of.to_string(), read), (id.to_owned(), hold));
        for other in
            ["/", "/tickets/7/hold?quantity=2&key=k", "/orders/x/hold?quantity=1&key=k", &format!("/tickets/{id}/hold")]
        {
            assert!(Hold::at(other).is_none(), "{other}");
        }
    }
}
