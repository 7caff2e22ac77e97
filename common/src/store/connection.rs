//! The connection to MongoDB, and what is asked of it at every command.
//!
//! What is read has been stored by a majority of the members, and comes from the primary; what is written is stored by a
//! majority before it is answered, and tried again by the driver under the same number, so that it is done once. The rules
//! of the aggregates and of the inventory rest on that, so an address that says otherwise is refused.

use std::time::Duration;

use bson::doc;
use futures::future::select_ok;
use mongodb::options::{
    Acknowledgment, ClientOptions, ConnectionString, ReadConcern, ReadConcernLevel, ReadPreference, SelectionCriteria,
    ServerAddress, WriteConcern,
};
use tokio::net::TcpStream;

use super::last_answer::LastAnswer;
use super::limit::{Calls, PATIENCE, TURN_WITHIN};
use super::{Database, StoreError};

/// How long a command waits for a primary, and for one new connection to it: what is left for its answer after the longest wait
/// for a turn, or less, so that who waits is told which of them it was.
const SELECTION_WAIT: Duration = Duration::from_secs(5);
const CONNECT_WAIT: Duration = Duration::from_secs(5);
const _: () = assert!(TURN_WITHIN.as_millis() + SELECTION_WAIT.as_millis() <= PATIENCE.as_millis());

/// Where a server listens whose address names no port.
const DEFAULT_PORT: u16 = 27017;

/// How many connections there may be. [`Calls`] beyond that wait for their turn; the admission bounds how many requests there
/// are. More connections would only have MongoDB divide its cores among more commands. The address may say otherwise
/// (`maxPoolSize`).
pub(super) const CONNECTIONS: u32 = 64;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The address asks for something that would break the store's rules.
    #[error("MONGODB_URI says {option}: it must be {right}, or be left out, as the store relies on it")]
    Refused {
        /// The option of the address, and its value where that is known.
        option: String,
        /// What it has to be.
        right: &'static str,
    },
    /// Nobody listens.
    #[error("nobody listens at {address} ({reason})")]
    Silent {
        /// The last address that was tried.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// The address cannot be read, or nobody answers there.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A pool of connections.
#[derive(Clone, Debug)]
pub struct Client {
    driver: mongodb::Client,
    calls: Calls,
    last_answer: LastAnswer,
}

impl Client {
    /// Connects to the servers at `uri`, and waits until a primary answers.
    ///
    /// # Errors
    /// [`ConnectionError::Refused`] if the address says otherwise than the store needs; if nobody answers.
    pub async fn connect(uri: &str) -> Result<Self, ConnectionError> {
        let options = ClientOptions::parse(uri).await.map_err(StoreError::from)?;
        let (mut options, last_answer) = (with_rules(options)?, LastAnswer::default());
        options.cmap_event_handler = Some(last_answer.handler());
        let calls = Calls::over(options.max_pool_size.unwrap_or(CONNECTIONS));
        let driver = mongodb::Client::with_options(options).map_err(StoreError::from)?;
        let client = Self { driver, calls, last_answer };
        client.ping().await?;
        Ok(client)
    }

    /// Whether `uri` is an address of MongoDB at all. Nobody is asked.
    pub fn can_read(uri: &str) -> bool {
        ConnectionString::parse(uri).is_ok()
    }

    /// Whether anybody listens at one of the addresses in `uri`: who finds out by [`Client::connect`] waits longer, as a server may be
    /// about to start.
    ///
    /// # Errors
    /// If the address cannot be read, or nobody listens.
    pub async fn knock(uri: &str) -> Result<(), ConnectionError> {
        let hosts = ClientOptions::parse(uri).await.map_err(StoreError::from)?.hosts;
        let knocks = hosts.into_iter().filter_map(|host| match host {
            ServerAddress::Tcp { host, port } => Some((host, port.unwrap_or(DEFAULT_PORT))),
            _ => None,
        });
        let knocks: Vec<_> = knocks.map(|(host, port)| Box::pin(knock(host, port))).collect();
        // There are none where a server listens at a file.
        if knocks.is_empty() { Ok(()) } else { select_ok(knocks).await.map(|_| ()) }
    }

    /// A database.
    pub fn database(&self, name: &str) -> Database {
        Database::new(self.driver.database(name), self.calls.clone())
    }

    /// How long ago a command over these connections was answered last, or a new one of them was greeted.
    pub fn last_answer(&self) -> Option<Duration> {
        self.last_answer.ago()
    }

    /// Asks the primary for a sign of life.
    ///
    /// # Errors
    /// If there is none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.database("admin").run_command(doc! { "ping": 1 }).await.map(drop)
    }
}

async fn knock(host: String, port: u16) -> Result<(), ConnectionError> {
    let connected = tokio::time::timeout(CONNECT_WAIT, TcpStream::connect((host.as_str(), port))).await;
    let silent = |reason: String| ConnectionError::Silent { address: format!("{host}:{port}"), reason };
    match connected {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(silent(error.to_string())),
        Err(_) => Err(silent(format!("no answer within {CONNECT_WAIT:?}"))),
    }
}

