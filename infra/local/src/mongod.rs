//! `mongod` as a member of a replica set, mostly its only one: transactions and change streams need a replica set.

use std::fs;
use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{ClientOptions, ServerAddress};
use mongodb::{Client, Database};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::error::{AboutFile, LocalError};
use crate::program::Program;
use crate::wait::until;

pub(crate) const SET: &str = "docket";
const NOT_YET_INITIALIZED: i32 = 94;

pub(crate) fn url(port: u16) -> String {
    format!("mongodb://{}/?replicaSet={SET}", host(port))
}

pub(crate) fn host(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

pub(crate) fn command(program: &Program) -> Result<Command, LocalError> {
    let data = program.home.join("data");
    fs::create_dir_all(&data).about(&data)?;
    let mut command = Command::new(&program.binary);
    command.arg("--dbpath").arg(data);
    command.args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--port"]).arg(program.port.to_string());
    command.args(["--replSet", SET, "--oplogSize", "512", "--wiredTigerCacheSizeGB", "0.25"]);
    command.args(["--wiredTigerJournalCompressor", "none"]);
    command.args(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
    // By default what every document was like in the last five minutes is kept, for reads of the past that nobody makes here.
    command.args(["--setParameter", "minSnapshotHistoryWindowInSeconds=0"]);
    // By default a stopping member lingers for 15 s, so that clients find another; there is no other.
    command.args(["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"]);
    if program.test_commands {
        command.args(["--setParameter", "enableTestCommands=1"]);
    }
    Ok(command)
}

/// Waits for a primary, after making the replica set on the first start, or moving it where its port has changed.
pub(crate) async fn ready(port: u16, bound: Duration) -> Result<(), String> {
    let admin = listening(port, bound).await?;
    let primary = until(bound, || async { become_primary(&admin, port).await.ok().filter(|done| *done) });
    primary.await.map(|_| ()).ok_or_else(|| format!("did not become primary within {bound:?}"))
}

/// Waits until a member of a set of several is primary or follows one, or waits for its set to be made.
pub(crate) async fn member_ready(port: u16, bound: Duration) -> Result<(), String> {
    let admin = listening(port, bound).await?;
    let ready = until(bound, || async {
        let hello = admin.run_command(doc! { "hello": 1 }).await.ok()?;
        let is = |state| hello.get_bool(state).unwrap_or(false);
        (is("isWritablePrimary") || is("secondary") || is("isreplicaset")).then_some(())
    });
    ready.await.ok_or_else(|| format!("did not become a member of its set within {bound:?}"))
}

async fn listening(port: u16, bound: Duration) -> Result<Database, String> {
    let listening = until(bound, || async { TcpStream::connect(("127.0.0.1", port)).await.ok() });
    listening.await.ok_or_else(|| format!("did not listen within {bound:?}"))?;
    admin(port).map_err(|error| error.to_string())
}

/// Whether the server answers a question, whatever its state in the replica set.
pub(crate) async fn answers(port: u16) -> bool {
    let Ok(admin) = admin(port) else { return false };
    let answer = admin.run_command(doc! { "hello": 1 }).await;
    admin.client().clone().shutdown().immediate(true).await;
    answer.is_ok()
}

pub(crate) fn admin(port: u16) -> Result<Database, Error> {
    let address = ServerAddress::Tcp { host: "127.0.0.1".to_owned(), port: Some(port) };
    let options = ClientOptions::builder()
        .hosts(vec![address])
        .direct_connection(true)
        .server_selection_timeout(Duration::from_secs(5))
        .build();
    Ok(Client::with_options(options)?.database("admin"))
}

/// One step: true once the member is primary.
async fn become_primary(admin: &Database, port: u16) -> Result<bool, Error> {
    let hello = admin.run_command(doc! { "hello": 1 }).await?;
    if hello.get_bool("isWritablePrimary").unwrap_or(false) {
        return Ok(true);
    }
    match admin.run_command(doc! { "replSetGetConfig": 1 }).await {
        Ok(answer) => move_member(admin, &answer, port).await?,
        Err(error) if is_uninitialized(&error) => initiate(admin, port).await?,
        Err(error) => return Err(error),
    }
    Ok(false)
}

async fn initiate(admin: &Database, port: u16) -> Result<(), Error> {
    let member = doc! { "_id": 0, "host": host(port) };
    let config = doc! { "_id": SET, "members": [member] };
    admin.run_command(doc! { "replSetInitiate": config }).await.map(|_| ())
}

/// The stored configuration names the port of last time. A member that does not find itself in it never gets ready.
async fn move_member(admin: &Database, answer: &Document, port: u16) -> Result<(), Error> {
    let Some(config) = moved(answer, &host(port)) else { return Ok(()) };
    tracing::info!(port, "the replica set moves to another port");
    admin.run_command(doc! { "replSetReconfig": config, "force": true }).await.map(|_| ())
}

fn moved(answer: &Document, host: &str) -> Option<Document> {
    let mut config = answer.get_document("config").ok()?.clone();
    let member = config.get_array_mut("members").ok()?.first_mut().and_then(Bson::as_document_mut)?;
    let before = member.insert("host", host)?;
    (before.as_str() != Some(host)).then_some(config)
}

fn is_uninitialized(error: &Error) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(command) if command.code == NOT_YET_INITIALIZED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Document {
        doc! { "config": { "_id": SET, "version": 1, "members": [{ "_id": 0, "host": "127.0.0.1:20001" }] } }
    }

    #[test]
    fn a_member_on_its_old_port_stays() {
        assert_eq!(moved(&answer(), "127.0.0.1:20001"), None);
    }

    #[test]
    fn a_member_on_another_port_moves() {
        let config = moved(&answer(), "127.0.0.1:20002").unwrap();
        let expected = doc! { "_id": SET, "version": 1, "members": [{ "_id": 0, "host": "127.0.0.1:20002" }] };
        assert_eq!(config, expected);
    }
}
