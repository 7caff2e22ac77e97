//! The indexes that services declare, and that are made at their start.
//!
//! An index with other keys is another index. One whose options change gets a revision, which is part of its name: a build
//! replaces what is there in an earlier revision, and leaves alone what is there in a later one. So builds of two versions may
//! start in any order, as often as they like, and the later one's index is what stays.

use std::io;
use std::time::Duration;

use bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::IndexOptions;
use mongodb::{Collection, IndexModel};

use super::away::away;
use super::{Database, StoreError};

/// What stands between the name of an index and its revision.
const REVISED: &str = "_r";

/// What MongoDB says of a collection, of an index that is not there, and of one that cannot be beside another one.
const NO_COLLECTION: i32 = 26;
const INDEX_NOT_FOUND: i32 = 27;
const CANNOT_STAND_BESIDE: [i32; 2] = [85, 86];

/// So long the building of indexes may take: a large collection needs minutes.
const BUILT_WITHIN: Duration = Duration::from_secs(3600);

/// What the index of the relay's sweep is over.
pub(super) fn outbox_keys() -> Document {
    doc! { "outbox.at": 1 }
}

/// The indexes of one collection, declared by its service and made at its start.
#[derive(Clone, Debug)]
pub struct Indexes {
    /// The collection.
    pub collection: &'static str,
    /// What is made.
    pub models: Vec<IndexModel>,
}

impl Indexes {
    /// A collection without an index yet.
    pub fn of(collection: &'static str) -> Self {
        Self { collection, models: Vec::new() }
    }

    /// With an index over `keys`.
    #[must_use]
    pub fn on(self, keys: Document) -> Self {
        self.with(keys, IndexOptions::default())
    }

    /// With an index that lets no two documents have the same `keys`.
    #[must_use]
    pub fn unique(self, keys: Document) -> Self {
        self.with(keys, IndexOptions::builder().unique(true).build())
    }

    /// With an index over `keys` that holds only the documents which match `filter`. A filter that says `$or` becomes two
    /// indexes: MongoDB would read the whole of such an index, whatever is asked for.
    #[must_use]
    pub fn partial(self, keys: Document, filter: Document) -> Self {
        self.with(keys, IndexOptions::builder().partial_filter_expression(filter).build())
    }

    /// With an index that deletes documents some time after the date in `field`.
    #[must_use]
    pub fn ttl(self, field: &str, after: Duration) -> Self {
        self.with(doc! { field: 1 }, IndexOptions::builder().expire_after(after).build())
    }

    /// The same beside an index over `field` that was there before, for builds that would not start without that one.
    #[must_use]
    pub fn ttl_beside(self, field: &str, after: Duration) -> Self {
        // Indexes over the same keys are told apart by what they hold.
        let all = doc! { field: { "$exists": true } };
        let options = IndexOptions::builder().name(format!("{field}_1_ttl")).expire_after(after);
        self.with(doc! { field: 1 }, options.partial_filter_expression(all).build())
    }

    /// With the index that the relay's sweep reads: documents whose outbox is not empty.
    #[must_use]
    pub fn outbox(self) -> Self {
        self.partial(outbox_keys(), doc! { "outbox.0": { "$exists": true } })
    }

    /// Whether its documents have outboxes.
    pub(crate) fn have_outbox(&self) -> bool {
        self.models.iter().any(|model| model.keys == outbox_keys())
    }

    /// With the index by which letters are found that stand in the documents: see [`crate::mail::Letters`].
    #[must_use]
    pub fn letters(self) -> Self {
        self.partial(doc! { "letters.dueAt": 1 }, doc! { "letters.0": { "$exists": true } })
    }

    fn with(mut self, keys: Document, options: IndexOptions) -> Self {
        self.models.push(IndexModel::builder().keys(keys).options(options).build());
        self
    }

    /// The last index is declared otherwise than it once was: `revision` counts from 2. Its name ends with the number, so
    /// that two builds side by side can tell whose index is the later one.
    #[must_use]
    pub fn revised(mut self, revision: u32) -> Self {
        if let Some(model) = self.models.last_mut() {
            let name = format!("{}{REVISED}{revision}", base_name(model));
            model.options.get_or_insert_default().name = Some(name);
        }
        self
    }

