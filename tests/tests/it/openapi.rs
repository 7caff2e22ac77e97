//! The API document is true: what the running platform answers is held against it, by schemathesis and bound by bound.
//!
//! Left out of schemathesis' checks is `positive_data_acceptance`: no schema says which password is too easy to guess, which pass is
//! genuine, which currency can be charged or that a sale must end later than now, so what fits the schema may be refused. Those that
//! compare what several calls answer (`use_after_free`, `ensure_resource_availability`) belong to its stateful phase, which is not
//! run: listings and orders are not forgotten when they are deleted, and other tests follow them. `object_level_authorization` wants
//! two people at once; the tests of policies see to that.

mod bounds;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use common::http::auth::ACCESS_COOKIE;
use docket_manifests::Tools;
use docket_tests::{App, Person};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

/// The document, as it is committed; `cargo xtask check` holds it against the routes.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

/// A run ends by itself in a small part of this.
const LONGEST: Duration = Duration::from_secs(540);

/// What is sent to each operation beside what covers its schema.
const EXAMPLES: &str = "6";

/// Ends the session whose token is used: only those who are not signed in try it.
const SIGN_OUT: [&str; 2] = ["--exclude-path", "/api/users/signout"];

/// Of who is not signed in, policies answer all the rest with 401.
const FOR_EVERYBODY: [&str; 2] = ["--include-by", "/x-policy == public"];

/// What there is to be found, by the paths that name it.
const PLACES: [(&str, &str); 5] = [
    (r"^/api/tickets/", "ticket"),
    (r"^/api/orders/sales/", "ticket"),
    (r"^/api/orders/\\{id", "order"),
    (r"^/api/payments/", "order"),
    (r"^/api/users/\\{id", "person"),
];

/// Faults of ours are no answers, and what is refused is refused by a status that says so. What others have made a moment ago is not
/// asked for: `orders` would wait for what it has not heard of.
const RULES: &str = r#"
continue-on-failure = true
checks.positive_data_acceptance.enabled = false
checks.negative_data_rejection.expected-statuses = ["4xx"]
checks.missing_required_header.expected-statuses = ["4xx"]
phases.coverage.extra-data-sources.responses = false
phases.fuzzing.extra-data-sources.responses = false
phases.fuzzing.error-feedback.enabled = false
"#;

fn document() -> Value {
    serde_json::from_slice(&std::fs::read(DOCUMENT).unwrap()).unwrap()
}

#[tokio::test]
async fn a_seller_is_answered_as_the_document_says() {
    let app = app().await;
    let seller = app.sign_up().await;
    let things = things(&app, &seller).await;
    hold_against_document(&app, Some(&seller), &things, &SIGN_OUT).await;
    app.stop().await;
}

#[tokio::test]
async fn an_administrator_is_answered_as_the_document_says() {
    let app = app().await;
    let admin = app.admin().await;
    let things = things(&app, &admin).await;
    hold_against_document(&app, Some(&admin), &things, &SIGN_OUT).await;
    app.stop().await;
}

#[tokio::test]
async fn a_visitor_is_answered_as_the_document_says() {
    let app = app().await;
    let things = things(&app, &app.sign_up().await).await;
    hold_against_document(&app, None, &things, &FOR_EVERYBODY).await;
    app.stop().await;
}

/// Nobody is told to wait: a refusal for haste would hide what is answered.
async fn app() -> App {
    App::with(|settings| {
        settings.posts_per_second = 0;
        settings.hold_pause_after = 0;
    })
    .await
}

/// Something that `seller` sells, an order of it that is paid, and who bought it.
async fn things(app: &App, seller: &Person) -> Value {
    let (ticket, buyer) = (seller.sell(1_000).await, app.sign_up().await);
    let order = buyer.buy(&ticket, 2).await;
    json!({ "ticket": ticket["id"], "order": order["id"], "person": buyer.id })
}

/// Has schemathesis send what the document allows and what it does not, and look at each answer.
async fn hold_against_document(app: &App, caller: Option<&Person>, things: &Value, which: &[&str]) {
    let folder = TempDir::new().unwrap();
    tokio::fs::write(folder.path().join("schemathesis.toml"), configuration(things)).await.unwrap();
    let mut command = schemathesis(folder.path(), &app.base());
    command.args(which);
    if let Some(token) = caller.and_then(|caller| caller.cookie(ACCESS_COOKIE)) {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let output = timeout(LONGEST, command.output()).await.expect("schemathesis comes to an end").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{wrong}");
    eprintln!("{}", said.lines().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n"));
}

fn schemathesis(folder: &Path, base: &str) -> Command {
    let tools = std::env::var_os("DOCKET_TEST_TOOLS").expect("DOCKET_TEST_TOOLS is not set: run `cargo xtask test`");
    let mut command = Command::from(Tools::installed_in(tools.into()).command("st"));
    command.args(["--config-file", "schemathesis.toml", "run", DOCUMENT, "--url", base]);
    command.args([
        "--phases",
        "coverage,fuzzing",
        "--max-examples",
        EXAMPLES,
        "--seed",
        "1",
        "--no-shrink",
        "--workers",
        "1",
    ]);
    command.args(["--request-timeout", "20", "--generation-database", "none", "--no-color", "--warnings", "off"]);
    command.current_dir(folder).kill_on_drop(true);
    command
}

fn configuration(things: &Value) -> String {
    let mut text = RULES.to_owned();
    for (name, id) in things.as_object().unwrap() {
        writeln!(text, "dictionaries.{name}.values = [{id}]").unwrap();
    }
    for (paths, name) in PLACES {
        let id = format!(r#"{{ dictionary = "{name}", probability = 0.7 }}"#);
        writeln!(text, "[[operations]]\ninclude-path-regex = \"{paths}\"\nparameters.\"path.id\" = {id}").unwrap();
    }
    text
}
