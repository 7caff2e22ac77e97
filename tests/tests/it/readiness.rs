//! Readiness is about one replica: what is away for all stands in `/status`, what this replica alone cannot do in `/readyz`.

use docket_local::{LocalServers, Options};
use docket_tests::{App, FaultProxy, Process, Way, begin, eventually, ops_of};
use secrecy::SecretString;
use serde_json::Value;

/// Until a process is alive, and not ready for want of what the check of this name tells. Before the check is registered,
/// `/readyz` does not have it.
async fn until_waiting_for(check: &str, process: &Process) {
    eventually(&format!("it waits for {check}"), 20, || async {
        let (code, body) = ops_of(&process.ops, "/readyz").await?;
        let said: Value = serde_json::from_str(&body).ok()?;
        (code == 503 && said["checks"][check] == false).then_some(())
    })
    .await;
    assert_eq!(ops_of(&process.ops, "/livez").await.unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_servers_are_not_there_yet_is_alive_and_waits_for_them() {
    let app = App::start().await;
    let proxy = FaultProxy::before(crate::refunds::mongodb()).await;
    proxy.set(Way::Cut);
    let mut variables = crate::sale::variables(&app);
    variables.retain(|(name, _)| *name != "MONGODB_URI");
    variables.push(("MONGODB_URI", format!("mongodb://127.0.0.1:{}/?directConnection=true", proxy.port())));
    variables.push(("DOCKET_JWKS_URL", format!("{}/.well-known/jwks.json", app.base())));
    let (orders, stopped) = (begin("orders", &variables), begin("orders", &variables));
    until_waiting_for("mongodb", &orders).await;
    until_waiting_for("mongodb", &stopped).await;
    assert!(stopped.terminate().await, "it can be stopped while it waits");
    proxy.set(Way::Open);
    orders.until_ready("orders").await;
    assert!(orders.terminate().await);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_not_ready_before_they_have_reached_the_services_once() {
    let app = App::start().await;
    let address = app.base().trim_start_matches("http://").parse().unwrap();
    let proxy = FaultProxy::before(address).await;
    proxy.set(Way::Cut);
    let web = begin("web", &[("DOCKET_API_URL", format!("http://127.0.0.1:{}", proxy.port()))]);
    until_waiting_for("tickets", &web).await;
    proxy.set(Way::Open);
    web.until_ready("web").await;
    proxy.set(Way::Cut);
    assert_eq!(
        ops_of(&web.ops, "/readyz").await.unwrap().0,
        200,
        "what is away for all takes no replica out of service"
    );
    assert!(web.terminate().await);
    app.stop().await;
}

async fn ready(app: &App) -> u16 {
    ops_of(&app.ops(), "/readyz").await.unwrap().0
}

async fn shared(app: &App, name: &str) -> Value {
    let (code, body) = ops_of(&app.ops(), "/status").await.unwrap();
    assert_eq!(code, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["shared"][name].clone()
}

async fn until_well(app: &App, name: &str, well: bool) -> Value {
    eventually(&format!("{name} is well: {well}"), 40, || async {
        let shared = shared(app, name).await;
        assert_eq!(ready(app).await, 200, "{name} is away for all, which is no reason to send requests elsewhere");
        (shared["well"] == well).then_some(shared)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_for_all_takes_no_replica_out_of_service() {
    let folder = tempfile::tempdir().unwrap();
    let servers = LocalServers::start(Options::for_tests(folder.path())).await.unwrap();
    let app = App::with(|settings| {
        settings.mongodb_uri = servers.mongodb_uri().map(SecretString::from);
        settings.nats_url = servers.nats_url().map(SecretString::from);
    })
    .await;
    for (name, server) in [("nats", servers.nats().unwrap()), ("mongodb", servers.mongod().unwrap())] {
        until_well(&app, name, true).await;
        server.stop().await.unwrap();
        let away = until_well(&app, name, false).await;
        assert_eq!(away["connectionStuck"], false, "{name}");
        server.start().await.unwrap();
        until_well(&app, name, true).await;
    }
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(1).await, 1).await.expect(201);
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    app.stop().await;
    servers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_own_connection_is_stuck_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let servers = LocalServers::start(Options { mongod: false, ..Options::for_tests(folder.path()) }).await.unwrap();
    let proxy = FaultProxy::before(([127, 0, 0, 1], servers.nats().unwrap().port()).into()).await;
    let url = format!("nats://127.0.0.1:{}", proxy.port());
    let app = App::with(|settings| settings.nats_url = Some(SecretString::from(url))).await;
    assert_eq!(ready(&app).await, 200);
    proxy.stall_present();
    eventually("the replica is not ready", 60, || async { (ready(&app).await == 503).then_some(()) }).await;
    let nats = shared(&app, "nats").await;
    assert_eq!((&nats["well"], &nats["connectionStuck"]), (&false.into(), &true.into()), "{nats}");
    let (_, said) = ops_of(&app.ops(), "/readyz").await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["checks"]["nats"], false, "{said}");
    drop(proxy);
    app.stop().await;
    servers.stop().await;
}
