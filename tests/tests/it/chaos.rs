//! The short form of `cargo xtask chaos`: two seeds that between them kill and stall, turn events around, lose answers of the database
//! and to buyers, and have the bank fail at refunds alone.

use docket_tests::chaos::{Broker, Length, World, run};

/// The faults of a seed are in its report; these were chosen because they are many and of all kinds.
const SEEDS: [u64; 2] = [14, 15];

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_is_kept_while_servers_and_processes_fail() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path(), Broker::Single).await.unwrap();
    for seed in SEEDS {
        let report = run(&world, seed, Length::Short).await.unwrap();
        assert!(report.violations.is_empty(), "seed {seed}, {}: {:#?}", report.faults, report.violations);
        assert!(report.history.end.orders.len() > 3, "seed {seed}: hardly anybody bought: {}", report.counts());
    }
    world.stop().await;
}
