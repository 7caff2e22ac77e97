//! A listing: what is on sale, and who may change what about it. Pure: no clock, no I/O.

use common::clock::Time;
use common::events::TicketEvent;
use common::events::tickets::{
    Listing, RefundPolicy, TicketCreated, TicketSnapshot, TicketUpdated, TicketWithdrawn, sale_is_over,
};
use common::id::{TicketId, UserId};
use common::money::Money;
use common::text::searchable_words;
use common::zone::Zone;
use serde::{Deserialize, Serialize};

use crate::fields::{Description, ImageUrl, PerOrderLimit, Quantity, SaleEndsAt, StartsAt, Title, Venue};
use crate::places::Places;
use crate::shelf::Shelf;

/// What a seller says about a listing, and may change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// What it is called.
    pub title: Title,
    /// The price of one place.
    pub price: Money,
    /// How many places there are.
    pub quantity: Quantity,
    /// What there is to say about it.
    pub description: Option<Description>,
    /// Where it takes place.
    pub venue: Option<Venue>,
    /// When it starts.
    pub starts_at: Option<StartsAt>,
    /// In which time zone it takes place; that of the business, where nothing is said.
    #[serde(default)]
    pub time_zone: Option<Zone>,
    /// When the sale ends; [`Offer::sale_end`] where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale_ends_at: Option<SaleEndsAt>,
    /// The most places one order may hold.
    pub per_order_limit: Option<PerOrderLimit>,
    /// A picture of it.
    pub image_url: Option<ImageUrl>,
    /// Whether paid orders may be given back.
    pub refund_policy: RefundPolicy,
    /// The words by which a search finds it; none where a build wrote it that knew of none. They stand here since such a build,
    /// when it changes the rest, takes them out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<String>>,
}

/// The most words of a listing that are looked at, those of its title and venue first.
const MOST_WORDS: usize = 1_000;

impl Offer {
    /// The same with the words by which it is found.
    #[must_use]
    pub fn findable(self) -> Self {
        let (venue, description) = (self.venue.as_ref(), self.description.as_ref());
        let texts = [Some(self.title.as_str()), venue.map(Venue::as_str), description.map(Description::as_str)];
        let text = texts.into_iter().flatten().collect::<Vec<_>>().join("\n");
        let words = searchable_words(&text).into_iter().take(MOST_WORDS).collect();
        Self { words: Some(words), ..self }
    }

    /// When the sale ends: when the seller says, else when the show starts; never if it has no start.
    pub fn sale_end(&self) -> Option<Time> {
        self.sale_ends_at.map(SaleEndsAt::time).or(self.starts_at.map(StartsAt::time))
    }
}

/// Why a listing is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It is somebody else's.
    #[error("only the seller may change a ticket")]
    NotOwner,
    /// It was taken from sale.
    #[error("this ticket was withdrawn from sale")]
    Withdrawn,
    /// The account of its seller was closed.
    #[error("this ticket is off sale, as the account of its seller was closed")]
    Suspended,
    /// More places are held and sold than there would be.
    #[error("{held} places are held and {sold} are sold; there cannot be fewer")]
    QuantityBelowTaken {
        /// How many are held.
        held: u32,
        /// How many are sold.
        sold: u32,
    },
    /// Somebody is about to pay the old price.
    #[error("{held} places are held; price and currency can change when none is")]
    PriceLocked {
        /// How many are held.
        held: u32,
    },
    /// Money of one currency came in already.
    #[error("{sold} places are sold; the currency cannot change any more")]
    CurrencyLocked {
        /// How many are sold.
        sold: u32,
    },
}

/// A listing after a change, and the event that says so.
pub type Changed = (Ticket, TicketEvent);

/// A listing in the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticket {
    /// Its id.
    pub id: TicketId,
    /// Who sells it.
    pub seller_id: UserId,
    /// What the seller says about it.
    pub offer: Offer,
    /// Whether it was taken from sale.
    pub withdrawn: bool,
    /// Whether it is off sale because the account of its seller was closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// When it was listed.
    pub created_at: Time,
    /// Where it stands in the catalogue.
    pub shelf: Shelf,
    /// The counts that were known when the quantity was last set: newer ones have taken notice of it.
    pub resized_at: i64,
    /// The counts.
    #[serde(skip_serializing_if = "Places::are_stored")]
    pub places: Places,
}

impl Ticket {
    /// Puts an offer on sale.
    pub fn list(id: TicketId, seller_id: UserId, offer: Offer, now: Time) -> Changed {
        let ticket = Self {
            id,
            seller_id,
            withdrawn: false,
            suspended: false,
            created_at: now,
            shelf: Shelf::of(offer.starts_at, offer.sale_end(), now),
            resized_at: 0,
            places: Places::opening(offer.quantity),
            offer: offer.findable(),
        };
        let event = TicketCreated { listing: ticket.listing() }.into();
        (ticket, event)
    }

