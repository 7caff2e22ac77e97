//! Rebuilding projections: what a service keeps of others' aggregates is thrown away, and their owners tell it anew.
//!
//! Streams drop their old events, so a projection is not built from all that ever happened: the owners publish a snapshot of
//! each aggregate, in its present version. The next start of the service hears these after what it had not heard yet. Until
//! then it is not ready, and it does not start before all is told (`rebuilding`): whatever it answered would be answered
//! without its projections.

use std::pin::pin;

use bson::{Document, doc};
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;

use super::frame::{connect_bus, connect_database};
use super::rebuilding::Marks;
use super::republish::Telling;
use super::{Service, StartError, Told};
use crate::bus::Bus;
use crate::settings::Settings;
use crate::store::{Database, StoreError};

/// How many documents are cleared by one command. None takes longer for a large collection than for a small one.
const PAGE: usize = 1_000;

/// What a service keeps of the aggregates of one domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectionOf {
    /// The domain whose events write it.
    pub domain: &'static str,
    /// Where it is.
    pub collection: &'static str,
    /// The field with the version of the last event, if the projection is only a part of the documents.
    pub gate: Option<&'static str>,
}

/// A projection that was thrown away, and what its owner told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// The projection.
    pub projection: ProjectionOf,
    /// What was told for it.
    pub told: Told,
}

/// Why projections are not rebuilt. Nothing was changed.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{0} has no projections")]
    NoProjections(&'static str),
    #[error("{service} runs: it listens to {domain}; stop it first")]
    Runs { service: &'static str, domain: &'static str },
    #[error("no service here tells what {0} are, so nothing can be rebuilt from them")]
    Untold(&'static str),
}

impl From<Refused> for StartError {
    fn from(refused: Refused) -> Self {
        Self::other(refused)
    }
}

/// Throws away the projections of a service that does not run, and has the owners among `services` tell their aggregates' present
/// state, so that its next start builds them anew. Answers which.
///
/// # Errors
/// [`StartError`] if the service runs, has no projections, nobody tells what they are of, or a stream has no room for that; and
/// if a server does not answer.
/// What was thrown away by then stays so, and the service does not start before it was done again.
pub async fn rebuild(service: &Service, services: &[Service], settings: &Settings) -> Result<Vec<Rebuilt>, StartError> {
    let (name, projections) = (service.name(), service.projections());
    let client = connect_database(settings).await?;
    let bus = connect_bus(settings).await?;
    check(&bus, name, projections, services).await?;
    let database = client.database(&bus.namespace().database(name));
    let telling = Telling { client, bus: bus.clone(), services, now: settings.clock().now() };
    for projection in projections {
        telling.check_room(projection.domain).await?;
    }
    let marks = Marks::of(name, &database);
    for projection in projections {
        marks.begin(projection.domain).await?;
        clear(&database, projection).await?;
    }
    let mut rebuilt = Vec::with_capacity(projections.len());
    for &projection in projections {
        let told = telling.tell(projection.domain).await?;
        let (_, last) = bus.range(projection.domain).await?;
        marks.told(projection.domain, last).await?;
        rebuilt.push(Rebuilt { projection, told });
    }
    Ok(rebuilt)
}

async fn check(
    bus: &Bus,
    service: &'static str,
    projections: &[ProjectionOf],
    services: &[Service],
) -> Result<(), StartError> {
    if projections.is_empty() {
        return Err(Refused::NoProjections(service).into());
    }
    for &ProjectionOf { domain, .. } in projections {
        if bus.is_heard(domain, service).await? {
            return Err(Refused::Runs { service, domain }.into());
        }
        if !services.iter().any(|service| service.owned().iter().any(|owned| owned.domain == domain)) {
            return Err(Refused::Untold(domain).into());
        }
    }
    Ok(())
}

async fn clear(database: &Database, projection: &ProjectionOf) -> Result<(), StoreError> {
    #[derive(Deserialize)]
    struct Row {
        #[serde(rename = "_id")]
        id: String,
    }
    let collection = database.collection::<Document>(projection.collection);
    let rows = collection.beside_states::<Row>();
    let rows = rows.find(doc! { "_id": { "$gt": "" } }).sort(doc! { "_id": 1 }).projection(doc! { "_id": 1 });
    let mut pages = pin!(rows.stream().await?.map_ok(|row| row.id).try_chunks(PAGE));
    while let Some(page) = pages.next().await {
        let these = doc! { "_id": { "$in": page.map_err(|broken| broken.1)? } };
        match projection.gate {
            None => {
                collection.delete_many(these).await?;
            }
            Some(gate) => {
                collection.update_many(these, doc! { "$set": { gate: 0_i64 } }).await?;
            }
        }
    }
    Ok(())
}
