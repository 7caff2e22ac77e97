//! The store: MongoDB is the record. Every change is a compare-and-set, and carries its event in the same write.

mod aggregate;
mod aggregates;
mod away;
mod backlog;
mod codec;
mod connection;
mod database;
mod error;
mod events;
mod find;
pub mod fixtures;
mod guard;
mod heard;
mod indexes;
mod limit;
mod meter;
mod projections;
mod relay;
mod state;
mod sweep;
mod table;

pub use aggregate::{Aggregate, Change, ChangeError, Versioned};
pub use aggregates::Aggregates;
pub use backlog::Backlog;
pub use codec::{from_document, to_document};
pub use connection::{Client, ConnectionError};
pub use database::{Collection, Database, Updated};
pub use error::StoreError;
pub use events::{EventArchive, Published};
pub use find::Find;
pub use indexes::Indexes;
pub use limit::PATIENCE;
pub use projections::{Applied, Projection};
pub use relay::{HeldBack, Outbox, Relay, RelayWork};
pub use state::Upcast;
pub use table::Table;
