//! The catalogue as a list: which listings are wanted, in the order of the shelves, page by page.

use std::cmp::Ordering;

use bson::{Bson, Document, doc};
use common::clock::Time;
use common::id::{TicketId, UserId};
use common::store::{Versioned, begins_with};
use common::text::{TooLong, search, searched_words};
use serde::{Deserialize, Serialize};

use crate::shelf::Shelf;
use crate::ticket::Ticket;

/// The most words of a search that are looked at.
const MOST_WORDS: usize = 10;

/// The field with the words by which a listing is found.
pub(crate) const WORDS: &str = "offer.words";

/// Where a listing stands in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Position(Shelf, bool, TicketId);

impl Position {
    /// Where this one stands.
    pub(crate) fn of(ticket: &Versioned<Ticket>) -> Self {
        Self(Shelf { until: None, ..ticket.value.shelf }, ticket.value.places.sold_out, ticket.value.id)
    }
}

/// Words to look for. A listing must have words that begin with each of them, in its title, venue or description.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Search(Vec<String>);

impl Search {
    /// Reads what somebody typed; `None` if it is blank.
    ///
    /// # Errors
    /// If it is too long.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, TooLong> {
        let words = searched_words(search(text)?).into_iter().take(MOST_WORDS).collect();
        Ok((!text.trim().is_empty()).then_some(Self(words)))
    }

    /// Nothing is found by signs alone.
    fn filter(&self) -> Vec<Document> {
        if self.0.is_empty() { vec![nothing()] } else { self.0.iter().map(|word| begins_with(WORDS, word)).collect() }
    }
}

/// What is wanted of the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    /// With these words.
    pub(crate) search: Option<Search>,
    /// Starting then or later.
    pub(crate) from: Option<Time>,
    /// Starting then or sooner.
    pub(crate) to: Option<Time>,
    /// By this seller; then what was withdrawn is shown too.
    pub(crate) seller: Option<UserId>,
}

impl Wanted {
    /// The query for what stands behind `after`.
    ///
    /// Each alternative is one stretch of the index, so that MongoDB merges them in order and stops at the limit.
    pub(crate) fn filter(&self, after: Option<Position>) -> Document {
        let mut filter = Document::new();
        if let Some(search) = &self.search {
            filter.insert("$and", search.filter());
        }
        let stretches: Vec<Bson> = self.stretches(after).into_iter().map(Bson::Document).collect();
        // A cursor of another list may leave nothing, and an empty `$or` is an error.
        filter.insert("$or", if stretches.is_empty() { vec![nothing().into()] } else { stretches });
        filter
    }

    fn stretches(&self, after: Option<Position>) -> Vec<Document> {
        let last = if self.seller.is_some() { Shelf::WITHDRAWN } else { Shelf::ENDED };
        let parts = (Shelf::OPEN..=last).flat_map(|rank| [(rank, false), (rank, true)]);
        parts.flat_map(|(rank, sold_out)| self.of_part(rank, sold_out, after)).collect()
    }

    fn of_part(&self, rank: i32, sold_out: bool, after: Option<Position>) -> Vec<Document> {
        let mut part = doc! { "shelf.rank": rank, "places.soldOut": sold_out };
        if let Some(seller) = self.seller {
            part.insert("sellerId", seller);
        }
        let with = |more: Document| part.clone().into_iter().chain(more).collect::<Document>();
        let (first, last) = self.orders(rank);
        let Some(Position(Shelf { rank: seen, order, .. }, seen_sold_out, id)) = after else {
            return vec![with(doc! { "shelf.order": { "$gte": first, "$lte": last } })];
        };
        match (rank, sold_out).cmp(&(seen, seen_sold_out)) {
            Ordering::Less => Vec::new(),
            Ordering::Greater => vec![with(doc! { "shelf.order": { "$gte": first, "$lte": last } })],
            Ordering::Equal => vec![
                with(doc! { "shelf.order": order, "_id": { "$lt": id } }),
                with(doc! { "shelf.order": { "$gt": order.max(first.saturating_sub(1)), "$lte": last } }),
            ],
        }
    }

