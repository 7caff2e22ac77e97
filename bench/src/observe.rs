//! Looking at what there is, through the public API as each buyer; and at the outboxes, which nobody is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bson::{Document, doc};
use common::id::{OrderId, PassId, TicketId, UserId};
use futures::TryStreamExt;
use mongodb::{Client, Collection, IndexModel};
use serde::Deserialize;

use crate::Result;
use crate::buyers::Buyer;
use crate::check::{Seen, SeenOrder, Violation, check};
use crate::docket::Docket;
use crate::history::{History, PayAnswer};
use crate::http::{Answer, Call, Connection, Silence};
use crate::load::{Until, Visit, closed};
use crate::platform::{Counts, orders, parse, passes, ticket_page};
use crate::run::Bench;
use crate::timing::eventually;

/// How long what is still on its way may take.
const SETTLING: Duration = Duration::from_secs(60);

/// There is an entry in the outbox.
const OUTBOX: &str = "outbox.0";

/// Events that are not published in this time never are.
const STALLED: Duration = Duration::from_secs(30);

const READERS: usize = 16;

/// Waits until the ticket pages say what was promised. What never comes is for [`verify`] to report.
pub(crate) async fn settle(bench: &Bench<'_>, history: &History) {
    let promised = history.promised();
    let limit = tokio::time::timeout(SETTLING, async {
        for (ticket, expected) in promised {
            let shown = eventually("the ticket page shows what was promised", SETTLING, || async {
                let counts = bench.platform.counts(ticket).await.ok()?;
                ((counts.held, counts.sold) == expected).then_some(())
            });
            if shown.await.is_err() {
                return;
            }
        }
    });
    let _reported_by_verify = limit.await;
}

/// Everything that is wrong after a sale.
pub(crate) async fn verify(bench: &Bench<'_>, history: &History) -> Result<Vec<Violation>> {
    let unpublished = published(&bench.docket.mongodb).await?;
    let seen = look(bench, history).await?;
    Ok(check(history, &Seen { unpublished, ..seen }))
}

async fn look(bench: &Bench<'_>, history: &History) -> Result<Seen> {
    let mut tickets = BTreeMap::new();
    for ticket in history.capacity.keys() {
        tickets.insert(*ticket, counts(bench, *ticket).await?);
    }
    let buyers = buyers(bench, history).await?;
    let orders = orders_of(bench, &buyers, history).await?;
    let passes = passes_of(bench, &buyers, &orders).await?;
    let charges = if history.payments.is_empty() { BTreeMap::new() } else { charges(bench.docket).await? };
    Ok(Seen { tickets, orders, passes, charges, unpublished: BTreeMap::new() })
}

async fn counts(bench: &Bench<'_>, ticket: TicketId) -> Result<Counts> {
    bench.platform.ask(&ticket_page(ticket), 200).await
}

