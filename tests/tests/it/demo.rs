//! The demo of a first start, and what only its own machine may see.

use std::collections::BTreeSet;
use std::path::Path;

use docket_tests::{App, Person, Process, eventually, spawn};
use serde_json::json;

const LISTINGS: usize = 8;

fn variables(folder: &Path) -> Vec<(&'static str, String)> {
    vec![("DOCKET_DATA_DIR", folder.to_str().unwrap().to_owned()), ("DOCKET_DEMO", "1".to_owned())]
}

/// The titles on sale, of which none may be there twice.
async fn titles(docket: &Process) -> BTreeSet<String> {
    let listings = Person::visitor(&docket.http).get("/api/tickets?limit=100").await.expect(200);
    let titles: Vec<_> = listings["items"].as_array().unwrap().iter().map(|one| one["title"].to_string()).collect();
    let different: BTreeSet<_> = titles.iter().cloned().collect();
    assert_eq!(different.len(), titles.len(), "{titles:?}");
    different
}

/// Leaves what a start has made that was killed among the listings: the seller, some of them, and no mark.
async fn take_back_some(folder: &Path) {
    let port = std::fs::read_to_string(folder.join("mongo/port")).unwrap();
    let uri = format!("mongodb://127.0.0.1:{}/?directConnection=true", port.trim());
    let tickets = mongodb::Client::with_uri_str(uri).await.unwrap().database("docket_tickets");
    let tickets = tickets.collection::<bson::Document>("tickets");
    for title in ["Open rehearsal", "Dawn chorus walk", "Sixteen hands"] {
        assert_eq!(tickets.delete_one(bson::doc! { "offer.title": title }).await.unwrap().deleted_count, 1, "{title}");
    }
    std::fs::remove_file(folder.join("demo-complete")).unwrap();
}

async fn until_complete(folder: &Path) {
    eventually("the demo is complete", 120, || async { folder.join("demo-complete").exists().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_is_killed_is_completed_by_the_next_and_then_left_alone() {
    common::http::install_tls_provider();
    let folder = tempfile::tempdir().unwrap();
    let docket = spawn("docket", &variables(folder.path())).await;
    until_complete(folder.path()).await;
    take_back_some(folder.path()).await;
    docket.kill().await;

    let docket = spawn("docket", &variables(folder.path())).await;
    until_complete(folder.path()).await;
    assert_eq!(titles(&docket).await.len(), LISTINGS);
    take_back_some(folder.path()).await;
    std::fs::write(folder.path().join("demo-complete"), "").unwrap();
    assert!(docket.terminate().await);

    let docket = spawn("docket", &variables(folder.path())).await;
    eventually("the start is over", 120, || async {
        let seller = Person::visitor(&docket.http);
        let demo = json!({ "email": "seller@example.com", "password": "docket-demo-2026" });
        (seller.post("/api/users/signin", demo).await.status == 200).then_some(())
    })
    .await;
    assert!(docket.terminate().await);
    let docket = spawn("docket", &variables(folder.path())).await;
    assert_eq!(titles(&docket).await.len(), LISTINGS - 3, "what people have taken away stays away");
    assert!(docket.terminate().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_shown_only_to_who_asks_this_machine() {
    let app = App::start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (path, own) in [("/api/users/dev/mail", 200), ("/dev/mail", 200)] {
        let asked = async |host: &str| {
            client.get(format!("{}{path}", app.base())).header("host", host).send().await.unwrap().status().as_u16()
        };
        assert_eq!(asked("localhost:8080").await, own, "{path}");
        assert_eq!(asked("rebound.example.org:8080").await, 404, "{path}");
    }
    app.stop().await;
}
