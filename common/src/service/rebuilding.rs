//! Marks of projections that are being rebuilt, beside these in the database of their service.
//!
//! A projection that was thrown away is not to be answered from. So the mark is written first; a service that finds one of which
//! not all was told does not start. One that finds all told starts, as it hears that by running, and is not ready until it has.

use std::time::Duration;

use bson::doc;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::bus::{Bus, BusError};
use crate::http::Readiness;
use crate::store::{Collection, Database, StoreError};

const COLLECTION: &str = "rebuilding";
/// How often a service looks how far it has heard.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A projection of the aggregates of a domain is being rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mark {
    #[serde(rename = "_id")]
    domain: String,
    /// The last message of what was told; none before all was.
    told_to: Option<i64>,
}

/// A service was left without projections.
#[derive(Debug, thiserror::Error)]
#[error("the rebuilding of what {service} keeps of {domain} was broken off: run `docket rebuild {service}` again")]
struct BrokenOff {
    service: &'static str,
    domain: String,
}

/// The marks of one service.
#[derive(Clone)]
pub(super) struct Marks {
    marks: Collection<Mark>,
    service: &'static str,
}

impl Marks {
    pub(super) fn of(service: &'static str, database: &Database) -> Self {
        Self { marks: database.collection(COLLECTION), service }
    }

    /// Notes that the projection of this domain is thrown away from now on.
    pub(super) async fn begin(&self, domain: &str) -> Result<(), StoreError> {
        self.put(Mark { domain: domain.to_owned(), told_to: None }).await
    }

    /// Notes that the stream of the domain has all that the projection is built from, up to its message `last`.
    pub(super) async fn told(&self, domain: &str, last: u64) -> Result<(), StoreError> {
        self.put(Mark { domain: domain.to_owned(), told_to: Some(last.cast_signed()) }).await
    }

    async fn put(&self, mark: Mark) -> Result<(), StoreError> {
        self.marks.put(doc! { "_id": &mark.domain }, &mark).await
    }

    /// What the service has to hear before it is ready, which it is not from now on; `None` if nothing is being rebuilt.
    ///
    /// # Errors
    /// [`StartError`] if a rebuilding was broken off, or the database does not answer.
    pub(super) async fn unheard(self, bus: Bus, readiness: Readiness) -> Result<Option<Unheard>, StartError> {
        let found = self.all().await?;
        if let Some(mark) = found.iter().find(|mark| mark.told_to.is_none()) {
            return Err(StartError::other(BrokenOff { service: self.service, domain: mark.domain.clone() }));
        }
        if found.is_empty() {
            return Ok(None);
        }
        readiness.set(self.check(), false);
        Ok(Some(Unheard { marks: self, found, bus, readiness }))
    }

    /// The domains of which the service was left without projections.
    pub(super) async fn broken_off(&self) -> Result<Vec<String>, StoreError> {
        let broken_off = self.all().await?.into_iter().filter(|mark| mark.told_to.is_none());
        Ok(broken_off.map(|mark| mark.domain).collect())
    }

    async fn all(&self) -> Result<Vec<Mark>, StoreError> {
        self.marks.find(doc! { "_id": { "$gt": "" } }).whole().await
    }

    /// What readiness calls it.
    fn check(&self) -> String {
        format!("projections of {}", self.service)
    }
}

/// What a service has to hear before it is ready.
#[derive(Clone)]
pub(super) struct Unheard {
    marks: Marks,
    found: Vec<Mark>,
    bus: Bus,
    readiness: Readiness,
}

impl Unheard {
    /// Says that the process is ready as soon as all is heard.
    pub(super) async fn hear(self, stop: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let hearing = async {
            for mark in &self.found {
                while !self.is_over(mark).await {
                    looks.tick().await;
                }
            }
            self.readiness.set(self.marks.check(), true);
        };
        stop.run_until_cancelled(hearing).await;
        stop.cancelled().await;
    }

    async fn is_over(&self, mark: &Mark) -> bool {
        let heard = async {
            let heard = self.has_heard(mark).await?;
            if heard {
                let same = doc! { "_id": &mark.domain, "toldTo": mark.told_to };
                self.marks.marks.delete_one(same).await?;
            }
            Ok::<_, StartError>(heard)
        };
        heard.await.unwrap_or_else(|error| {
            tracing::warn!(%error, service = self.marks.service, "how far a rebuilding is cannot be seen; looking again");
            false
        })
    }

    async fn has_heard(&self, mark: &Mark) -> Result<bool, BusError> {
        let Some(consumer) = self.bus.consumer(&mark.domain, self.marks.service).await? else { return Ok(false) };
        let all = consumer.num_pending == 0 && consumer.num_ack_pending == 0;
        Ok(all || Some(consumer.ack_floor.stream_sequence.cast_signed()) >= mark.told_to)
    }
}
