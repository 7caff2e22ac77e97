//! What no API shows, read from the databases: what still waits there, and what the inventories count. It reads plain documents,
//! as the types of the services are what is being checked.

use std::collections::BTreeMap;

use bson::{Document, doc};
use futures::TryStreamExt;

use super::history::{Counted, History};
use super::world::World;

/// The services that keep something, and their aggregates.
const KEEPING: [(&str, &[&str]); 5] = [
    ("auth", &["users", "sessions", "api_keys"]),
    ("tickets", &["tickets"]),
    ("orders", &["orders", "inventories"]),
    ("expiration", &[]),
    ("payments", &["payments"]),
];

/// The counts of a run's listings.
pub(super) async fn inventories(world: &World, history: &History) -> Result<BTreeMap<String, Counted>, String> {
    let mut counts = BTreeMap::new();
    for ticket in history.capacities.keys() {
        for inventory in find(world, "orders", "inventories", doc! { "_id": ticket }).await? {
            if let (Some(held), Some(sold)) = (count(&inventory, "held"), count(&inventory, "sold")) {
                counts.insert(ticket.clone(), Counted { held, sold });
            }
        }
    }
    Ok(counts)
}

/// Of the orders some of whose guests were let in: how many, and how many of them keep their places although the money went back.
pub(super) async fn guests(world: &World, history: &History) -> Result<BTreeMap<String, (u32, u32)>, String> {
    let mut counts = BTreeMap::new();
    for ticket in history.capacities.keys() {
        for order in find(world, "orders", "orders", doc! { "ticketId": ticket, "admitted": { "$gt": 0 } }).await? {
            let id = order.get_str("_id").unwrap_or_default().to_owned();
            let count = |field: &str| count(&order, field).unwrap_or_default();
            counts.insert(id, (count("admitted"), count("inside")));
        }
    }
    Ok(counts)
}

fn count(document: &Document, field: &str) -> Option<u32> {
    match document.get(field)? {
        bson::Bson::Int32(count) => u32::try_from(*count).ok(),
        bson::Bson::Int64(count) => u32::try_from(*count).ok(),
        _ => None,
    }
}

/// The dead letters of all services, each as one line.
pub(super) async fn dead_letters(world: &World) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for (service, _) in KEEPING {
        for letter in find(world, service, "dead_letters", doc! {}).await? {
            let text = |field: &str| letter.get_str(field).unwrap_or_default();
            lines.push(format!("{service}: {} {}: {}", text("_id"), text("subject"), text("error")));
        }
    }
    Ok(lines)
}

/// Events that are parked, and aggregates with events that nobody has published, each kind as one line.
pub(super) async fn waiting(world: &World) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for (service, aggregates) in KEEPING {
        for event in find(world, service, "parked_events", doc! {}).await? {
            let text = |field: &str| event.get_str(field).unwrap_or_default();
            lines.push(format!("{service}: parked as {}: {}, {}", text("cause"), text("_id"), text("error")));
        }
        for name in aggregates {
            let unpublished = find(world, service, name, doc! { "outbox.0": { "$exists": true } }).await?;
            let ids: Vec<_> = unpublished.iter().filter_map(|document| document.get_str("_id").ok()).collect();
            if !ids.is_empty() {
                lines.push(format!("{service}: {name} with events that are not published: {ids:?}"));
            }
        }
    }
    Ok(lines)
}

async fn find(world: &World, service: &str, collection: &str, filter: Document) -> Result<Vec<Document>, String> {
    let found = world.database(service).collection::<Document>(collection).find(filter).limit(20).await;
    let found = found.map_err(|error| error.to_string())?;
    found.try_collect().await.map_err(|error| error.to_string())
}
