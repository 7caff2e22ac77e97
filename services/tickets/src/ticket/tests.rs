use common::money::Currency;
use common::store::{from_document, to_document};

use super::*;
use crate::places::told;

const NOW: Time = Time::from_millis(1_795_000_000_000);

fn offer() -> Offer {
    Offer {
        title: Title::parse("Jazz night").unwrap(),
        price: Money::parse("19.99", Currency::USD).unwrap(),
        quantity: Quantity::parse(10).unwrap(),
        description: None,
        venue: None,
        starts_at: None,
        time_zone: None,
        sale_ends_at: None,
        per_order_limit: None,
        image_url: None,
        refund_policy: RefundPolicy::UntilStart,
        words: None,
    }
}

#[test]
fn a_listing_has_the_words_of_all_that_is_said_about_it() {
    let venue = Venue::parse("Café Müller").ok();
    let ticket = ticket(Places::opening(Quantity::ONE));
    let next = edited(&ticket, Offer { venue, description: Description::parse("Jazz!").ok(), ..offer() }).unwrap();
    assert_eq!(next.offer.words.unwrap(), ["jazz", "night", "cafe", "muller"]);
    let of_before = Ticket { offer: offer(), ..ticket };
    assert_eq!(of_before.edit(offer(), NOW), Ok(None), "its seller has changed nothing");
}

fn ticket(places: Places) -> Ticket {
    let (ticket, _) = Ticket::list(TicketId::generate(NOW), UserId::generate(NOW), offer(), NOW);
    Ticket { places, ..ticket }
}

fn with_quantity(quantity: i64) -> Offer {
    Offer { quantity: Quantity::parse(quantity).unwrap(), ..offer() }
}

fn with_price(amount: i64, currency: &str) -> Offer {
    Offer { price: Money::from_minor(amount, Currency::parse(currency).unwrap()).unwrap(), ..offer() }
}

fn edited(ticket: &Ticket, offer: Offer) -> Result<Ticket, TicketError> {
    ticket.edit(offer, NOW).map(|changed| changed.unwrap().0)
}

#[test]
fn a_new_listing_has_all_its_places() {
    let (ticket, event) = Ticket::list(TicketId::generate(NOW), UserId::generate(NOW), offer(), NOW);
    assert_eq!((ticket.quantity(), ticket.available(), ticket.on_sale(NOW)), (10, 10, true));
    let TicketEvent::Created(created) = event else { panic!("{event:?}") };
    assert_eq!((created.listing.title.as_str(), created.listing.quantity), ("Jazz night", 10));
}

#[test]
fn the_same_offer_is_no_change() {
    assert_eq!(ticket(told(10, 10, 0, 1)).edit(offer(), NOW), Ok(None));
}

#[test]
fn there_are_never_fewer_places_than_taken() {
    let ticket = ticket(told(10, 2, 3, 4));
    assert_eq!(edited(&ticket, with_quantity(4)), Err(TicketError::QuantityBelowTaken { held: 2, sold: 3 }));
    assert_eq!(edited(&ticket, with_quantity(5)).unwrap().available(), 0);
}

#[test]
fn the_price_is_locked_while_places_are_held() {
    let held = ticket(told(10, 1, 0, 1));
    assert_eq!(edited(&held, with_price(2000, "usd")), Err(TicketError::PriceLocked { held: 1 }));
    assert_eq!(edited(&held, with_price(1999, "eur")), Err(TicketError::PriceLocked { held: 1 }));
    assert!(edited(&held, with_quantity(20)).is_ok());
}

#[test]
fn the_currency_is_locked_once_places_are_sold() {
    let sold = ticket(told(10, 0, 1, 1));
    assert_eq!(edited(&sold, with_price(2000, "usd")).unwrap().offer.price.minor(), 2000);
    assert_eq!(edited(&sold, with_price(1999, "eur")), Err(TicketError::CurrencyLocked { sold: 1 }));
}

#[test]
fn the_authority_has_the_last_word_on_the_quantity() {
    let told_before = ticket(told(10, 2, 0, 7));
    let resized = edited(&told_before, with_quantity(20)).unwrap();
    assert_eq!((resized.quantity(), resized.available()), (20, 18), "it has not answered yet");
    let answered = Ticket { places: told(25, 5, 18, 8), ..resized };
    assert_eq!((answered.quantity(), answered.available()), (25, 2));
}

