//! The catalogue as people see it, kept ready: pages of single listings and pages of the list.
//!
//! What this process changes, it shows at once. What a seller changes at another replica is shown as soon as its event
//! arrives, and counts, where people look all the time, within [`LISTINGS`]`.least` (a page of the list: [`LISTS`]`.least`)
//! after they are in the catalogue. From the moment on at which a sale ends, no copy of before is shown. Who looks first after a while, or if events do not arrive, sees what is `most` old at the most.

use std::sync::Arc;
use std::time::Duration;

use common::bus::Received;
use common::clock::{SharedClock, Time};
use common::events::{DomainEvent, InventoryEvent, TicketEvent};
use common::http::cached::{Fitness, Kept, Pace, ReadCache, Representation, Weighed};
use common::http::{Overloaded, Page, Paging, Problem};
use common::id::TicketId;
use common::service::{Context, StartError};
use common::store::{StoreError, Versioned};
use common::telemetry::stopwatch;
use common::zone::Zone;
use tokio::time::Instant;

use crate::catalogue::{Position, Wanted};
use crate::news::News;
use crate::store::TicketStore;
use crate::ticket::Ticket;
use crate::view::TicketBody;

const LISTINGS: Pace =
    Pace { least: Duration::from_millis(100), renew: Duration::from_secs(2), most: Duration::from_secs(3) };
const LISTS: Pace =
    Pace { least: Duration::from_millis(500), renew: Duration::from_secs(2), most: Duration::from_secs(3) };

/// How much memory the copies may take, in bytes.
const LISTINGS_BYTES: u64 = 32 * 1024 * 1024;
const LISTS_BYTES: u64 = 16 * 1024 * 1024;

/// A listing's page, and the versions it shows.
pub(crate) struct Shown {
    version: i64,
    places: i64,
    pub(crate) page: Dated,
}

/// A page that is right until the first sale ends that it shows as going on.
pub(crate) struct Dated {
    until: Option<Time>,
    pub(crate) answer: Representation,
}

impl Weighed for Shown {
    fn weight(&self) -> u32 {
        self.page.weight()
    }
}

impl Weighed for Dated {
    fn weight(&self) -> u32 {
        self.answer.weight()
    }
}

/// What tells pages of the list apart.
type ListKey = (Wanted, Option<Position>, u32);

#[derive(Debug, thiserror::Error)]
enum Unloaded {
    #[error("there is none")]
    Missing,
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Where pages are loaded from.
struct Shop {
    store: TicketStore,
    zone: Zone,
    clock: SharedClock,
}

impl Shop {
    /// What a page is worth of which `fitness` was heard.
    fn judged(&self, page: &Dated, fitness: Fitness) -> Fitness {
        if page.until.is_some_and(|until| self.clock.now() >= until) { Fitness::Wrong } else { fitness }
    }
}

/// The pages of the catalogue.
pub(crate) struct Pages {
    shop: Arc<Shop>,
    news: Arc<News>,
    listings: ReadCache<TicketId, Shown>,
    lists: ReadCache<ListKey, Dated>,
}

impl Pages {
    /// None kept yet; from now on this process hears of every change.
    ///
    /// # Errors
    /// If a stream cannot be followed.
    pub(crate) async fn open(ctx: &Context, store: TicketStore) -> Result<Self, StartError> {
        let news = Arc::new(News::new(stopwatch()));
        follow::<TicketEvent>(ctx, &news, News::listing).await?;
        follow::<InventoryEvent>(ctx, &news, News::places).await?;
        let gate = || ctx.admission().reads.clone();
        let listings = ReadCache::new(LISTINGS_BYTES, LISTINGS, gate());
        let lists = ReadCache::new(LISTS_BYTES, LISTS, gate());
        let shop = Arc::new(Shop { store, zone: ctx.settings().business_zone(), clock: ctx.clock() });
        Ok(Self { shop, news, listings, lists })
    }

