//! How one's own tickets sell: all of them, and each with its figures and orders.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use common::clock::Time;
use common::events::payments::DisputeStanding;
use futures::StreamExt as _;
use jiff::tz::TimeZone;
use reqwest::Method;

use super::{From, after, places};
use crate::chart::{BAR, Bar, HEIGHT, Sparkline, WIDTH};
use crate::failure::Failure;
use crate::fields::{Id, Query};
use crate::format::{Words, zone_name};
use crate::html::{Answered, download, go, page};
use crate::live::{Look, Pace};
use crate::model::{DaySales, Page, Sale, SoldOrder, Standing, is_nothing};
use crate::reader::Asks;
use crate::shell::Shell;
use crate::visit::Visit;

/// How often a page that is open asks how its tickets sell.
const PACE: Pace = Pace { quick: Duration::from_secs(2), slow: Duration::from_secs(3) };

/// How long a table of all orders may take: many thousands of lines.
const WHOLE_TABLE: Duration = Duration::from_secs(60);

/// A listing in the words of its seller.
struct Row {
    standing: Standing,
    when: Option<String>,
    revenue: String,
    bar: Bar,
    /// What the bar shows.
    places: String,
}

impl Row {
    fn new(standing: Standing, words: &Words) -> Self {
        let number = |number| words.number(number);
        let (sold, held, capacity) = (number(standing.sold), number(standing.held), number(standing.capacity));
        Self {
            when: standing.starts_at.map(|at| words.moment(at, &standing.time_zone)),
            revenue: words.money(&standing.revenue, &standing.currency),
            bar: Bar::new(standing.sold, standing.held, standing.capacity),
            places: format!("{sold} sold, {held} held, of {capacity} places"),
            standing,
        }
    }
}

#[derive(Template)]
#[template(path = "sales.html")]
struct SalesPage {
    shell: Shell,
    rows: Vec<Row>,
    more: Option<String>,
}

/// One's own listings, newest first.
pub(crate) async fn list(visit: Visit, from: Query<From>) -> Answered {
    let (shell, _) = visit.own_shell().await?;
    let found = visit.get::<Page<Standing>>(&from.0.after("/api/orders/sales")).await;
    if let Some(beginning) = from.0.begin_again(&found, "/sales") {
        return Ok(beginning);
    }
    let found = found?;
    let rows = found.items.into_iter().map(|standing| Row::new(standing, visit.words())).collect();
    page(&SalesPage { shell, rows, more: found.next_cursor.map(|cursor| after("/sales", &cursor)) })
}

/// An order in the words of the seller.
struct Bought {
    order: SoldOrder,
    total: String,
    when: String,
    /// What of the money went back, if any did.
    refunded: Option<String>,
}

impl Bought {
    fn new(order: SoldOrder, zone: &str, words: &Words) -> Self {
        let went_back = !is_nothing(&order.refunded);
        Self {
            total: words.price(&order.total, &order.currency),
            when: words.moment(order.created_at, zone),
            refunded: went_back.then(|| words.money(&order.refunded, &order.currency)),
            order,
        }
    }

    fn places(&self) -> String {
        places(self.order.quantity)
    }

    /// How it is disputed at the buyer's bank, if it is.
    fn disputed(&self) -> Option<&'static str> {
        Some(match self.order.dispute? {
            DisputeStanding::Won => "dispute won",
            DisputeStanding::Lost => "dispute lost",
            DisputeStanding::Open | DisputeStanding::Inquiry | DisputeStanding::Unknown(_) => "disputed",
        })
    }
}

#[derive(Template)]
#[template(path = "sale.html", blocks = ["figures", "bought"])]
struct SalePage {
    shell: Shell,
    sale: Sale,
    row: Row,
    zone: String,
    sold: String,
    held: String,
    left: String,
    checked_in: String,
    /// How much money is disputed and not decided.
    disputed: String,
    spark: Option<Sparkline>,
    /// What the line shows.
    days: String,
    orders: Vec<Bought>,
    more: Option<String>,
    from: From,
    /// Whether the orders are sent along with the figures, to be swapped out of turn.
    apart: bool,
}

