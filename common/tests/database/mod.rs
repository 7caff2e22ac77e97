//! A database of its own for each test.

use mongodb::{Client, Database};

pub(crate) struct TestDatabase(pub(crate) Database);

impl TestDatabase {
    pub(crate) async fn new() -> Self {
        let uri = std::env::var("DOCKET_TEST_MONGODB_URI")
            .expect("run `cargo xtask test`, or set DOCKET_TEST_MONGODB_URI to a MongoDB");
        let client = Client::with_uri_str(uri).await.unwrap();
        let name = format!("common_{}", mongodb::bson::oid::ObjectId::new());
        Self(client.database(&name))
    }

    pub(crate) async fn leave(self) {
        self.0.drop().await.unwrap();
    }
}