    /// The page of a listing.
    ///
    /// # Errors
    /// 404 if there is none; the store's.
    pub(crate) async fn listing(&self, id: TicketId) -> Result<Arc<Kept<Shown>>, Problem> {
        let judge = |Kept { value, began, .. }: &Kept<Shown>| {
            self.shop.judged(&value.page, self.news.of_listing(id, value.version, value.places, *began))
        };
        let shop = self.shop.clone();
        let load = move || load_listing(shop.clone(), id);
        self.listings.get(id, judge, load).await.map_err(problem)
    }

    /// A page of the list.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn list(
        &self,
        wanted: Wanted,
        after: Option<Position>,
        paging: Paging,
    ) -> Result<Arc<Kept<Dated>>, Problem> {
        let key: ListKey = (wanted, after, paging.limit);
        let (shop, wanted) = (self.shop.clone(), key.clone());
        let load = move || load_list(shop.clone(), wanted.clone(), paging.clone());
        let judge = |kept: &Kept<Dated>| self.shop.judged(&kept.value, self.news.of_list(kept.began));
        self.lists.get(key, judge, load).await.map_err(problem)
    }

    /// This process has written a listing: whoever asks it from now on sees that.
    pub(crate) fn written(&self, ticket: &Versioned<Ticket>) {
        let now = stopwatch();
        self.news.listing(ticket.value.id, ticket.version, now);
        self.news.changed_here(now);
    }

    /// This process has written the counts of a listing.
    pub(crate) fn counted(&self, id: TicketId, version: i64) {
        self.news.places(id, version, stopwatch());
    }

    /// This process has changed the order of the list.
    pub(crate) fn reordered(&self) {
        self.news.changed_here(stopwatch());
    }
}

/// Tells `news` of every event of a domain whose aggregates have the listings' ids, from now on.
async fn follow<E: DomainEvent>(
    ctx: &Context,
    news: &Arc<News>,
    tell: fn(&News, TicketId, i64, Instant),
) -> Result<(), StartError> {
    let news = news.clone();
    let learn = move |received: Received<E>| {
        if let Ok(id) = received.record.aggregate.parse() {
            tell(&news, id, received.record.version, stopwatch());
        }
    };
    Ok(ctx.follow(ctx.now(), learn).await?)
}

async fn load_listing(shop: Arc<Shop>, id: TicketId) -> Result<Shown, Unloaded> {
    let Shop { store, zone, clock } = &*shop;
    let ticket = store.get(id).await?.ok_or(Unloaded::Missing)?;
    let (version, places, now) = (ticket.version, ticket.value.places.version, clock.now());
    let until = first_end([&ticket], now);
    let answer = Representation::json(Some(version), &TicketBody::of(ticket, zone, now))?;
    Ok(Shown { version, places, page: Dated { until, answer } })
}

async fn load_list(shop: Arc<Shop>, key: ListKey, paging: Paging) -> Result<Dated, Unloaded> {
    let Shop { store, zone, clock } = &*shop;
    let (wanted, after, _) = key;
    let found = store.list(&wanted, after, paging.fetch()).await?;
    let now = clock.now();
    let until = first_end(&found, now);
    let page = Page::from_rows(found, &paging, Position::of).map(|ticket| TicketBody::of(ticket, zone, now));
    Ok(Dated { until, answer: Representation::json(None, &page)? })
}

/// When the first of these sales ends that goes on at `now`.
fn first_end<'t>(tickets: impl IntoIterator<Item = &'t Versioned<Ticket>>, now: Time) -> Option<Time> {
    let go_on = tickets.into_iter().filter(|ticket| !ticket.value.sale_is_over(now));
    go_on.filter_map(|ticket| ticket.value.offer.sale_end()).min()
}

fn problem(error: Arc<Unloaded>) -> Problem {
    match &*error {
        Unloaded::Missing => Problem::not_found(),
        Unloaded::Overloaded(overloaded) => (*overloaded).into(),
        Unloaded::Store(store) => store.problem(error.clone()),
        Unloaded::Json(_) => Problem::internal(error),
    }
}
