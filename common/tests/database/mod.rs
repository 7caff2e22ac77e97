//! A database of its own for each test.

use common::store::Database;
use mongodb::Client;

/// The database as the store has it, and as the driver has it.
pub(crate) struct TestDatabase(pub(crate) Database, pub(crate) mongodb::Database);

impl TestDatabase {
    pub(crate) async fn new() -> Self {
        let uri = std::env::var("DOCKET_TEST_MONGODB_URI")
            .expect("run `cargo xtask test`, or set DOCKET_TEST_MONGODB_URI to a MongoDB");
        let client = Client::with_uri_str(uri).await.unwrap();
        let name = format!("common_{}", mongodb::bson::oid::ObjectId::new());
        let database = client.database(&name);
        Self(database.clone().into(), database)
    }

    pub(crate) async fn leave(self) {
        self.1.drop().await.unwrap();
    }
}