/// What a page shows.
#[derive(Clone, PartialEq)]
pub(crate) struct Facts {
    sale: Sale,
    orders: Vec<SoldOrder>,
    next: Option<String>,
}

impl Facts {
    async fn of(asks: &impl Asks, sale: &str, from: &From) -> Result<Self, Failure> {
        let orders = from.after(&format!("{sale}/orders"));
        let (sale, orders) = futures::join!(asks.read::<Sale>(sale), asks.read::<Page<SoldOrder>>(&orders));
        let (sale, orders) = (sale?, orders?);
        Ok(Self { sale, orders: orders.items, next: orders.next_cursor })
    }

    fn page(&self, shell: &Shell, from: &From, words: &Words) -> SalePage {
        let sale = self.sale.clone();
        let zone = &sale.standing.time_zone;
        let orders = self.orders.iter().map(|order| Bought::new(order.clone(), zone, words)).collect();
        let places: Vec<u32> = sale.by_day.iter().map(|day| day.places).collect();
        SalePage {
            shell: shell.clone(),
            row: Row::new(sale.standing.clone(), words),
            zone: zone_name(zone),
            sold: words.number(sale.standing.sold),
            held: words.number(sale.standing.held),
            left: words.number(sale.standing.left()),
            checked_in: words.number(sale.checked_in),
            disputed: words.money(&sale.disputes.open_total, &sale.standing.currency),
            spark: Sparkline::new(&places),
            days: told(&sale.by_day, words),
            orders,
            more: self.next.as_deref().map(|cursor| after(&format!("/sales/{}", sale.standing.ticket_id), cursor)),
            from: from.clone(),
            apart: false,
            sale,
        }
    }
}

impl Facts {
    /// What changes of the page.
    fn piece(&self, shell: &Shell, from: &From, words: &Words) -> String {
        let mut page = self.page(shell, from, words);
        page.apart = true;
        let mut html = page.as_figures().render().unwrap_or_default();
        if from.cursor.is_empty() {
            html += &page.as_bought().render().unwrap_or_default();
        }
        html
    }
}

impl SalePage {
    /// Where the page hears what is new.
    fn stream(&self) -> String {
        self.from.after(&format!("/sales/{}/live", self.sale.standing.ticket_id))
    }
}

/// What the days say, in a sentence.
fn told(days: &[DaySales], words: &Words) -> String {
    let sum: u32 = days.iter().map(|day| day.places).sum();
    // Of equal days the later one is the news.
    let best = days.iter().max_by_key(|day| day.places).filter(|day| day.places > 0);
    let Some(best) = best else { return format!("Nothing was sold in the last {} days.", days.len()) };
    let places = if sum == 1 { "1 place was".to_owned() } else { format!("{} places were", words.number(sum)) };
    let day = words.day(noon(best.day), "UTC");
    format!("{places} sold in the last {} days, most of them on {day}: {}.", days.len(), words.number(best.places))
}

/// A moment of that day, for writing the day.
fn noon(day: jiff::civil::Date) -> Time {
    let noon = day.at(12, 0, 0, 0).to_zoned(TimeZone::UTC);
    Time::from_millis(noon.map(|noon| noon.timestamp().as_millisecond()).unwrap_or_default())
}

/// The page of one.
pub(crate) async fn show(visit: Visit, id: Id, from: Query<From>) -> Answered {
    let (shell, _) = visit.own_shell().await?;
    let facts = Facts::of(&visit, &path_of(&id), &from.0).await;
    if let Some(beginning) = from.0.begin_again(&facts, &format!("/sales/{id}")) {
        return Ok(beginning);
    }
    page(&facts?.page(&shell, &from.0, visit.words()))
}

/// The figures as they are and whenever they change, and with them the newest orders for whoever looks at those. They are told
/// at once, because much may have happened since a browser was here last.
pub(crate) async fn live(visit: Visit, id: Id, from: Query<From>) -> Answered {
    let (shell, _) = visit.own_shell().await?;
    let from = from.0;
    let look = look(&visit, &id, &from).await?;
    let web = visit.web();
    let seat = web.seats.take(visit.viewer(&shell))?;
    let words = visit.words().clone();
    let pieces = look.states().map(move |facts| facts.piece(&shell, &from, &words));
    Ok(web.streams.answer(pieces, seat))
}

