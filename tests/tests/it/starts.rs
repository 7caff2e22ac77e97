//! What `docket` says of wrong settings, before it starts anything.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use docket_stripe::{Options, StripeStandIn};
use docket_tests::{App, Person, Process, free_port, run, run_at_once, spawn};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What ends a process whose settings are wrong.
const WRONG_SETTINGS: i32 = 2;

type Variables = Vec<(&'static str, String)>;

/// Variables with which it would start, on servers of its own.
fn right(folder: &Path) -> Variables {
    vec![
        ("DOCKET_HTTP_ADDR", "127.0.0.1:0".to_owned()),
        ("DOCKET_OPS_ADDR", "127.0.0.1:0".to_owned()),
        ("DOCKET_DATA_DIR", folder.join("data").to_str().unwrap().to_owned()),
    ]
}

/// Variables with which it starts on the servers of the run, with the data and the Stripe account of `app`, which does not run.
async fn shared(folder: &Path) -> (App, Variables) {
    let app = App::start().await;
    app.stop_serving().await;
    let own = ("DOCKET_DATA_DIR", folder.to_str().unwrap().to_owned());
    let variables = super::sale::variables(&app).into_iter().chain([own, ("DOCKET_STREAM_MIB", "64".to_owned())]);
    (app, variables.collect())
}

fn with(mut variables: Variables, others: &[(&'static str, &str)]) -> Variables {
    variables.retain(|(name, _)| others.iter().all(|(other, _)| other != name));
    variables.extend(others.iter().map(|(name, value)| (*name, (*value).to_owned())));
    variables
}

/// What it says when it refuses to start; it has started no server by then.
async fn refusal(folder: &Path, others: &[(&'static str, &str)]) -> String {
    let output = run_at_once("docket", &[], &with(right(folder), others)).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(WRONG_SETTINGS), "{others:?}: {said}");
    assert!(!folder.join("data/mongo").exists() && !folder.join("data/nats").exists(), "{others:?} started servers");
    said
}

/// A broker that is not there yet is waited for; one that says no says no again.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_is_not_waited_for() {
    let folder = TempDir::new().unwrap();
    let (app, variables) = shared(folder.path()).await;
    let namespace = format!("{}three", app.settings_used().namespace);
    let alone = [
        ("DOCKET_HTTP_ADDR", "127.0.0.1:0"),
        ("DOCKET_OPS_ADDR", "127.0.0.1:0"),
        ("DOCKET_JWKS_URL", "http://127.0.0.1:1/jwks"),
        ("DOCKET_NAMESPACE", &namespace),
        ("NATS_REPLICAS", "3"),
    ];
    let variables = with(variables, &alone);
    let ends = run("expiration", &[], &variables);
    let output = tokio::time::timeout(Duration::from_secs(60), ends).await.expect("it ends by itself");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("replicas"), "{:?}: {said}", output.status);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_setting_is_told_at_once_by_its_name() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_addr = taken.local_addr().unwrap().to_string();
    fs::write(folder.path().join("file"), "").unwrap();
    fs::create_dir_all(folder.path().join("others/photos")).unwrap();
    fs::create_dir(folder.path().join("owned")).unwrap();
    let lock = fs::File::create(folder.path().join("owned/lock")).unwrap();
    lock.lock().unwrap();
    fs::write(folder.path().join("owned/lock"), "4711").unwrap();
    let nobody = free_port();
    let (mongodb, nats) = (format!("mongodb://127.0.0.1:{nobody}"), format!("nats://u:hunter2@127.0.0.1:{nobody}"));
    let table: &[(&'static str, &str, &[&str])] = &[
        ("DOCKET_HTTP_ADDR", &taken_addr, &[&taken_addr, "is taken", "another port"]),
        ("DOCKET_OPS_ADDR", &taken_addr, &[&taken_addr, "is taken", "another port"]),
        ("DOCKET_HTTP_ADDR", "192.0.2.7:8080", &["is no address of this machine"]),
        ("DOCKET_HTTP_ADDR", "8080", &["invalid socket address"]),
        ("DOCKET_DATA_DIR", &path("file"), &["folder that this user may write into"]),
        ("DOCKET_DATA_DIR", &path("file/below"), &["folder that this user may write into"]),
        ("DOCKET_DATA_DIR", "/proc/docket", &["folder that this user may write into"]),
        ("DOCKET_DATA_DIR", &path("others"), &["files of others (photos)", "choose an empty folder"]),
        ("DOCKET_DATA_DIR", &path("owned"), &["in use by another Docket (process 4711)", "stop it"]),
        ("MONGODB_URI", &mongodb, &["nobody listens", &nobody.to_string()]),
        ("MONGODB_URI", "127.0.0.1:27017", &["must begin with mongodb://"]),
        ("NATS_URL", &nats, &["cannot connect to NATS"]),
        ("NATS_URL", "http://127.0.0.1:4222", &["must be NATS servers such as nats://"]),
        ("STRIPE_SECRET_KEY", "pk_test_hunter2", &["publishable"]),
        ("STRIPE_SECRET_KEY", "sk_test_hunter2\n", &["white space"]),
        ("STRIPE_SECRET_KEY", "hunter2", &["such as sk_test_"]),
        ("STRIPE_WEBHOOK_SECRET", "whsec_hunter2,", &["empty"]),
        ("STRIPE_WEBHOOK_SECRET", ",", &["empty"]),
        ("STRIPE_WEBHOOK_SECRET", "sk_test_hunter2", &["such as whsec_"]),
        ("DOCKET_PUBLIC_URL", "docket.example.org", &["must be a web address such as https://docket.example.org"]),
        ("DOCKET_PUBLIC_URL", "https://docket.example.org/?from=1", &["must be a web address"]),
        ("DOCKET_PUBLIC_URL", "http://0.0.0.0:8080", &["must be a web address"]),
        ("BUSINESS_TIME_ZONE", "Mars/Base", &["Europe/Rome"]),
        ("BOOTSTRAP_ADMIN_EMAIL", "admin", &["must be an e-mail address"]),
        ("BOOTSTRAP_ADMIN_EMAIL", "admin@[127.0.0.1]", &["the name of a domain"]),
        ("RUST_LOG", "a=b=c", &["info,orders=debug"]),
        ("DOCKET_TRUSTED_PROXIES", "10.0.0.0/8, proxy", &["must be networks such as 10.0.0.0/8"]),
        ("DOCKET_TRUSTED_PROXIES", "10.0.0.0/8, ::/0", &["must not be ::/0, which is everybody"]),
        ("NATS_REPLICAS", "3", &["must be 1 with the NATS server that Docket starts itself, not 3"]),
    ];
    for (variable, value, says) in table {
        let said = refusal(folder.path(), &[(variable, value)]).await;
        assert!(said.contains(variable), "{variable}={value}: {said}");
        for part in *says {
            assert!(said.contains(part), "{variable}={value} lacks {part:?}: {said}");
        }
        assert!(!said.contains("hunter2"), "{variable}: a secret is told: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_wrong_is_told_in_one_answer() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_addr = taken.local_addr().unwrap().to_string();
    fs::write(folder.path().join("file"), "").unwrap();
    let file = folder.path().join("file").to_str().unwrap().to_owned();
    let nobody = format!("mongodb://127.0.0.1:{}", free_port());
    let wrong = [
        ("DOCKET_HTTP_ADDR", &*taken_addr),
        ("DOCKET_DATA_DIR", &file),
        ("MONGODB_URI", &nobody),
        ("STRIPE_WEBHOOK_SECRET", "whsec_a,,whsec_b"),
        ("HOLD_SECONDS", "0"),
        ("DOCKET_NAMESPACE", "My Shop"),
        ("RUST_LOG", "a=b=c"),
    ];
    let said = refusal(folder.path(), &wrong).await;
    for (variable, _) in wrong {
        assert_eq!(said.matches(variable).count(), 1, "{variable}: {said}");
    }
    assert!(said.contains("7 settings are wrong"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_variable_is_as_good_as_none() {
    use clap::CommandFactory as _;
    let command = common::settings::Settings::command();
    let names: Vec<String> =
        command.get_arguments().filter_map(|arg| arg.get_env()?.to_str().map(str::to_owned)).collect();
    assert!(names.len() > 30, "{names:?}");
    for empty in ["", " "] {
        let variables: Vec<(&str, String)> = names.iter().map(|name| (name.as_str(), empty.to_owned())).collect();
        let output = run_at_once("docket", &["rebuild", "nobody"], &variables).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("there is no service nobody"), "{said}");
    }
}

/// The form of the key is right, and only Stripe can know that it is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_stripe_refuses_is_told_at_once() {
    let stripe = StripeStandIn::start(Options::default()).await.unwrap();
    let folder = TempDir::new().unwrap();
    let base = stripe.base_url();
    let key = [("STRIPE_API_BASE", &*base), ("STRIPE_SECRET_KEY", "sk_test_other")];
    let said = refusal(folder.path(), &key).await;
    assert!(said.contains("STRIPE_SECRET_KEY: Stripe refuses it"), "{said}");
    stripe.stop().await;
}

const PUBLIC: (&str, &str) = ("DOCKET_PUBLIC_URL", "https://docket.example.org");

#[tokio::test(flavor = "multi_thread")]
async fn no_public_address_has_demo_accounts_or_the_stand_in_for_stripe() {
    let folder = TempDir::new().unwrap();
    let both = refusal(folder.path(), &[PUBLIC]).await;
    for part in ["STRIPE_SECRET_KEY", "DOCKET_DEMO=0", "DOCKET_PUBLIC_DEMO=1", "https://docket.example.org"] {
        assert!(both.contains(part), "{part}: {both}");
    }
    let no_key = refusal(folder.path(), &[PUBLIC, ("DOCKET_DEMO", "0")]).await;
    assert!(no_key.contains("STRIPE_SECRET_KEY") && !no_key.contains("DOCKET_DEMO=0"), "{no_key}");
    let everywhere = refusal(folder.path(), &[("DOCKET_HTTP_ADDR", "0.0.0.0:0")]).await;
    assert!(everywhere.contains("DOCKET_PUBLIC_URL"), "{everywhere}");
    let (app, variables) = shared(&folder.path().join("shared")).await;
    let demo = with(variables, &[PUBLIC, ("DOCKET_DEMO", "1")]);
    let anywhere = [("DOCKET_HTTP_ADDR", "127.0.0.1:0"), ("DOCKET_OPS_ADDR", "127.0.0.1:0")];
    let output = run_at_once("docket", &[], &with(demo.clone(), &anywhere)).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(WRONG_SETTINGS) && said.contains("DOCKET_DEMO=0"), "{said}");

    let wanted = spawn("docket", &with(demo, &[("DOCKET_PUBLIC_DEMO", "1")])).await;
    assert!(wanted.terminate().await);
    app.stop().await;
}

async fn demo_sign_in(docket: &Process, password: &str) -> u16 {
    let body = json!({ "email": "seller@example.com", "password": password });
    Person::visitor(&docket.http).post("/api/users/signin", body).await.status
}

/// A demo, tried on one's own machine, becomes a shop with its data. The seller's password is still the one that everybody knows; the
/// buyer has another one by then.
#[tokio::test(flavor = "multi_thread")]
async fn demo_accounts_are_closed_where_an_installation_becomes_public() {
    const DEMO: &str = "docket-demo-2026";
    let folder = TempDir::new().unwrap();
    let (app, variables) = shared(folder.path()).await;
    let docket = spawn("docket", &variables).await;
    for email in ["seller@example.com", "buyer@example.com"] {
        let person = json!({ "email": email, "password": DEMO });
        Person::visitor(&docket.http).post("/api/users/signup", person).await.expect(201);
    }
    let mut buyer = Person::visitor(&docket.http);
    buyer.email = "buyer@example.com".to_owned();
    buyer.post("/api/users/signin", json!({ "email": buyer.email, "password": DEMO })).await.expect(200);
    let own = json!({ "currentPassword": DEMO, "newPassword": "nobody knows this one" });
    buyer.post("/api/users/change-password", own).await.expect(200);
    assert!(docket.terminate().await);

    let docket = spawn("docket", &variables).await;
    assert_eq!(demo_sign_in(&docket, DEMO).await, 200, "on one's own machine it stays open");
    assert!(docket.terminate().await);

    let docket = spawn("docket", &with(variables, &[PUBLIC])).await;
    assert_eq!(demo_sign_in(&docket, DEMO).await, 401);
    let own = json!({ "email": buyer.email, "password": "nobody knows this one" });
    Person::visitor(&docket.http).post("/api/users/signin", own).await.expect(200);
    assert!(docket.terminate().await);
    app.stop().await;
}

/// A demo is killed at some moments of its first start; the next start completes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_is_killed_early_is_completed_by_the_next() {
    let folder = TempDir::new().unwrap();
    let (app, variables) = shared(folder.path()).await;
    let variables = with(variables, &[("DOCKET_DEMO", "1")]);
    for _ in 0..3 {
        spawn("docket", &variables).await.kill().await;
    }
    let docket = spawn("docket", &variables).await;
    let visitor = Person::visitor(&docket.http);
    docket_tests::eventually("all listings are there", 60, || async {
        let listings: Value = visitor.get("/api/tickets?limit=100").await.expect(200);
        (listings["items"].as_array().unwrap().len() == 8).then_some(())
    })
    .await;
    assert!(docket.terminate().await);
    app.stop().await;
}
