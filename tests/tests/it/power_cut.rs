//! A power cut: the broker forgets the end of its streams.

use std::path::Path;
use std::process::Command;

use common::service::make_good;
use docket_local::{LocalServers, Options};
use docket_tests::App;
use secrecy::SecretString;
use serde_json::json;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_forgot_is_told_again_and_heard() {
    let folder = TempDir::new().unwrap();
    let servers = LocalServers::start(Options { mongod: false, ..Options::for_tests(folder.path()) }).await.unwrap();
    let nats = servers.nats().unwrap();
    let mut app = App::with(|settings| settings.nats_url = Some(SecretString::from(nats.url().to_owned()))).await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(9).await;
    let before = buyer.hold(&ticket, 1).await.expect(201);
    buyer.pay(&before, "pm_card_visa").await.expect(201);
    buyer.until_order(&before, "complete").await;
    seller.until_counts(&ticket, 0, 1).await;
    app.stop_serving().await;

    nats.stop().await.unwrap();
    let (streams, kept) = (folder.path().join("nats/data/jetstream/$G/streams"), folder.path().join("kept"));
    copy(&streams, &kept);
    nats.start().await.unwrap();
    app.serve_again().await;
    let (seller, buyer) = (seller.at(&app.base()), buyer.at(&app.base()));
    for _ in 0..3 {
        let order = buyer.hold(&ticket, 1).await.expect(201);
        buyer.pay(&order, "pm_card_visa").await.expect(201);
        buyer.until_order(&order, "complete").await;
    }
    let held = buyer.hold(&ticket, 1).await.expect(201);
    seller.until_counts(&ticket, 1, 4).await;
    app.stop_serving().await;
    let told = messages(&app).await;

    nats.stop().await.unwrap();
    for stream in std::fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().path()) {
        let messages = streams.join(stream.file_name().unwrap()).join("msgs");
        std::fs::remove_dir_all(&messages).unwrap();
        copy(&stream.join("msgs"), &messages);
    }
    nats.start().await.unwrap();
    let cut = messages(&app).await;
    assert!(cut.iter().zip(&told).all(|(cut, told)| cut < told), "{cut:?} of {told:?} are left");
    make_good(&App::services(), app.settings_used()).await.unwrap();
    assert_eq!(messages(&app).await, told);
    app.serve_again().await;
    let (seller, buyer) = (seller.at(&app.base()), buyer.at(&app.base()));
    // Payments knows the hold, orders hears of its money, and tickets of its places: all read on where the streams go on now.
    buyer.pay(&held, "pm_card_visa").await.expect(201);
    buyer.until_order(&held, "complete").await;
    assert_eq!(seller.until_counts(&ticket, 0, 5).await["available"], json!(4));
    app.stop().await;
    servers.stop().await;
}

/// How many messages are in the streams of a sale.
async fn messages(app: &App) -> Vec<u64> {
    let jetstream = app.jetstream().await;
    let mut counts = Vec::new();
    for domain in ["orders", "inventory", "payments"] {
        let mut stream = jetstream.get_stream(app.stream(domain)).await.unwrap();
        counts.push(stream.info().await.unwrap().state.messages);
    }
    counts
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}
