//! A replica and its connections to MongoDB: slow ones are in use, stuck ones are not, and a database that is silent for all
//! is no reason to send requests elsewhere.

use std::time::Duration;

use bson::doc;
use common::telemetry::stopwatch;
use docket_local::{LocalServers, Options};
use docket_tests::{App, FaultProxy, Person, Way, eventually, ops_of, pause};
use futures::future::join_all;
use mongodb::Client;
use secrecy::SecretString;
use serde_json::Value;

/// Longer than it takes until a stuck connection is told.
const SLOW_FOR: Duration = Duration::from_secs(25);

/// How many requests may be in work: one person may have as many of them.
const PLACES: u16 = 8;

/// Who has a place waits longer than this for a frozen database.
const AT_ONCE: Duration = Duration::from_secs(3);

async fn database_alone(folder: &tempfile::TempDir) -> LocalServers {
    LocalServers::start(Options { nats: false, ..Options::for_tests(folder.path()) }).await.unwrap()
}

async fn asked(app: &App, path: &str) -> (u16, Value) {
    let (status, body) = ops_of(&app.ops(), path).await.unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

async fn mongodb(app: &App) -> Value {
    asked(app, "/status").await.1["shared"]["mongodb"].clone()
}

/// Has MongoDB wait before it answers a query of the services, or answer at once again.
async fn slow_queries(uri: &str, wait_ms: Option<i32>) {
    let admin = Client::with_uri_str(uri).await.unwrap().database("admin");
    let point = match wait_ms {
        Some(wait) => doc! {
            "configureFailPoint": "failCommand", "mode": "alwaysOn",
            "data": { "failCommands": ["find"], "appName": "docket", "blockConnection": true, "blockTimeMS": wait },
        },
        None => doc! { "configureFailPoint": "failCommand", "mode": "off" },
    };
    admin.run_command(point).await.unwrap();
}

/// Asks for a list again and again, and counts the answers.
async fn keep_asking(person: &Person) -> usize {
    let mut answered = 0;
    let asking = async {
        loop {
            answered += usize::from(person.get("/api/orders").await.status == 200);
        }
    };
    tokio::select! {
        () = asking => {}
        () = pause(SLOW_FOR) => {}
    }
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_full_of_slow_commands_is_no_stuck_connection() {
    let folder = tempfile::tempdir().unwrap();
    let servers = database_alone(&folder).await;
    let uri = servers.mongodb_uri().unwrap();
    // Four connections for twelve who ask: who comes last waits longer than a look may take.
    let small = SecretString::from(format!("{uri}&maxPoolSize=4"));
    let services = vec![auth::service(), orders::service()];
    let app = App::of(services, |settings| settings.mongodb_uri = Some(small)).await;
    let people = join_all((0..4).map(|_| app.sign_up())).await;
    let crowd: Vec<&Person> = people.iter().cycle().take(12).collect();

    slow_queries(uri, Some(2_000)).await;
    let watched = async {
        let mut unready = Vec::new();
        let watching = async {
            loop {
                let (status, said) = asked(&app, "/readyz").await;
                if status != 200 {
                    unready.push(said);
                }
                pause(Duration::from_millis(200)).await;
            }
        };
        tokio::select! {
            () = watching => {}
            () = pause(SLOW_FOR) => {}
        }
        unready
    };
    let (answered, unready) = tokio::join!(join_all(crowd.into_iter().map(keep_asking)), watched);
    slow_queries(uri, None).await;
    let answered: usize = answered.into_iter().sum();
    assert!((10..100).contains(&answered), "the pool was full, and its commands were answered: {answered}");
    assert_eq!(unready, Vec::<Value>::new(), "{answered} commands were answered");
    app.stop().await;
    servers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_connections_to_mongodb_are_stuck_says_so_until_it_has_others() {
    let folder = tempfile::tempdir().unwrap();
    let servers = database_alone(&folder).await;
    let proxy = FaultProxy::before(([127, 0, 0, 1], servers.mongod().unwrap().port()).into()).await;
    // The driver's own look at the server is put off: it would notice, and throw all connections away.
    let uri = format!("mongodb://127.0.0.1:{}/?directConnection=true&heartbeatFrequencyMS=300000", proxy.port());
    let app = App::of(vec![auth::service()], |settings| settings.mongodb_uri = Some(SecretString::from(uri))).await;
    let people = join_all((0..6).map(|_| app.sign_up())).await;
    // So slow that each of them has a connection of its own, however busy the machine is.
    proxy.set(Way::Slow(Duration::from_millis(300)));
    join_all(people.iter().cycle().take(24).map(|person| person.get("/api/users/sessions"))).await;
    proxy.set(Way::Open);
    assert_eq!(asked(&app, "/readyz").await.0, 200);

    proxy.stall_present();
    eventually("the replica is not ready", 60, || async { (asked(&app, "/readyz").await.0 == 503).then_some(()) })
        .await;
    let seen = mongodb(&app).await;
    assert_eq!((&seen["well"], &seen["connectionStuck"]), (&false.into(), &true.into()), "{seen}");
    let (_, said) = asked(&app, "/readyz").await;
    assert_eq!(said["checks"]["mongodb"], false, "{said}");
    // Each command that is given up takes its connection with it, until there are none of these.
    eventually("the replica is ready", 180, || async { (asked(&app, "/readyz").await.0 == 200).then_some(()) }).await;
    people[0].get("/api/users/sessions").await.expect(200);
    app.stop().await;
    servers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_frozen_for_all_takes_no_replica_out_of_service() {
    let folder = tempfile::tempdir().unwrap();
    let servers = database_alone(&folder).await;
    let services = vec![auth::service(), tickets::service(), web::service()];
    let app = App::of(services, |settings| {
        settings.mongodb_uri = servers.mongodb_uri().map(SecretString::from);
        settings.max_in_flight = PLACES;
    })
    .await;
    let person = app.sign_up().await;
    servers.mongod().unwrap().pause().await.unwrap();
    let seen = eventually("MongoDB is told to be silent", 40, || async {
        let seen = mongodb(&app).await;
        (seen["well"] == false && seen["silentSeconds"].as_u64() >= Some(15)).then_some(seen)
    })
    .await;
    assert_eq!(seen["connectionStuck"], false, "{seen}");
    assert_eq!(asked(&app, "/readyz").await.0, 200, "it is away for all");
    let answer = person.get("/api/users/sessions").await;
    assert!(answer.headers.contains_key("retry-after"), "{:?}", answer.headers);
    answer.problem(503, "unavailable");
    let begun = stopwatch();
    let asked = join_all((0..2 * PLACES).map(|_| async { (person.get("/api/users/sessions").await, begun.elapsed()) }));
    let at_once = asked.await.into_iter().filter(|(_, after)| *after < AT_ONCE).map(|(answer, _)| answer);
    let at_once: Vec<_> = at_once.collect();
    assert!(!at_once.is_empty(), "whoever finds all places taken is turned away at once");
    for answer in at_once {
        // They are told what keeps the places taken.
        assert_eq!(
            answer.problem(503, "unavailable")["detail"],
            "The database does not answer. Try again in a moment."
        );
    }
    let page = app.visitor().get("/").await;
    let text = page.body.as_str().unwrap();
    assert!(page.status == 503 && text.contains("does not answer") && !text.contains("busy"), "{text}");
    servers.mongod().unwrap().resume().await.unwrap();
    eventually("MongoDB is well", 40, || async { (mongodb(&app).await["well"] == true).then_some(()) }).await;
    person.get("/api/users/sessions").await.expect(200);
    app.stop().await;
    servers.stop().await;
}
