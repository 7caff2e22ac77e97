//! `docket doctor` sees what is wrong, and nothing where nothing is.

use async_nats::jetstream::stream::Config;
use bson::doc;
use common::service::{Finding, Health, examine};
use docket_tests::{App, Process, SmtpSink, eventually, free_port, run, spawn};

use super::sale::variables;

async fn seen(app: &App) -> Vec<Finding> {
    let settings =
        common::settings::Settings { public_url: Some(app.base().parse().unwrap()), ..app.settings_used().clone() };
    examine(&App::services(), &settings).await
}

fn about<'f>(findings: &'f [Finding], what: &str) -> &'f Finding {
    findings.iter().find(|finding| finding.about == what).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_wrong_where_all_runs() {
    let app = App::start().await;
    let mut variables = variables(&app);
    variables.push(("DOCKET_PUBLIC_URL", app.base()));
    let output = run("docket", &["doctor"], &variables).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && !said.contains("ILL"), "{said}");
    for wanted in ["mongodb", "nats", "auth", "tickets", "orders", "expiration", "payments", "entry", "stripe"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("ok    {wanted} "))), "{wanted}: {said}");
    }
    app.stop().await;
}

/// What the doctor says of an installation with nothing set but its folder and its addresses, and whether it is content.
async fn examined(variables: &[(&'static str, String)]) -> (bool, String) {
    let output = run("docket", &["doctor"], variables).await;
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// As somebody has it who has typed `docket`, and asks in another terminal, and later when it is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_default_install_is_examined_running_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let data = ("DOCKET_DATA_DIR", folder.path().to_str().unwrap().to_owned());
    let free = [("DOCKET_HTTP_ADDR", "127.0.0.1:0".to_owned()), ("DOCKET_OPS_ADDR", "127.0.0.1:0".to_owned())];
    let (content, said) = examined(&[std::slice::from_ref(&data), &free].concat()).await;
    assert!(content && said.contains("nothing has been started") && said.contains("ok    data"), "{said}");
    assert!(!folder.path().join("mongo").exists(), "it changes nothing");

    let docket: Process = spawn("docket", std::slice::from_ref(&data)).await;
    let address = |url: &str| url.trim_start_matches("http://").to_owned();
    let variables = [data, ("DOCKET_HTTP_ADDR", address(&docket.http)), ("DOCKET_OPS_ADDR", address(&docket.ops))];
    let (content, said) = examined(&variables).await;
    assert!(content && !said.contains("ILL"), "{said}");
    for wanted in ["mongodb", "nats", "auth", "tickets", "orders", "expiration", "payments", "entry", "stripe"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("ok    {wanted} "))), "{wanted}: {said}");
    }
    assert!(said.contains("the stand-in") && said.contains("shown at /dev/mail"), "{said}");
    the_folder_is_another_one(&variables).await;
    eventually("it still answers", 5, || async {
        (docket_tests::ops_of(&docket.ops, "/readyz").await?.0 == 200).then_some(())
    })
    .await;
    assert!(docket.terminate().await);

    let (content, said) = examined(&variables).await;
    assert!(content && !said.contains("ILL") && said.contains("does not run"), "{said}");
    for wanted in ["mongodb", "nats", "auth", "orders", "docket"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("ok    {wanted} "))), "{wanted}: {said}");
    }
}

