//! Whether a process can have what its settings name, looked at before anything is started: its ports, and its servers.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::StartError;
use super::frame::{connect_database, reach_bus};
use crate::http::bind;
use crate::settings::{Settings, SettingsError};
use crate::store::{Client, ConnectionError};

/// A server that has not answered for so long is told of; it may still be slow, and gets its time.
const SOON: Duration = Duration::from_millis(800);

/// What is wrong with the addresses at which the process shall listen.
pub fn of_ports(settings: &Settings) -> SettingsError {
    let mut wrong = SettingsError::default();
    for (variable, addr) in [("DOCKET_HTTP_ADDR", settings.http_addr), ("DOCKET_OPS_ADDR", settings.ops_addr)] {
        if let Err(error) = bind(addr) {
            wrong.tell(variable, cannot_listen(addr, &error));
        }
    }
    wrong
}

/// Why nobody can listen at an address, and what would be right.
pub(super) fn cannot_listen(addr: SocketAddr, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => {
            format!("{addr} is taken by another process; stop that, or choose another port (0 takes any free one)")
        }
        ErrorKind::AddrNotAvailable => format!("{addr} is no address of this machine; 0.0.0.0 stands for all it has"),
        ErrorKind::PermissionDenied => format!("this user may not listen at {addr}; ports from 1024 on need no rights"),
        _ => format!("cannot listen at {addr}: {error}"),
    }
}

/// What is wrong with the servers that the settings name; those that they do not name are nobody's yet.
pub async fn of_servers(settings: &Settings) -> SettingsError {
    let (database, broker) = tokio::join!(of_database(settings), of_broker(settings));
    let mut wrong = SettingsError::default();
    for (variable, found) in [("MONGODB_URI", database), ("NATS_URL", broker)] {
        match found {
            Ok(()) => {}
            Err(StartError::Connection(ConnectionError::Refused { option, right })) => {
                wrong.tell(variable, format!("it says {option}, which must be {right}, or be left out"));
            }
            Err(error) => {
                wrong.tell(variable, format!("{error}; start the server, mend its address, or unset it: {OWN}"))
            }
        }
    }
    wrong
}

const OWN: &str = "Docket then brings one of its own";

async fn of_database(settings: &Settings) -> Result<(), StartError> {
    let Some(uri) = &settings.mongodb_uri else { return Ok(()) };
    told_of("MONGODB_URI", async {
        Client::knock(uri.expose_secret()).await?;
        connect_database(settings).await.map(drop)
    })
    .await
}

async fn of_broker(settings: &Settings) -> Result<(), StartError> {
    if settings.nats_url.is_none() {
        return Ok(());
    }
    told_of("NATS_URL", async { reach_bus(settings).await.map(drop) }).await
}

/// Says on the way that somebody does not answer.
async fn told_of<T>(variable: &str, answer: impl Future<Output = T>) -> T {
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => return answer,
        () = tokio::time::sleep(SOON) => {}
    }
    eprintln!("{variable}: no answer yet; waiting for it");
    answer.await
}