    /// Makes what is missing, and takes the place of what was declared otherwise before: the later revision is built first,
    /// and then the earlier one is dropped. What is there in a later revision is left to the build that declared it.
    ///
    /// # Errors
    /// If the database refuses, as it does when an index of the same name has other options: that one needs a
    /// [revision](Indexes::revised).
    pub async fn ensure(&self, database: &Database) -> Result<(), StoreError> {
        let collection = database.driver.collection::<Document>(self.collection);
        let there = limited(names(&collection)).await?;
        let wanted: Vec<&IndexModel> = self.models.iter().filter(|model| !is_surpassed(model, &there)).collect();
        let (revised, others): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|model| !earlier(model, &there).is_empty());
        if !others.is_empty() {
            limited(async { collection.create_indexes(others.into_iter().cloned()).await }).await?;
        }
        for model in revised {
            limited(replace(&collection, model, &earlier(model, &there))).await?;
        }
        Ok(())
    }
}

/// Builds an index, and drops its earlier revisions. Those that cannot stand beside it, as they have the same keys, go first.
async fn replace(collection: &Collection<Document>, model: &IndexModel, earlier: &[&str]) -> Result<(), Error> {
    let built = collection.create_index(model.clone()).await;
    let must_go_first = built.as_ref().is_err_and(|error| has_code(error, &CANNOT_STAND_BESIDE));
    for name in earlier {
        match collection.drop_index(*name).await {
            // Another replica was faster.
            Err(error) if !has_code(&error, &[INDEX_NOT_FOUND]) => return Err(error),
            _ => {}
        }
    }
    if must_go_first { collection.create_index(model.clone()).await.map(drop) } else { built.map(drop) }
}

async fn names(collection: &Collection<Document>) -> Result<Vec<String>, Error> {
    match collection.list_index_names().await {
        Err(error) if has_code(&error, &[NO_COLLECTION]) => Ok(Vec::new()),
        names => names,
    }
}

async fn limited<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
    let late = || away(io::ErrorKind::TimedOut, format!("an index was not built within {BUILT_WITHIN:?}"));
    Ok(tokio::time::timeout(BUILT_WITHIN, work).await.unwrap_or_else(|_| Err(late()))?)
}

fn has_code(error: &Error, codes: &[i32]) -> bool {
    matches!(&*error.kind, ErrorKind::Command(command) if codes.contains(&command.code))
}

/// The name without a revision: the one that was given, or the one that the driver would give.
fn base_name(model: &IndexModel) -> String {
    let given = model.options.as_ref().and_then(|options| options.name.clone());
    let name = given.unwrap_or_else(|| {
        let keys = model.keys.iter().map(|(field, way)| format!("{field}_{}", way.to_string().trim_matches('"')));
        keys.collect::<Vec<_>>().join("_")
    });
    revision_of(&name).0.to_owned()
}

/// A name without its revision, and the revision.
fn revision_of(name: &str) -> (&str, u32) {
    let revised = name.rsplit_once(REVISED).and_then(|(base, revision)| Some((base, revision.parse().ok()?)));
    revised.unwrap_or((name, 1))
}

fn revision(model: &IndexModel) -> u32 {
    let name = model.options.as_ref().and_then(|options| options.name.as_deref());
    name.map_or(1, |name| revision_of(name).1)
}

/// Whether a later revision of it is there.
fn is_surpassed(model: &IndexModel, there: &[String]) -> bool {
    revisions(model, there).any(|(_, other)| other > revision(model))
}

/// The earlier revisions of it that are there.
fn earlier<'n>(model: &IndexModel, there: &'n [String]) -> Vec<&'n str> {
    revisions(model, there).filter(|(_, other)| *other < revision(model)).map(|(name, _)| name).collect()
}

fn revisions<'n>(model: &IndexModel, there: &'n [String]) -> impl Iterator<Item = (&'n str, u32)> {
    let base = base_name(model);
    there
        .iter()
        .map(|name| (name.as_str(), revision_of(name)))
        .filter_map(move |(name, (of, revision))| (of == base).then_some((name, revision)))
}
