//! What goes wrong, done to a world as planned, and undone.

use std::time::Duration;

use docket_local::Server;
use serde_json::json;

use super::plan::{Fault, Plan, Planned, Webhooks};
use super::world::World;
use crate::fault_proxy::Way;
use crate::wait::pause;

/// Does all that is planned. Comes back when all of it is over; what is broken then stays so until it is healed.
pub(crate) async fn harm(world: &World, plan: &Plan) {
    webhooks(world, plan.webhooks).await;
    futures::future::join_all(plan.faults.iter().map(|planned| one(world, planned))).await;
}

async fn webhooks(world: &World, how: Webhooks) {
    let retry = json!([200, 1_000, 3_000, 10_000]);
    let mode = match how {
        Webhooks::Prompt => json!({ "retry_ms": retry }),
        Webhooks::Late(delay) => json!({ "retry_ms": retry, "delay_ms": delay.as_millis() }),
        Webhooks::Repeated => json!({ "retry_ms": retry, "duplicate": 2, "shuffle": true }),
        Webhooks::Lost => json!({ "retry_ms": retry, "hold": true }),
    };
    world.bank_lever("/test/webhooks/mode", mode).await;
}

async fn one(world: &World, Planned { at, length, fault }: &Planned) {
    pause(*at).await;
    match fault {
        Fault::Link { of, to, way } => {
            let set = |way| of.iter().for_each(|name| world.member(name).set_way(*to, way));
            set(*way);
            pause(*length).await;
            set(Way::Open);
        }
        Fault::Kill(name) => {
            world.member(name).kill().await;
            pause(*length).await;
            world.member(name).start(0).await;
        }
        Fault::Skew(name, offset) => {
            world.member(name).kill().await;
            world.member(name).start(*offset).await;
        }
        Fault::Freeze(name) => {
            world.member(name).freeze().await;
            pause(*length).await;
            world.member(name).thaw().await;
        }
        Fault::KillServer(server, nth) => kill_server(world.server(*server, *nth), *length).await,
        Fault::FreezeServer(server, nth) => freeze_server(world.server(*server, *nth), *length).await,
        Fault::Redeliver => {
            if let Err(error) = world.redeliver().await {
                tracing::debug!(%error, "the broker is harmed too, so not everything comes again");
            }
        }
        Fault::BankSilent { calls } => {
            let fault = json!({ "count": calls, "method": "POST", "kind": "disconnect", "when": "after" });
            world.bank_lever("/test/faults", fault).await;
        }
    }
}

/// Two faults may meet at one server; then the second finds it down, which is harm enough.
async fn kill_server(server: &Server, length: Duration) {
    if let Err(error) = server.kill().await {
        tracing::debug!(%error, "a server is harmed twice");
    }
    pause(length).await;
    if let Err(error) = server.start().await {
        tracing::debug!(%error, "a server is harmed twice");
    }
}

async fn freeze_server(server: &Server, length: Duration) {
    if let Err(error) = server.pause().await {
        tracing::debug!(%error, "a server is harmed twice");
    }
    pause(length).await;
    if let Err(error) = server.resume().await {
        tracing::debug!(%error, "a server is harmed twice");
    }
}

/// Takes all harm away: servers and processes run and are ready, the bank answers.
///
/// # Errors
/// What does not get well again.
pub(crate) async fn heal(world: &World) -> Result<(), String> {
    world.bank_well().await;
    for server in world.all_servers() {
        // Frozen or not: one that is down says so, and is started.
        let _ = server.resume().await;
        server.start().await.map_err(|error| error.to_string())?;
    }
    let healed = futures::future::join_all(world.members.iter().map(super::member::Member::heal)).await;
    healed.into_iter().collect()
}