/// With tokens that live long enough for all that is asked of them now.
async fn buyers(bench: &Bench<'_>, history: &History) -> Result<BTreeMap<UserId, Buyer>> {
    let ids: BTreeSet<UserId> = history.attempts.iter().map(|attempt| attempt.buyer).collect();
    let buyers = bench.mint.sign_in(ids.into_iter().collect()).await?;
    Ok(buyers.into_iter().map(|buyer| (buyer.id, buyer)).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed<T> {
    items: Vec<T>,
    #[serde(default)]
    next_cursor: Option<String>,
}

async fn orders_of(
    bench: &Bench<'_>,
    buyers: &BTreeMap<UserId, Buyer>,
    history: &History,
) -> Result<BTreeMap<UserId, Vec<SeenOrder>>> {
    let answers = fetch_all(bench, buyers.values().map(orders).collect()).await?;
    let mut found = BTreeMap::new();
    for (buyer, answer) in buyers.keys().zip(answers) {
        let page: Listed<SeenOrder> = parse(&answer, 200)?;
        if page.next_cursor.is_some() {
            return Err("a buyer has more orders than one page shows".into());
        }
        let ours = page.items.into_iter().filter(|order| history.capacity.contains_key(&order.ticket_id));
        found.insert(*buyer, ours.collect());
    }
    Ok(found)
}

#[derive(Deserialize)]
struct ShownPass {
    id: PassId,
}

async fn passes_of(
    bench: &Bench<'_>,
    buyers: &BTreeMap<UserId, Buyer>,
    orders: &BTreeMap<UserId, Vec<SeenOrder>>,
) -> Result<BTreeMap<OrderId, Vec<PassId>>> {
    let of = orders.iter().flat_map(|(buyer, orders)| orders.iter().map(move |order| (buyer, order)));
    let wanted: Vec<(OrderId, Call)> = of
        .filter(|(_, order)| order.status == "complete")
        .filter_map(|(buyer, order)| Some((order.id, passes(buyers.get(buyer)?, order.id))))
        .collect();
    let (ids, calls): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
    let answers = fetch_all(bench, calls).await?;
    let mut found = BTreeMap::new();
    for (id, answer) in ids.into_iter().zip(answers) {
        let listed: Listed<ShownPass> = parse(&answer, 200)?;
        found.insert(id, listed.items.into_iter().map(|pass| pass.id).collect());
    }
    Ok(found)
}

struct Fetch(Vec<Call>);

impl Visit for Fetch {
    type Outcome = std::result::Result<Answer, Silence>;

    async fn visit(&self, connection: &mut Connection, nth: usize) -> Self::Outcome {
        connection.send(&self.0[nth]).await
    }
}

/// The answers in the order of the calls.
async fn fetch_all(bench: &Bench<'_>, calls: Vec<Call>) -> Result<Vec<Answer>> {
    let count = calls.len();
    let mut visits = closed(bench.platform.address, READERS, Until::Count(count), Fetch(calls)).await?;
    visits.sort_by_key(|visit| visit.nth);
    Ok(visits.into_iter().map(|visit| visit.outcome).collect::<std::result::Result<_, _>>()?)
}

#[derive(Deserialize)]
struct Charged {
    charges: Vec<Charge>,
}

#[derive(Deserialize)]
struct Charge {
    status: String,
    metadata: BTreeMap<String, String>,
}

/// How often the stand-in took money for each order.
async fn charges(docket: &Docket) -> Result<BTreeMap<OrderId, u32>> {
    let answer = Connection::to(docket.stripe).send(&Call::get("/test/charges")).await?;
    let charged: Charged = parse(&answer, 200)?;
    let mut counted = BTreeMap::new();
    for charge in charged.charges.iter().filter(|charge| charge.status == "succeeded") {
        let order = charge.metadata.get("order").ok_or("a charge that names no order")?;
        *counted.entry(order.parse()?).or_default() += 1;
    }
    Ok(counted)
}

/// What is left in the outboxes once it does not get less any more, by collection.
async fn published(client: &Client) -> Result<BTreeMap<String, u64>> {
    let outboxes = outboxes(client).await?;
    let mut left = unpublished(&outboxes).await?;
    while !left.is_empty() {
        let before: u64 = left.values().sum();
        let fewer = eventually("events are published", STALLED, || async {
            let left = unpublished(&outboxes).await.ok()?;
            (left.values().sum::<u64>() < before).then_some(left)
        });
        match fewer.await {
            Ok(fewer) => left = fewer,
            Err(_) => break,
        }
    }
    Ok(left)
}

/// The collections that have an index of outboxes which are not empty.
async fn outboxes(client: &Client) -> Result<Vec<Collection<Document>>> {
    let mut found = Vec::new();
    for name in client.list_database_names().await?.into_iter().filter(|name| name.starts_with("docket_")) {
        let database = client.database(&name);
        for collection in database.list_collection_names().await? {
            let collection = database.collection::<Document>(&collection);
            let indexes: Vec<IndexModel> = collection.list_indexes().await?.try_collect().await?;
            if indexes.iter().any(is_outbox) {
                found.push(collection);
            }
        }
    }
    if found.is_empty() { Err("Docket has no outboxes".into()) } else { Ok(found) }
}

fn is_outbox(index: &IndexModel) -> bool {
    let filter = index.options.as_ref().and_then(|options| options.partial_filter_expression.as_ref());
    filter.is_some_and(|filter| filter.contains_key(OUTBOX))
}

async fn unpublished(outboxes: &[Collection<Document>]) -> Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    for collection in outboxes {
        let documents = collection.count_documents(doc! { OUTBOX: { "$exists": true } }).await?;
        if documents > 0 {
            found.insert(collection.namespace().to_string(), documents);
        }
    }
    Ok(found)
}

/// How many payments were answered well.
pub(crate) fn paid(history: &History) -> usize {
    history.payments.values().filter(|answer| **answer == PayAnswer::Paid).count()
}
