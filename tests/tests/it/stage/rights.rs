//! With its own credentials, each service is refused everything that is another one's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerError, jetstream};
use bson::{Document, doc};
use docket_tests::{Stage, until};
use futures::TryStreamExt as _;
use mongodb::error::{Error, ErrorKind};

/// Who publishes the events of each stream.
const OWNERS: [(&str, &str); 6] = [
    ("users", "auth"),
    ("tickets", "tickets"),
    ("orders", "orders"),
    ("inventory", "orders"),
    ("expiration", "expiration"),
    ("payments", "payments"),
];

/// MongoDB's code for somebody who may not do something.
const UNAUTHORIZED: i32 = 13;

/// How NATS begins to say what somebody may not do, in small letters.
const REFUSED: &str = "permissions violation for ";

/// So many refusals are waited for at a time: the client keeps no more of them than 128.
const AT_A_TIME: usize = 64;

/// The services that have users at the servers, each with one of its addresses there.
fn addresses(stage: &Stage, variable: &str) -> BTreeMap<String, String> {
    let told = stage.services().into_iter().map(|service| (service.to_owned(), stage.environment(service)));
    told.filter_map(|(service, mut told)| Some((service, told.remove(variable)?))).collect()
}

/// A connection to NATS which notes what it is refused, such as `publish to "orders.v1.1"`.
struct User {
    name: String,
    client: Client,
    refused: Arc<Mutex<BTreeSet<String>>>,
}

impl User {
    /// As the address says.
    async fn connect(address: &str) -> Self {
        let (name, password) = credentials(address);
        let refused: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let noted = refused.clone();
        let note = move |event| {
            if let Event::ServerError(ServerError::Other(said)) = event {
                let said = said.to_lowercase();
                noted.lock().unwrap().extend(said.split_once(REFUSED).map(|(_, what)| what.to_owned()));
            }
            std::future::ready(())
        };
        let options = ConnectOptions::with_user_and_password(name.to_owned(), password.to_owned());
        let options = options.custom_inbox_prefix(format!("_INBOX_{name}")).event_callback(note);
        Self { name: name.to_owned(), client: options.connect(address).await.unwrap(), refused }
    }

    async fn may_not_publish_to(&self, subjects: Vec<String>) {
        for subjects in subjects.chunks(AT_A_TIME) {
            for subject in subjects {
                self.client.publish(subject.clone(), "".into()).await.unwrap();
            }
            self.is_refused("Publish", subjects).await;
        }
    }

    async fn may_not_hear(&self, subjects: Vec<String>) {
        for subject in &subjects {
            self.client.subscribe(subject.clone()).await.unwrap();
        }
        self.is_refused("Subscription", &subjects).await;
    }

    async fn is_refused(&self, what: &str, subjects: &[String]) {
        until(&format!("NATS refuses {} what is not its own", self.name), 10, || async {
            let refused = self.refused.lock().unwrap();
            let is_told = |subject: &String| refused.contains(&format!("{what} to \"{subject}\"").to_lowercase());
            match subjects.iter().find(|subject| !is_told(subject)) {
                Some(allowed) => Err(format!("{what} to {allowed} is not refused")),
                None => Ok(()),
            }
        })
        .await;
    }
}

/// `nats://user:password@host:port`
fn credentials(address: &str) -> (&str, &str) {
    let user = address.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(user, _)| user);
    user.and_then(|user| user.split_once(':')).unwrap()
}

/// Nobody publishes, reads, changes or hears at NATS what is another one's. That they may do what they need, a sale shows.
pub(super) async fn at_nats(stage: &Stage) {
    let addresses = addresses(stage, "NATS_URL");
    let (streams, consumers) = what_there_is(stage).await;
    assert_eq!(streams, OWNERS.iter().map(|(stream, _)| (*stream).to_owned()).collect());
    for (service, address) in &addresses {
        let user = User::connect(address).await;
        let foreign = OWNERS.iter().filter(|(_, owner)| owner != service);
        let mut subjects: Vec<String> = foreign.map(|(stream, _)| format!("{stream}.v1.018f")).collect();
        let theirs = consumers.iter().filter(|(_, consumer)| consumer != service && addresses.contains_key(consumer));
        subjects.extend(theirs.flat_map(|(stream, consumer)| of_consumer(stream, consumer)));
        subjects.extend(streams.iter().flat_map(|stream| of_stream(stream)));
        // The bounds of a stream are its owner's to change.
        let own = OWNERS.iter().filter(|(_, owner)| owner == service).map(|(stream, _)| update_of(stream));
        own.for_each(|update| subjects.retain(|subject| *subject != update));
        subjects
            .extend(["$JS.API.STREAM.CREATE.copy", "$JS.API.STREAM.LIST", "$SYS.REQ.SERVER.PING"].map(str::to_owned));
        user.may_not_publish_to(subjects).await;

        let mut heard: Vec<String> = streams.iter().map(|stream| format!("{stream}.>")).collect();
        heard.extend([">", "*.>", "$JS.>", "_INBOX.>"].map(str::to_owned));
        let neighbours = addresses.keys().filter(|other| *other != service).map(String::as_str).chain(["operator"]);
        heard.extend(neighbours.map(|other| format!("_INBOX_{other}.>")));
        user.may_not_hear(heard).await;
    }
    strangers_are_kept_out_of_nats(stage, &addresses).await;
}