#[test]
fn it_is_withdrawn_once_and_stays_so() {
    let (withdrawn, event) = ticket(told(10, 0, 0, 1)).withdraw().unwrap();
    assert!(matches!(event, TicketEvent::Withdrawn(_)));
    assert!(!withdrawn.on_sale(NOW));
    assert_eq!(withdrawn.withdraw(), None);
    assert_eq!(withdrawn.edit(with_quantity(20), NOW), Err(TicketError::Withdrawn));
}

fn later(minutes: i64) -> Time {
    Time::from_millis(NOW.millis() + minutes * 60_000)
}

/// An offer that starts and whose sale ends so many minutes from now.
fn dated(start: Option<i64>, end: Option<i64>) -> Offer {
    let starts_at = start.map(|start| StartsAt::parse(later(start)).unwrap());
    Offer { starts_at, sale_ends_at: end.map(|end| SaleEndsAt::parse(later(end)).unwrap()), ..offer() }
}

#[test]
fn a_sale_ends_at_the_start_unless_the_seller_says_otherwise() {
    for (start, end, expected) in
        [(None, None, None), (Some(60), None, Some(60)), (Some(60), Some(30), Some(30)), (None, Some(90), Some(90))]
    {
        let (ticket, event) = Ticket::list(TicketId::generate(NOW), UserId::generate(NOW), dated(start, end), NOW);
        let TicketEvent::Created(created) = event else { panic!("{event:?}") };
        assert_eq!((ticket.offer.sale_end(), created.listing.sale_end()), (expected.map(later), expected.map(later)));
        let Some(end) = expected else { continue };
        assert_eq!([end - 1, end, end + 1].map(|at| ticket.on_sale(later(at))), [true, false, false], "{start:?}");
    }
}

#[test]
fn the_end_that_follows_from_the_start_goes_with_it_and_one_that_was_set_stays() {
    let before = Ticket { offer: dated(Some(60), None), ..ticket(told(10, 0, 0, 1)) };
    let moved = edited(&before, dated(Some(600), None)).unwrap();
    assert_eq!(moved.offer.sale_end(), Some(later(600)));
    let set = edited(&before, dated(Some(600), Some(60))).unwrap();
    assert_eq!(set.offer.sale_end(), Some(later(60)), "where the show began before");
    let kept = edited(&set, dated(Some(900), Some(60))).unwrap();
    assert_eq!(kept.offer.sale_end(), Some(later(60)), "what was set stays set");
    assert_eq!(edited(&set, dated(Some(600), None)).unwrap().offer.sale_end(), Some(later(600)));
}

#[test]
fn only_the_seller_is_the_owner() {
    let ticket = ticket(told(10, 0, 0, 1));
    assert_eq!(ticket.check_owner(ticket.seller_id), Ok(()));
    assert_eq!(ticket.check_owner(UserId::generate(NOW)), Err(TicketError::NotOwner));
}

#[test]
fn counts_out_of_the_store_are_not_written_again() {
    let fresh = Ticket::list(TicketId::generate(NOW), UserId::generate(NOW), offer(), NOW).0;
    let mut document = to_document(&fresh).unwrap();
    assert!(!document.get_document("places").unwrap().get_bool("soldOut").unwrap());
    document.insert("_id", fresh.id);
    let read: Ticket = from_document(&document).unwrap();
    assert_eq!(read.offer, fresh.offer);
    assert!(!to_document(&read).unwrap().contains_key("places"));
}

#[test]
fn a_listing_of_a_closed_account_is_off_sale_for_good() {
    let ticket = ticket(told(10, 2, 3, 4));
    let (suspended, event) = ticket.suspend().unwrap();
    assert!(!suspended.on_sale(NOW) && suspended.shelf == Shelf::withdrawn(None));
    assert_eq!((suspended.available(), suspended.places), (5, ticket.places), "what is taken stays taken");
    let TicketEvent::Updated(updated) = event else { panic!("{event:?}") };
    assert!(updated.listing.suspended);
    assert!(matches!(suspended.told(), TicketEvent::Snapshot(told) if told.listing.suspended && !told.withdrawn));
    assert_eq!(suspended.suspend(), None);
    assert_eq!(suspended.edit(with_quantity(9), NOW), Err(TicketError::Suspended));
    assert_eq!(suspended.withdraw().unwrap().0.suspend(), None);
    assert_eq!(ticket.withdraw().unwrap().0.suspend(), None, "it is off sale for good already");
}
