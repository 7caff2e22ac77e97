//! What a scenario costs.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::time::Instant;

use crate::Result;
use crate::commands::Commands;
use crate::docket::Docket;
use crate::processes::Usage;
use crate::timing::now;

/// CPU time and memory of each process, and the commands that MongoDB was given, from the first request until all
/// that follows from the last one is done.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cost {
    pub(crate) seconds: f64,
    pub(crate) docket: Usage,
    pub(crate) mongod: Usage,
    pub(crate) nats: Usage,
    /// The harness itself, which works on the same machine.
    pub(crate) harness: Usage,
    pub(crate) commands: BTreeMap<String, i64>,
    pub(crate) orders: usize,
    pub(crate) commands_per_order: Option<f64>,
}

/// The state at the beginning.
pub(crate) struct Meter {
    begun: Instant,
    usage: [Usage; 4],
    commands: Commands,
}

impl Meter {
    /// Begins to count.
    pub(crate) async fn start(docket: &Docket) -> Result<Self> {
        let commands = Commands::count(&docket.mongodb).await?;
        Ok(Self { begun: now(), usage: usage(docket)?, commands })
    }

    /// What was added since then, for so many orders.
    pub(crate) async fn stop(self, docket: &Docket, orders: usize) -> Result<Cost> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let [docket_usage, mongod, nats, harness] = usage(docket)?;
        let commands = Commands::count(&docket.mongodb).await?.since(&self.commands);
        let total: i64 = commands.values().sum();
        Ok(Cost {
            seconds,
            docket: docket_usage.since(self.usage[0]),
            mongod: mongod.since(self.usage[1]),
            nats: nats.since(self.usage[2]),
            harness: harness.since(self.usage[3]),
            commands,
            orders,
            commands_per_order: (orders > 0).then(|| total as f64 / orders as f64),
        })
    }
}

fn usage(docket: &Docket) -> Result<[Usage; 4]> {
    let pids = docket.pids;
    let [docket, mongod, nats, harness] = [pids.docket, pids.mongod, pids.nats, std::process::id()].map(Usage::of);
    Ok([docket?, mongod?, nats?, harness?])
}
