//! Rebuilding projections: what a service keeps of others' aggregates is thrown away, and its next start reads their
//! streams from the beginning.

use bson::{Document, doc};

use super::StartError;
use super::frame::{connect_bus, connect_database};
use crate::bus::Bus;
use crate::service::Service;
use crate::settings::Settings;
use crate::store::{Database, StoreError};

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

/// Why projections are not rebuilt. Nothing was changed.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{0} has no projections")]
    NoProjections(&'static str),
    #[error("{service} runs: it listens to {domain}; stop it first")]
    Runs { service: &'static str, domain: &'static str },
    #[error("the stream of {0} does not begin with its first event any more, so nothing can be rebuilt from it")]
    Incomplete(&'static str),
}

impl From<Refused> for StartError {
    fn from(refused: Refused) -> Self {
        Self::other(refused)
    }
}

/// Throws away the projections of a service that does not run, so that its next start builds them anew. Answers which.
///
/// # Errors
/// [`StartError`] if the service runs, has no projections, or a stream has lost events; and if a server does not answer.
pub async fn rebuild<'s>(service: &'s Service, settings: &Settings) -> Result<&'s [ProjectionOf], StartError> {
    let (name, projections) = (service.name(), service.projections());
    let client = connect_database(settings).await?;
    let bus = connect_bus(settings).await?;
    check(&bus, name, projections).await?;
    let database = client.database(&bus.namespace().database(name));
    for projection in projections {
        // The consumer first: without its documents, it would go on in the middle and wait for their first events for ever.
        bus.forget_consumer(projection.domain, name).await?;
        clear(&database, projection).await?;
    }
    Ok(projections)
}

async fn check(bus: &Bus, service: &'static str, projections: &[ProjectionOf]) -> Result<(), StartError> {
    if projections.is_empty() {
        return Err(Refused::NoProjections(service).into());
    }
    for &ProjectionOf { domain, .. } in projections {
        if bus.is_heard(domain, service).await? {
            return Err(Refused::Runs { service, domain }.into());
        }
        if !bus.is_complete(domain).await? {
            return Err(Refused::Incomplete(domain).into());
        }
    }
    Ok(())
}

async fn clear(database: &Database, projection: &ProjectionOf) -> Result<(), StoreError> {
    let collection = database.collection::<Document>(projection.collection);
    match projection.gate {
        None => {
            collection.delete_many(doc! {}).await?;
        }
        Some(gate) => {
            collection.update_many(doc! {}, doc! { "$set": { gate: 0_i64 } }).await?;
        }
    }
    Ok(())
}
