//! Whether a failure of the database is one of those that pass by themselves.

use std::io;

use mongodb::error::{Error, ErrorKind, RETRYABLE_WRITE_ERROR, WriteFailure};

/// What servers say that cannot be reached, are not or no longer the primary, stop, are overloaded or have no room, or did
/// not manage in time. The names are those of MongoDB's `error_codes.yml`.
const CODES: [i32; 34] = [
    6,     // HostUnreachable
    7,     // HostNotFound
    24,    // LockTimeout
    43,    // CursorNotFound
    50,    // MaxTimeMSExpired
    64,    // WriteConcernTimeout
    89,    // NetworkTimeout
    91,    // ShutdownInProgress
    112,   // WriteConflict
    134,   // ReadConcernMajorityNotAvailableYet
    175,   // QueryPlanKilled
    189,   // PrimarySteppedDown
    202,   // NetworkInterfaceExceededTimeLimit
    211,   // KeyNotFound: members that have all just begun have no keys yet for the times they sign
    216,   // ElectionInProgress
    237,   // CursorKilled
    262,   // ExceededTimeLimit
    365,   // TemporarilyUnavailable
    371,   // UserWritesBlocked
    402,   // ResourceExhausted
    407,   // PooledConnectionAcquisitionExceededTimeLimit
    433,   // AdmissionQueueOverflow
    449,   // RateLimitExceeded
    462,   // IngressRequestRateLimitExceeded
    9001,  // SocketException
    10058, // LegacyNotPrimary
    10107, // NotWritablePrimary
    11600, // InterruptedAtShutdown
    11601, // Interrupted
    11602, // InterruptedDueToReplStateChange
    13435, // NotPrimaryNoSecondaryOk
    13436, // NotPrimaryOrSecondary
    14031, // OutOfDiskSpace
    46841, // ClientMarkedKilled
];

/// Whether the database was not there, or had no primary, or did not answer in time.
pub(super) fn is_away(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Io(_)
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::ServerSelection { .. }
        | ErrorKind::DnsResolve { .. } => true,
        kind => code_of(kind).is_some_and(says_away) || error.contains_label(RETRYABLE_WRITE_ERROR),
    }
}

/// Whether a server's code says so.
pub(super) fn says_away(code: i32) -> bool {
    CODES.contains(&code)
}

/// A failure of that kind, noticed here and not by the driver.
pub(super) fn away(kind: io::ErrorKind, message: String) -> Error {
    io::Error::new(kind, message).into()
}

fn code_of(kind: &ErrorKind) -> Option<i32> {
    match kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => Some(concern.code),
        ErrorKind::InsertMany(many) => many.write_concern_error.as_ref().map(|concern| concern.code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::doc;
    use mongodb::Client;
    use mongodb::error::CommandError;
    use mongodb::options::ClientOptions;

    use super::*;
    use crate::http::Problem;
    use crate::store::{Database, StoreError, Table};

    fn said(code: i32) -> Error {
        let command: CommandError = crate::store::from_document(&doc! { "code": code }).unwrap();
        ErrorKind::Command(command).into()
    }

    fn told(error: Error) -> u16 {
        Problem::from(StoreError::from(error)).status().as_u16()
    }

    #[test]
    fn what_passes_is_told_as_such_and_what_does_not_is_a_fault_of_ours() {
        for code in [10107, 189, 11600, 91, 50, 43, 365, 14031, 211] {
            assert_eq!(told(said(code)), 503, "{code}");
        }
        assert_eq!(told(away(io::ErrorKind::ConnectionReset, "reset".to_owned())), 503);
        // BadValue, Unauthorized, IndexOptionsConflict.
        for code in [2, 13, 85] {
            assert_eq!(told(said(code)), 500, "{code}");
        }
        assert_eq!(told(Error::custom("anything")), 500);
    }

    #[tokio::test]
    async fn a_database_that_is_not_there_is_a_matter_of_time() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut options = ClientOptions::parse(format!("mongodb://{nobody}/?directConnection=true")).await.unwrap();
        options.server_selection_timeout = Some(Duration::from_millis(200));
        let database = Database::from(Client::with_options(options).unwrap().database("docket"));
        let table = Table::new(&database, "things");
        let thing = doc! { "_id": "1" };
        let (read, written) = tokio::join!(table.get::<bson::Document>("1"), table.insert(&thing));
        for failed in [read.unwrap_err(), written.unwrap_err()] {
            assert!(failed.passes(), "{failed}");
            let response = Problem::from(failed).response(None);
            assert_eq!(
                (response.status().as_u16(), response.headers().get("retry-after").unwrap().as_bytes()),
                (503, &b"1"[..])
            );
        }
    }
}