async fn look(visit: &Visit, id: &Id, from: &From) -> Result<Arc<Look<Facts>>, Failure> {
    let (web, reader, sale) = (visit.web(), visit.reader()?, path_of(id));
    let subject = reader.subject(from.after(&sale));
    if let Some(look) = web.sales.at(&subject) {
        return Ok(look);
    }
    let seen = Facts::of(&reader, &sale, from).await?;
    let from = from.clone();
    let ask = move || {
        let (reader, sale, from) = (reader.clone(), sale.clone(), from.clone());
        async move { Facts::of(&reader, &sale, &from).await }
    };
    Ok(web.sales.begin(subject, seen, PACE, ask))
}

fn path_of(id: &Id) -> String {
    format!("/api/orders/sales/{id}")
}

/// The orders as a table for spreadsheets, as the API has it.
pub(crate) async fn export(visit: Visit, id: Id) -> Answered {
    let path = format!("{}/orders.csv", path_of(&id));
    let visit = visit.with_time(WHOLE_TABLE);
    let answer = visit.call(Method::GET, &path, &[], None::<&()>).await.map_err(|failure| failure.at("/sales"))?;
    let media_type = answer.header("content-type").unwrap_or("text/csv; charset=utf-8").to_owned();
    Ok(download(answer.body(), &media_type, &format!("orders-{id}.csv")))
}

/// To the listing, for somebody who comes to the address of a form.
pub(crate) async fn back(id: Id) -> Answered {
    Ok(go(&format!("/sales/{id}")))
}

/// Takes the listing from sale.
pub(crate) async fn withdraw(visit: Visit, id: Id) -> Answered {
    let (path, page) = (format!("/api/tickets/{id}"), format!("/sales/{id}"));
    visit.call(Method::DELETE, &path, &[], None::<&()>).await.map_err(|failure| failure.at(&page))?;
    Ok(go(&page))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: &str, places: u32) -> DaySales {
        DaySales { day: day.parse().unwrap(), places }
    }

    #[test]
    fn days_are_told_in_a_sentence() {
        let words = Words::for_languages("en-GB");
        let (one, two) = (day("2026-11-20", 0), day("2026-11-21", 0));
        assert_eq!(told(&[one.clone(), two], &words), "Nothing was sold in the last 2 days.");
        let few = told(&[one.clone(), day("2026-11-21", 1)], &words);
        assert_eq!(few, "1 place was sold in the last 2 days, most of them on 21 Nov 2026: 1.");
        let many = told(&[day("2026-11-20", 1200), one], &words);
        assert_eq!(many, "1,200 places were sold in the last 2 days, most of them on 20 Nov 2026: 1,200.");
    }

    #[test]
    fn a_sale_is_read_as_the_api_tells_it() {
        let sale = serde_json::json!({ "ticketId": "7", "title": "Jazz", "startsAt": "2026-11-27T19:00:00.000Z", "timeZone": "Europe/Rome",
            "onSale": true, "capacity": 10, "held": 2, "sold": 3, "currency": "eur", "revenue": "15.00", "checkedIn": 1,
            "orders": { "held": 1, "paid": 2, "refunded": 0, "ended": 4 }, "businessTimeZone": "UTC",
            "byDay": [{ "day": "2026-11-21", "places": 3, "revenue": "15.00" }] });
        let sale: Sale = serde_json::from_value(sale).unwrap();
        assert_eq!((sale.standing.left(), sale.checked_in, sale.orders.paid), (5, 1, 2));
        assert_eq!(sale.by_day, [day("2026-11-21", 3)]);
        assert_eq!(sale.standing.label(), "On sale");
        assert_eq!(Standing { held: 7, ..sale.standing.clone() }.label(), "All held or sold");
        assert_eq!(Standing { held: 0, sold: 10, ..sale.standing.clone() }.label(), "Sold out");
        let ended = Standing { on_sale: false, ..sale.standing };
        assert_eq!((ended.label(), ended.is_withdrawn()), ("Taken from sale", true), "as earlier builds say it");
    }
}
