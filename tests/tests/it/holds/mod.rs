//! What becomes of holds whose writes fail, are repeated, or are wanted by few people for many places.

mod ends;
mod fair;
mod free;
mod late;
mod repeated;

use bson::{Bson, Document, doc};
use docket_local::{LocalServers, Options};
use docket_tests::App;
use mongodb::{Client, Collection};
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;

/// A Docket on a MongoDB of its own, which can be made ill without harm to other tests.
struct OwnMongo {
    app: App,
    servers: LocalServers,
    client: Client,
    _folder: TempDir,
}

impl OwnMongo {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let servers = LocalServers::start(Options { nats: false, ..Options::for_tests(folder.path()) }).await.unwrap();
        let uri = servers.mongodb_uri().unwrap().to_owned();
        let app = App::with(|settings| settings.mongodb_uri = Some(SecretString::from(uri.clone()))).await;
        let client = Client::with_uri_str(&uri).await.unwrap();
        Self { app, servers, client, _folder: folder }
    }

    async fn admin(&self, command: Document) -> Document {
        self.client.database("admin").run_command(command).await.unwrap()
    }

    async fn stop(self) {
        self.app.stop().await;
        self.servers.stop().await;
    }
}

/// Has MongoDB refuse every write that leaves a document of a collection other than `allowed` says.
async fn refuse(app: &App, collection: &str, allowed: Document) {
    let only = doc! { "collMod": collection, "validator": allowed };
    app.database("orders").await.run_command(only).await.unwrap();
}

async fn refuse_nothing(app: &App, collection: &str) {
    refuse(app, collection, Document::new()).await;
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

async fn inventories(app: &App) -> Collection<Document> {
    app.database("orders").await.collection("inventories")
}

/// How many places of a listing are held, how many sold, and how many holds wait for their orders.
async fn counts(app: &App, ticket: &Value) -> (i32, i32, usize) {
    let inventory = inventories(app).await.find_one(doc! { "_id": id(ticket) }).await.unwrap().unwrap();
    let count = |name: &str| match inventory.get(name) {
        Some(Bson::Int32(count)) => *count,
        Some(Bson::Int64(count)) => i32::try_from(*count).unwrap(),
        other => panic!("{name} is {other:?}"),
    };
    (count("held"), count("sold"), inventory.get_array("pending").unwrap().len())
}

/// Makes all answers that are kept for keys lost, as if their processes had ended before they kept them.
async fn lose_answers(app: &App) {
    let records = app.database("orders").await.collection::<Document>("idempotency");
    let lost = doc! { "$set": { "answer": Bson::Null, "leaseUntil": bson::DateTime::from_millis(0) } };
    records.update_many(doc! { "_id": { "$gt": "" } }, lost).await.unwrap();
}