    /// Lets only the seller pass.
    ///
    /// # Errors
    /// [`TicketError::NotOwner`].
    pub fn check_owner(&self, user: UserId) -> Result<(), TicketError> {
        if self.seller_id == user { Ok(()) } else { Err(TicketError::NotOwner) }
    }

    /// Replaces the offer; `None` if it is the same.
    ///
    /// # Errors
    /// If it was withdrawn, or orders stand against the change.
    pub fn edit(&self, offer: Offer, now: Time) -> Result<Option<Changed>, TicketError> {
        if self.withdrawn {
            return Err(TicketError::Withdrawn);
        }
        if self.suspended {
            return Err(TicketError::Suspended);
        }
        let offer = offer.findable();
        if offer == self.offer.clone().findable() {
            return Ok(None);
        }
        self.check_quantity(&offer)?;
        self.check_price(offer.price)?;
        let resized_at = if offer.quantity == self.offer.quantity { self.resized_at } else { self.places.version };
        let shelf = Shelf::of(offer.starts_at, offer.sale_end(), now);
        let next = Self { shelf, resized_at, offer, ..self.clone() };
        let event = TicketUpdated { listing: next.listing() }.into();
        Ok(Some((next, event)))
    }

    fn check_quantity(&self, offer: &Offer) -> Result<(), TicketError> {
        let Places { held, sold, .. } = self.places;
        // A quantity that stays is no demand, even if the authority had to allow for more.
        let stays = offer.quantity == self.offer.quantity;
        if stays || offer.quantity.get() >= self.places.taken() {
            Ok(())
        } else {
            Err(TicketError::QuantityBelowTaken { held, sold })
        }
    }

    fn check_price(&self, price: Money) -> Result<(), TicketError> {
        let Places { held, sold, .. } = self.places;
        if price != self.offer.price && held > 0 {
            return Err(TicketError::PriceLocked { held });
        }
        if price.currency() != self.offer.price.currency() && sold > 0 {
            return Err(TicketError::CurrencyLocked { sold });
        }
        Ok(())
    }

    /// Takes it from sale; `None` if it was before.
    pub fn withdraw(&self) -> Option<Changed> {
        let next = Self { withdrawn: true, shelf: Shelf::withdrawn(self.offer.starts_at), ..self.clone() };
        let event = TicketWithdrawn { ticket_id: self.id, seller_id: self.seller_id };
        (!self.withdrawn).then(|| (next, event.into()))
    }

    /// Takes it from sale because the account of its seller was closed; `None` if it is off sale for good already.
    pub fn suspend(&self) -> Option<Changed> {
        let next = Self { suspended: true, shelf: Shelf::withdrawn(self.offer.starts_at), ..self.clone() };
        let event = TicketUpdated { listing: next.listing() };
        (!self.withdrawn && !self.suspended).then(|| (next, event.into()))
    }

    /// How many places there are: as the authority says, once it knows what the seller wants.
    pub fn quantity(&self) -> u32 {
        if self.places.version > self.resized_at { self.places.capacity } else { self.offer.quantity.get() }
    }

    /// How many places are free.
    pub fn available(&self) -> u32 {
        self.quantity().saturating_sub(self.places.taken())
    }

    /// Whether places may be held at `now`, as long as some are free.
    pub fn on_sale(&self, now: Time) -> bool {
        !self.withdrawn && !self.suspended && self.places.on_sale && !self.sale_is_over(now)
    }

    /// Whether its sale has ended by itself at `now`.
    pub fn sale_is_over(&self, now: Time) -> bool {
        sale_is_over(self.offer.sale_end(), now)
    }

    /// The event that tells its present state.
    pub fn told(&self) -> TicketEvent {
        TicketSnapshot { listing: self.listing(), withdrawn: self.withdrawn }.into()
    }

    fn listing(&self) -> Listing {
        let offer = self.offer.clone();
        Listing {
            ticket_id: self.id,
            seller_id: self.seller_id,
            title: offer.title.into(),
            price: offer.price,
            quantity: offer.quantity.get(),
            per_order_limit: offer.per_order_limit.map(PerOrderLimit::get),
            venue: offer.venue.map(Into::into),
            starts_at: offer.starts_at.map(StartsAt::time),
            time_zone: offer.time_zone,
            sale_ends_at: offer.sale_ends_at.map(SaleEndsAt::time),
            refund_policy: offer.refund_policy,
            suspended: self.suspended,
        }
    }
}

#[cfg(test)]
mod tests;