    /// The first and the last place in a part at which a listing may stand that starts when wanted.
    fn orders(&self, rank: i32) -> (i64, i64) {
        if self.from.is_none() && self.to.is_none() {
            return (i64::MIN, i64::MAX);
        }
        let from = self.from.map_or(0, Time::millis);
        let to = self.to.map_or(Shelf::UNDATED, Time::millis).min(Shelf::UNDATED - 1);
        if rank == Shelf::OPEN { (from, to) } else { (-to, -from) }
    }
}

fn nothing() -> Document {
    doc! { "_id": { "$in": [] } }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Time = Time::from_millis(100);
    const TO: Time = Time::from_millis(200);

    fn sought(text: &str) -> Option<Vec<Document>> {
        Search::parse(text).unwrap().map(|search| search.filter())
    }

    fn parts(wanted: &Wanted, after: Option<Position>) -> Vec<(i32, bool, Bson)> {
        let part = |stretch: &Bson| {
            let stretch = stretch.as_document().unwrap();
            let order = stretch.get("shelf.order").unwrap().clone();
            (stretch.get_i32("shelf.rank").unwrap(), stretch.get_bool("places.soldOut").unwrap(), order)
        };
        wanted.filter(after).get_array("$or").unwrap().iter().map(part).collect()
    }

    fn between(first: i64, last: i64) -> Bson {
        doc! { "$gte": first, "$lte": last }.into()
    }

    #[test]
    fn all_words_are_looked_for_and_nothing_else_is_meant() {
        let words = ["jazz", "night", "mull"].map(|word| doc! { "offer.words": { "$regex": format!("^{word}") } });
        assert_eq!(sought(" Jazz  -night \"Müll").unwrap(), words);
        assert_eq!(sought("  "), None);
        assert_eq!(sought("!?").unwrap(), [nothing()]);
        assert!(Search::parse(&"x".repeat(201)).is_err());
    }

    #[test]
    fn the_public_does_not_see_what_was_withdrawn() {
        let ranks = |wanted| parts(&wanted, None).into_iter().map(|(rank, ..)| rank).collect::<Vec<_>>();
        assert_eq!(ranks(Wanted::default()), [0, 0, 1, 1]);
        let seller = Some(UserId::generate(FROM));
        assert_eq!(ranks(Wanted { seller, ..Wanted::default() }), [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn dates_are_ranges_of_each_part() {
        let wanted = Wanted { from: Some(FROM), to: Some(TO), ..Wanted::default() };
        let (ahead, behind) = (between(100, 200), between(-200, -100));
        let expected = [(0, false, ahead.clone()), (0, true, ahead), (1, false, behind.clone()), (1, true, behind)];
        assert_eq!(parts(&wanted, None), expected);
        let open = Wanted { from: Some(FROM), ..Wanted::default() };
        assert_eq!(parts(&open, None)[0].2, between(100, i64::MAX - 1), "what has no date has not that one");
    }

    #[test]
    fn a_page_goes_on_where_the_last_one_ended() {
        let after = Position(Shelf { rank: 0, order: 150, until: None }, true, TicketId::generate(FROM));
        let wanted = Wanted { from: Some(FROM), to: Some(TO), ..Wanted::default() };
        let rest: Bson = doc! { "$gt": 150_i64, "$lte": 200_i64 }.into();
        let behind = between(-200, -100);
        let expected = [(0, true, 150_i64.into()), (0, true, rest), (1, false, behind.clone()), (1, true, behind)];
        assert_eq!(parts(&wanted, Some(after)), expected);
    }

    #[test]
    fn a_cursor_of_another_list_is_no_error() {
        let after = Position(Shelf { rank: 2, order: 0, until: None }, true, TicketId::generate(FROM));
        assert_eq!(Wanted::default().filter(Some(after)), doc! { "$or": [{ "_id": { "$in": [] } }] });
    }
}
