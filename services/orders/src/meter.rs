//! What happens to places, counted.

use metrics::{Counter, counter, describe_counter};

use crate::box_office::{Held, HoldError};
use crate::hold_limits::TooMany;
use crate::inventory::Inventory;

/// Why a hold is refused before anybody looks at the places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The listing is the buyer's own.
    OwnTicket,
    /// More places than one order may have.
    OverLimit,
    /// The listing is not on sale any more.
    NotOnSale,
    /// Its sale has ended by itself.
    SaleEnded,
}

/// The counters of the service, made once.
#[derive(Clone)]
pub(crate) struct Meter {
    granted: Counter,
    repeated: Counter,
    hold_limit: Counter,
    free_limit: Counter,
    hold_pause: Counter,
    sold_out: Counter,
    over_limit: Counter,
    own_ticket: Counter,
    not_on_sale: Counter,
    sale_ended: Counter,
    busy: Counter,
    failed: Counter,
    held: Counter,
    sold: Counter,
    sell_outs: Counter,
}

impl Meter {
    /// All of them, each with 0.
    pub(crate) fn new() -> Self {
        describe_counter!("orders_holds_total", "Wishes to hold places, by what became of them.");
        describe_counter!("orders_places_held_total", "Places that holds took.");
        describe_counter!("orders_places_sold_total", "Places that were sold: paid, or free of charge.");
        describe_counter!("orders_sell_outs_total", "Times that the last free place of a listing was taken.");
        let holds = |outcome| counter!("orders_holds_total", "outcome" => outcome);
        Self {
            granted: holds("granted"),
            repeated: holds("repeated"),
            hold_limit: holds("hold_limit"),
            free_limit: holds("free_limit"),
            hold_pause: holds("hold_pause"),
            sold_out: holds("sold_out"),
            over_limit: holds("over_limit"),
            own_ticket: holds("own_ticket"),
            not_on_sale: holds("not_on_sale"),
            sale_ended: holds("sale_ended"),
            busy: holds("busy"),
            failed: holds("failed"),
            held: counter!("orders_places_held_total"),
            sold: counter!("orders_places_sold_total"),
            sell_outs: counter!("orders_sell_outs_total"),
        }
    }

    /// A wish that came to the places, for so many of them.
    pub(crate) fn answered(&self, held: &Result<Held, HoldError>, places: u32) {
        let outcome = match held {
            Ok(Held::New) => {
                self.held.increment(places.into());
                &self.granted
            }
            Ok(Held::Before) => &self.repeated,
            Err(HoldError::TooMany(TooMany::Places { .. } | TooMany::AtOnce { .. })) => &self.hold_limit,
            Err(HoldError::TooMany(TooMany::Free { .. })) => &self.free_limit,
            Err(HoldError::TooMany(TooMany::RunOut { .. })) => &self.hold_pause,
            Err(HoldError::SoldOut(_)) => &self.sold_out,
            Err(HoldError::Busy) => &self.busy,
            Err(HoldError::NotOnSale) => &self.not_on_sale,
            Err(HoldError::Store(_)) => &self.failed,
        };
        outcome.increment(1);
    }

    /// A wish that was refused before.
    pub(crate) fn refused(&self, refusal: Refusal) {
        let outcome = match refusal {
            Refusal::OwnTicket => &self.own_ticket,
            Refusal::OverLimit => &self.over_limit,
            Refusal::NotOnSale => &self.not_on_sale,
            Refusal::SaleEnded => &self.sale_ended,
        };
        outcome.increment(1);
    }

    /// An inventory was written.
    pub(crate) fn written(&self, before: &Inventory, after: &Inventory) {
        self.sold.increment(after.sold.saturating_sub(before.sold).into());
        self.sell_outs.increment(u64::from(before.left() > 0 && after.left() == 0));
    }
}