/// Docket runs, and the doctor looks into a folder that is not the one where it does.
async fn the_folder_is_another_one(variables: &[(&'static str, String)]) {
    let other = tempfile::tempdir().unwrap();
    let mut variables = variables.to_vec();
    variables[0].1 = other.path().join("data").to_str().unwrap().to_owned();
    let (content, said) = examined(&variables).await;
    assert!(!content && said.contains("ILL   docket"), "{said}");
    assert!(
        said.contains("is taken by another process") && said.contains("DOCKET_DATA_DIR is not its folder"),
        "{said}"
    );
}

/// By the rule of the start, which `starts` has in its table.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_used_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (file, others) = (folder.path().join("file"), folder.path().join("others"));
    std::fs::write(&file, "").unwrap();
    std::fs::create_dir_all(others.join("photos")).unwrap();
    let proc = std::path::Path::new("/proc/docket");
    for (path, says) in
        [(&*file, "must be a folder"), (&*others, "files of others (photos)"), (proc, "this user may write into")]
    {
        let variables = [
            ("DOCKET_DATA_DIR", path.to_str().unwrap().to_owned()),
            ("DOCKET_HTTP_ADDR", "127.0.0.1:0".to_owned()),
            ("DOCKET_OPS_ADDR", "127.0.0.1:0".to_owned()),
        ];
        let (content, said) = examined(&variables).await;
        assert!(!content && said.contains("ILL   data        DOCKET_DATA_DIR: ") && said.contains(says), "{said}");
    }
    assert_eq!(std::fs::read_dir(&others).unwrap().count(), 1, "it changes nothing");
}

/// A mail server that is there, one that is not, one that accepts and says nothing, and none at all where others come.
#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_takes_no_mails_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let sink = SmtpSink::listen(([127, 0, 0, 1], 0).into(), 0).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (silent, nobody) = (silent.local_addr().unwrap(), format!("127.0.0.1:{}", free_port()));
    let table = [
        (SmtpSink::url(sink.address()), "ok    mail "),
        (format!("smtp://ann:hunter2@{nobody}"), "ILL   mail "),
        (format!("smtp://{silent}"), "did not answer in time"),
    ];
    for (url, says) in table {
        let variables = [
            ("DOCKET_DATA_DIR", folder.path().to_str().unwrap().to_owned()),
            ("DOCKET_HTTP_ADDR", "127.0.0.1:0".to_owned()),
            ("DOCKET_OPS_ADDR", "127.0.0.1:0".to_owned()),
            ("SMTP_URL", url.clone()),
        ];
        let (content, said) = examined(&variables).await;
        assert!(said.contains(says) && !said.contains("hunter2"), "{url}: {said}");
        assert_eq!(content, says.starts_with("ok"), "{url}: {said}");
        let named = said.contains(&format!("SMTP_URL ({}", url.rsplit(['@', '/']).next().unwrap()));
        assert_eq!(named, !content, "{url}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told() {
    let services = App::services().into_iter().filter(|service| service.name() != "expiration").collect();
    let app = App::of(services, |_| {}).await;
    let letters = app.database("orders").await.collection("dead_letters");
    letters.insert_one(doc! { "_id": "payments:1", "service": "orders" }).await.unwrap();
    let findings = seen(&app).await;
    let (expiration, orders) = (about(&findings, "expiration"), about(&findings, "orders"));
    assert_eq!(expiration.health, Health::Ill);
    assert!(expiration.says.contains("does not listen to orders"), "{expiration}");
    assert_eq!(orders.health, Health::Doubtful);
    assert!(orders.says.contains("1 dead letters"), "{orders}");
    assert_eq!(about(&findings, "nats").health, Health::Well);

    app.stop_serving().await;
    let old = doc! { "_id": "1", "version": 1_i64, "outbox": [{ "at": bson::DateTime::from_millis(0) }] };
    app.database("tickets").await.collection("tickets").insert_one(old).await.unwrap();
    let findings = seen(&app).await;
    for (what, says) in [("tickets", "1 events wait to be published"), ("entry", "does Docket run")] {
        let finding = about(&findings, what);
        assert!(finding.to_string().contains(says), "{finding}");
    }
    assert_eq!(about(&findings, "tickets").health, Health::Ill);
    app.stop().await;
}

/// Payments is away for longer than a stream reaches back. The owner then tells what it missed.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_will_never_hear_is_told() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(3).await, 1).await.expect(201);
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    let stream = async || app.jetstream().await.get_stream(app.stream("orders")).await.unwrap();
    let all_heard = async || {
        let heard = stream().await.consumer_info("payments").await.unwrap().ack_floor.stream_sequence;
        (heard == stream().await.cached_info().state.last_sequence).then_some(())
    };
    eventually("payments has heard all", 30, all_heard).await;
    app.stop_serving().await;
    assert!(!about(&seen(&app).await, "payments").says.contains("missed"));
    let subject = format!("{}.orders.v1.nobody", app.settings_used().namespace);
    for _ in 0..3 {
        app.jetstream().await.publish(subject.clone(), "{}".into()).await.unwrap().await.unwrap();
    }
    let bounded = Config { max_messages: 1, ..stream().await.cached_info().config.clone() };
    app.jetstream().await.update_stream(bounded).await.unwrap();
    let payments = about(&seen(&app).await, "payments").clone();
    assert_eq!(payments.health, Health::Ill);
    assert!(payments.says.contains("has missed events of orders"), "{payments}");
    app.stop().await;
}

/// A stream that somebody has changed by hand.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_differs_is_named() {
    let app = App::start().await;
    let jetstream = app.jetstream().await;
    let stream = jetstream.get_stream(app.stream("orders")).await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.duplicate_window = std::time::Duration::from_secs(1);
    jetstream.update_stream(config).await.unwrap();
    let findings = seen(&app).await;
    let nats = about(&findings, "nats");
    assert!(nats.health == Health::Ill && nats.says.contains("duplicate_window"), "{nats}");
    app.stop().await;
}