/// The streams there are, and the consumers with their streams, as the operator sees them.
async fn what_there_is(stage: &Stage) -> (BTreeSet<String>, Vec<(String, String)>) {
    let password = stage.secret("nats-users")["operator"].clone();
    let options = ConnectOptions::with_user_and_password("operator".to_owned(), password);
    let operator = jetstream::new(options.connect(stage.address("nats:4222")).await.unwrap());
    let streams: BTreeSet<String> = operator.stream_names().try_collect().await.unwrap();
    let mut consumers = Vec::new();
    for stream in &streams {
        let names: Vec<String> =
            operator.get_stream(stream).await.unwrap().consumer_names().try_collect().await.unwrap();
        consumers.extend(names.into_iter().map(|name| (stream.clone(), name)));
    }
    (streams, consumers)
}

fn of_consumer(stream: &str, consumer: &str) -> Vec<String> {
    let verbs = ["CREATE", "DURABLE.CREATE", "DELETE", "INFO", "PAUSE", "MSG.NEXT"];
    let mut subjects: Vec<String> =
        verbs.iter().map(|verb| format!("$JS.API.CONSUMER.{verb}.{stream}.{consumer}")).collect();
    subjects.push(format!("$JS.API.CONSUMER.CREATE.{stream}.{consumer}.{stream}.v1.>"));
    subjects.push(format!("$JS.ACK.{stream}.{consumer}.1.2.3.4.5"));
    subjects
}

fn update_of(stream: &str) -> String {
    format!("$JS.API.STREAM.UPDATE.{stream}")
}

fn of_stream(stream: &str) -> Vec<String> {
    let verbs = ["DELETE", "PURGE", "SNAPSHOT", "RESTORE", "MSG.GET", "MSG.DELETE"];
    let mut subjects: Vec<String> = verbs.iter().map(|verb| format!("$JS.API.STREAM.{verb}.{stream}")).collect();
    subjects.extend([format!("$JS.API.DIRECT.GET.{stream}"), update_of(stream)]);
    subjects
}

async fn strangers_are_kept_out_of_nats(stage: &Stage, addresses: &BTreeMap<String, String>) {
    let strangers = stage.services().into_iter().filter(|service| !addresses.contains_key(*service));
    let guesses = strangers.chain(addresses.keys().map(String::as_str)).chain(["operator"]);
    let mut tried: Vec<ConnectOptions> = guesses
        .map(|name| ConnectOptions::with_user_and_password(name.to_owned(), format!("guessed-{name}")))
        .collect();
    tried.push(ConnectOptions::new());
    for options in tried {
        let error = options.connect(stage.address("nats:4222")).await.expect_err("a stranger is let in");
        assert_eq!(error.kind(), ConnectErrorKind::AuthorizationViolation);
    }
}

/// Nobody reads or writes another one's database, or rules over their own.
pub(super) async fn at_mongodb(stage: &Stage) {
    let addresses = addresses(stage, "MONGODB_URI");
    for (service, address) in &addresses {
        let client = mongodb::Client::with_uri_str(address).await.unwrap();
        for other in addresses.keys().filter(|other| *other != service) {
            let theirs = client.database(&format!("docket_{other}")).collection::<Document>("events");
            assert!(lacks_right(theirs.find_one(doc! {}).await), "{service} reads what is of {other}");
            assert!(lacks_right(theirs.insert_one(doc! {}).await), "{service} writes what is of {other}");
        }
        let (own, admin) = (client.database(&format!("docket_{service}")), client.database("admin"));
        let all = doc! { "listDatabases": 1, "nameOnly": true, "authorizedDatabases": false };
        let guest = doc! { "createUser": "guest", "pwd": "guest", "roles": [] };
        let more = doc! { "grantRolesToUser": service, "roles": [{ "role": "root", "db": "admin" }] };
        for (database, command) in [(&admin, all), (&own, guest), (&own, more)] {
            assert!(lacks_right(database.run_command(command.clone()).await), "{service} may {command}");
        }
    }
    strangers_are_kept_out_of_mongodb(&addresses).await;
}

async fn strangers_are_kept_out_of_mongodb(addresses: &BTreeMap<String, String>) {
    for (service, address) in addresses {
        let (user, password) = credentials(address);
        let looks = |address: String| async move {
            let client = mongodb::Client::with_uri_str(address).await.unwrap();
            client.database(&format!("docket_{service}")).collection::<Document>("events").find_one(doc! {}).await
        };
        let guessed = looks(address.replace(&format!("{user}:{password}@"), &format!("{user}:guessed@"))).await;
        assert!(matches!(kind(guessed), Some(ErrorKind::Authentication { .. })), "{service} is let in by a guess");
        let nobody = looks(address.replace(&format!("{user}:{password}@"), "")).await;
        assert!(lacks_right(nobody), "anybody reads what is of {service}");
    }
}

/// Whether it was refused for want of a right, and for no other reason.
fn lacks_right<T>(outcome: Result<T, Error>) -> bool {
    matches!(kind(outcome), Some(ErrorKind::Command(refusal)) if refusal.code == UNAUTHORIZED)
}

fn kind<T>(outcome: Result<T, Error>) -> Option<ErrorKind> {
    outcome.err().map(|error| *error.kind)
}
