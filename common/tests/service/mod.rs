//! How a process stops, with a real database and a real broker.

use std::sync::Arc;
use std::time::Duration;

use common::bus::{Bus, EventRecord, ListenError, Namespace, Received};
use common::clock::{Clock as _, SystemClock, Time};
use common::events::expiration::ExpirationDue;
use common::events::{By as _, DomainEvent as _, ExpirationEvent, Raised};
use common::id::OrderId;
use common::service::{Context, Service, start};
use common::settings::Settings;
use common::store::{Aggregate, Aggregates, EventArchive, Indexes};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

const NAME: &str = "late";
const BOUND: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Late {
    order: OrderId,
    at: Time,
}

impl Aggregate for Late {
    type Event = ExpirationEvent;
    const KIND: &'static str = "late";
    const COLLECTION: &'static str = "late";

    fn id(&self) -> String {
        self.order.to_string()
    }
}

/// A service that hears of `heard`, and commits `committed` only when it is told to stop.
struct State {
    stopping: CancellationToken,
    late: Aggregates<Late>,
    heard: OrderId,
    committed: OrderId,
    told: UnboundedSender<()>,
}

async fn hear(state: Arc<State>, received: Received<ExpirationEvent>) -> Result<(), ListenError> {
    if received.record.aggregate != state.heard.to_string() {
        return Ok(());
    }
    state.told.send(()).map_err(ListenError::permanent)?;
    state.stopping.cancelled().await;
    let late = Late { order: state.committed, at: received.record.at };
    state.late.insert(late.clone(), due(late.order, late.at).by_system()).await?;
    Ok(())
}

fn due(order: OrderId, at: Time) -> ExpirationEvent {
    ExpirationDue { order_ids: vec![order], expires_at: at }.into()
}

fn variable(name: &str) -> SecretString {
    std::env::var(name).unwrap_or_else(|_| panic!("run `cargo xtask test`, or set {name}")).into()
}

#[actix_web::test]
async fn what_a_listener_commits_during_the_stop_is_published_before_the_end() {
    let now = SystemClock.now();
    let (heard, committed) = (OrderId::generate(now), OrderId::generate(now));
    let mut settings = Settings::default_for_tests();
    settings.namespace = format!("stop_{}", heard.uuid().simple());
    settings.mongodb_uri = Some(variable("DOCKET_TEST_MONGODB_URI"));
    settings.nats_url = Some(variable("DOCKET_TEST_NATS_URL"));
    let (told, mut hears) = unbounded_channel();
    let open = move |ctx: Context| async move {
        Ok(State { stopping: ctx.stopping(), late: ctx.aggregates(), heard, committed, told })
    };
    let service = Service::new(NAME, open).indexes(vec![Indexes::of(Late::COLLECTION).outbox()]).listen(hear).build();
    let running = start(vec![service], settings.clone()).await.unwrap();

    let url = std::env::var("DOCKET_TEST_NATS_URL").unwrap();
    let bus = Bus::connect(&url, Namespace::new(&settings.namespace)).await.unwrap();
    let raised = Raised { event: due(heard, now), actor: None, traceparent: None };
    let record = EventRecord::new(ExpirationEvent::DOMAIN, &heard.to_string(), 1, &raised, now).unwrap();
    bus.publish_all(&[&record]).await.pop().unwrap().unwrap();
    tokio::time::timeout(BOUND, hears.recv()).await.expect("the event is heard");
    running.stop().await;

    let client = mongodb::Client::with_uri_str(std::env::var("DOCKET_TEST_MONGODB_URI").unwrap()).await.unwrap();
    let database = client.database(&Namespace::new(&settings.namespace).database(NAME));
    let waiting = bson::doc! { "_id": committed.to_string(), "outbox.0": { "$exists": true } };
    let waiting = database.collection::<bson::Document>(Late::COLLECTION).find_one(waiting).await.unwrap();
    let published = EventArchive::new(&database.clone().into()).newest().await.unwrap();
    database.drop().await.unwrap();
    assert_eq!(waiting, None, "the event is left in its outbox");
    assert!(published.is_some(), "the event is in the archive of what was published");
}