/// The options with all that the store relies on.
fn with_rules(mut options: ClientOptions) -> Result<ClientOptions, ConnectionError> {
    refuse_others(&options)?;
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.read_concern = Some(ReadConcern::majority());
    options.write_concern.get_or_insert_default().w = Some(Acknowledgment::Majority);
    options.retry_writes = Some(true);
    options.retry_reads = Some(true);
    options.server_selection_timeout = Some(SELECTION_WAIT);
    options.connect_timeout = Some(CONNECT_WAIT);
    options.app_name = Some("docket".to_owned());
    options.max_pool_size.get_or_insert(CONNECTIONS);
    // Whose connection is not being made waits in the driver's queue, where it keeps its place when it is given up.
    options.max_connecting = options.max_pool_size;
    Ok(options)
}

fn refuse_others(options: &ClientOptions) -> Result<(), ConnectionError> {
    let refused = |option: String, right| Err(ConnectionError::Refused { option, right });
    match &options.selection_criteria {
        None | Some(SelectionCriteria::ReadPreference(ReadPreference::Primary)) => {}
        Some(other) => return refused(format!("readPreference={}", preference(other)), "primary"),
    }
    if let Some(ReadConcern { level, .. }) = &options.read_concern
        && *level != ReadConcernLevel::Majority
    {
        return refused(format!("readConcernLevel={}", named(level)), "majority");
    }
    if let Some(WriteConcern { w, journal, .. }) = &options.write_concern {
        match w {
            None | Some(Acknowledgment::Majority) => {}
            Some(Acknowledgment::Nodes(nodes)) => return refused(format!("w={nodes}"), "majority"),
            Some(Acknowledgment::Custom(name)) => return refused(format!("w={name}"), "majority"),
            Some(_) => return refused("w".to_owned(), "majority"),
        }
        if *journal == Some(false) {
            return refused("journal=false".to_owned(), "true");
        }
    }
    for (name, value) in [("retryWrites", options.retry_writes), ("retryReads", options.retry_reads)] {
        if value == Some(false) {
            return refused(format!("{name}=false"), "true");
        }
    }
    Ok(())
}

fn named(level: &ReadConcernLevel) -> &str {
    match level {
        ReadConcernLevel::Local => "local",
        ReadConcernLevel::Available => "available",
        ReadConcernLevel::Linearizable => "linearizable",
        ReadConcernLevel::Snapshot => "snapshot",
        ReadConcernLevel::Custom(name) => name,
        _ => "another",
    }
}

fn preference(criteria: &SelectionCriteria) -> &'static str {
    match criteria {
        SelectionCriteria::ReadPreference(ReadPreference::Secondary { .. }) => "secondary",
        SelectionCriteria::ReadPreference(ReadPreference::PrimaryPreferred { .. }) => "primaryPreferred",
        SelectionCriteria::ReadPreference(ReadPreference::SecondaryPreferred { .. }) => "secondaryPreferred",
        SelectionCriteria::ReadPreference(ReadPreference::Nearest { .. }) => "nearest",
        _ => "another",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ruled(query: &str) -> Result<ClientOptions, String> {
        let uri = format!("mongodb://127.0.0.1:1/docket?{query}");
        with_rules(ClientOptions::parse(uri).await.unwrap()).map_err(|refused| refused.to_string())
    }

    #[tokio::test]
    async fn an_address_that_says_otherwise_is_refused_by_the_name_of_its_option() {
        for (query, right) in [
            ("readPreference=secondaryPreferred", "primary"),
            ("readPreference=primaryPreferred", "primary"),
            ("readPreference=secondary", "primary"),
            ("readPreference=nearest", "primary"),
            ("readConcernLevel=local", "majority"),
            ("readConcernLevel=available", "majority"),
            ("readConcernLevel=linearizable", "majority"),
            ("w=0", "majority"),
            ("w=1", "majority"),
            ("w=2", "majority"),
            ("w=backups", "majority"),
            ("journal=false", "true"),
            ("retryWrites=false", "true"),
            ("retryReads=false", "true"),
        ] {
            let refused = ruled(query).await.err().unwrap_or_default();
            assert_eq!(
                refused,
                format!("MONGODB_URI says {query}: it must be {right}, or be left out, as the store relies on it")
            );
        }
    }

    #[tokio::test]
    async fn an_address_that_says_nothing_or_the_same_is_given_all_that_the_store_relies_on() {
        for query in [
            "",
            "replicaSet=docket",
            "directConnection=true",
            "authSource=docket_orders&maxPoolSize=7",
            "readPreference=primary&readConcernLevel=majority&w=majority&journal=true&retryWrites=true&retryReads=true",
            "serverSelectionTimeoutMS=90000&connectTimeoutMS=90000&wTimeoutMS=5000",
        ] {
            let options = ruled(query).await.unwrap();
            let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
            assert_eq!(options.selection_criteria, Some(primary), "{query}");
            assert_eq!(options.read_concern, Some(ReadConcern::majority()), "{query}");
            assert_eq!(options.write_concern.and_then(|concern| concern.w), Some(Acknowledgment::Majority), "{query}");
            assert_eq!((options.retry_writes, options.retry_reads), (Some(true), Some(true)), "{query}");
            let waits = (options.server_selection_timeout, options.connect_timeout);
            assert_eq!(waits, (Some(SELECTION_WAIT), Some(CONNECT_WAIT)), "{query}");
        }
    }
}
