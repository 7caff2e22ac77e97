//! Streams have bounds, and who missed what they dropped is told the present state.

use std::cell::Cell;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, stream::Config};
use bson::{Document, doc};
use common::bus::{Bus, Namespace};
use common::clock::Time;
use common::service::{rebuild, republish, start, tell_snapshots};
use common::settings::Settings;
use common::store::to_document;
use docket_stripe::{Options, StripeStandIn};
use docket_tests::{App, Person, eventually, namespace};
use futures::TryStreamExt as _;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn jetstream(settings: &Settings) -> jetstream::Context {
    jetstream::new(async_nats::connect(settings.nats_url.as_ref().unwrap().expose_secret()).await.unwrap())
}

async fn config(settings: &Settings, domain: &str) -> (Config, u64) {
    let stream = jetstream(settings).await.get_stream(format!("{}_{domain}", settings.namespace)).await.unwrap();
    let info = stream.cached_info();
    (info.config.clone(), info.state.messages)
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_an_earlier_build_get_their_bounds_and_keep_what_they_have() {
    let stripe = StripeStandIn::start(Options::default()).await.unwrap();
    let settings = Settings { namespace: namespace(), ..App::settings(&stripe) };
    let url = settings.nats_url.as_ref().unwrap().expose_secret();
    let unbounded = Bus::connect(url, Namespace::new(&settings.namespace)).await.unwrap();
    unbounded.ensure_streams(1).await.unwrap();
    let (jetstream, subject) = (jetstream(&settings).await, format!("{}.inventory.v1.nobody", settings.namespace));
    for _ in 0..3 {
        let sent = jetstream.publish(subject.clone(), "{}".into()).await.unwrap();
        sent.await.unwrap();
    }
    assert_eq!(config(&settings, "inventory").await.0.max_age, Duration::ZERO);

    // Only the owner changes a stream: expiration has one, and follows that of users.
    start(vec![expiration::service()], settings.clone()).await.unwrap().stop().await;
    assert_eq!(config(&settings, "expiration").await.0.max_age, 30 * DAY);
    assert_eq!(config(&settings, "users").await.0.max_age, Duration::ZERO);
    start(vec![orders::service()], settings.clone()).await.unwrap().stop().await;
    let (bounded, messages) = config(&settings, "inventory").await;
    assert_eq!((bounded.max_age, bounded.max_bytes, messages), (30 * DAY, 64 * 1024 * 1024, 3));

    let fewer = Settings { stream_days: 2, stream_mib: 8, ..settings.clone() };
    start(vec![orders::service()], fewer.clone()).await.unwrap().stop().await;
    let (bounded, messages) = config(&settings, "inventory").await;
    assert_eq!((bounded.max_age, bounded.max_bytes, messages), (2 * DAY, 8 * 1024 * 1024, 3));
    let changed = Config { duplicate_window: Duration::from_secs(1), ..bounded };
    jetstream.update_stream(changed).await.unwrap();
    let refusal = start(vec![orders::service()], settings).await.err().unwrap().to_string();
    assert!(refusal.contains("duplicate_window"), "{refusal}");
    stripe.stop().await;
}

/// What another process publishes of an order of this Docket.
struct Told<'a> {
    app: &'a App,
    jetstream: jetstream::Context,
    order: &'a Value,
    seller: &'a Person,
    buyer: &'a Person,
}

impl Told<'_> {
    async fn publish(&self, event: &str, version: i64, more: Value) {
        let (order, namespace) = (self.order["id"].as_str().unwrap(), &self.app.settings_used().namespace);
        let mut payload = json!({ "orderId": order, "ticketId": self.order["ticketId"], "buyerId": self.buyer.id,
            "sellerId": self.seller.id, "quantity": 1, "total": { "amount": 1999, "currency": "usd" } });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("order:{order}:{version}:{event}:{payload}").as_str());
        headers.insert("Docket-Type", event);
        headers.insert("Docket-Schema", "1");
        headers.insert("Docket-Version", version.to_string().as_str());
        headers.insert("Docket-Time", "2026-11-21T20:00:00Z");
        let subject = format!("{namespace}.orders.v1.{order}");
        let sent = self.jetstream.publish_with_headers(subject, headers, payload.to_string().into()).await.unwrap();
        sent.await.unwrap();
    }

    async fn snapshot(&self, version: i64, title: &str, status: &str) {
        let more = json!({ "title": title, "expiresAt": self.order["expiresAt"], "status": status });
        self.publish("order.snapshot", version, more).await;
    }

    /// What payments knows of the order, once it knows it in this version.
    async fn known(&self, version: i64) -> Document {
        let orders = self.app.database("payments").await.collection::<Document>("orders");
        let wanted = doc! { "_id": self.order["id"].as_str().unwrap(), "version": version };
        eventually("payments knows the version", 30, || async { orders.find_one(wanted.clone()).await.unwrap() }).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_snapshot_changes_nothing_a_newer_one_overtakes_and_what_it_overtook_comes_too_late() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let order = buyer.hold(&seller.sell(5).await, 1).await.expect(201);
    let told = Told { app: &app, jetstream: app.jetstream().await, order: &order, seller: &seller, buyer: &buyer };
    let title = |known: &Document| known.get_str("title").unwrap().to_owned();
    assert_eq!(title(&told.known(1).await), "Friday evening");
    told.snapshot(1, "As old as what is known", "complete").await;
    told.snapshot(7, "Newer", "created").await;
    assert_eq!(title(&told.known(7).await), "Newer", "five events were missed");
    told.snapshot(3, "Older", "complete").await;
    told.publish("order.awaiting-payment", 2, json!({})).await;
    told.publish("order.completed", 6, json!({ "passes": [] })).await;
    told.publish("order.awaiting-payment", 8, json!({})).await;
    let known = told.known(8).await;
    assert_eq!((title(&known).as_str(), known.get_str("state").unwrap()), ("Newer", "open"));
    for collection in ["parked_events", "dead_letters"] {
        let events = app.database("payments").await.collection::<Document>(collection);
        let found: Vec<Document> =
            events.find(doc! { "_id": { "$gt": "" } }).await.unwrap().try_collect().await.unwrap();
        assert!(found.is_empty(), "{found:#?}");
    }
    // A status that only a newer build knows waits for that build.
    told.snapshot(9, "Newest", "queued").await;
    let parked = app.database("payments").await.collection::<Document>("parked_events");
    let unknown = doc! { "aggregate": order["id"].as_str().unwrap(), "cause": "unknown", "version": 9_i64 };
    eventually("it is set aside", 30, || async { parked.find_one(unknown.clone()).await.unwrap() }).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_done_when_the_present_state_is_told() {
    let mut app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let ticket = seller.sell(5).await;
    let order = buyer.hold(&ticket, 1).await.expect(201);
    buyer.pay(&order, "pm_card_visa").await.expect(201);
    buyer.until_order(&order, "complete").await;
    let given_up = buyer.hold(&ticket, 1).await.expect(201);
    let newer = buyer.hold(&ticket, 1).await.expect(201);
    seller.until_counts(&ticket, 2, 1).await;
    app.stop_serving().await;
    // Orders wrote a refund and the end of a hold that payments never heard of, and never will.
    let orders = app.database("orders").await.collection::<Document>("orders");
    let changes = [
        (&order, doc! { "state": "refunding", "refundReason": "buyer_request" }),
        (&given_up, doc! { "state": "expiring" }),
        // Only a later build can tell the state of what it wrote.
        (&newer, doc! { "schema": 99 }),
    ];
    for (order, state) in changes {
        let change = doc! { "$set": state, "$inc": { "version": 5_i64 } };
        orders.update_one(doc! { "_id": order["id"].as_str().unwrap() }, change).await.unwrap();
    }
    let told = tell_snapshots(&App::services(), app.settings_used(), Some("orders")).await.unwrap();
    assert_eq!((told.snapshots, told.unreadable), (2, 1));
    app.serve_again().await;
    let (seller, buyer) = (seller.at(&app.base()), buyer.at(&app.base()));
    buyer.until_order(&order, "refunded").await;
    buyer.until_order(&given_up, "expired").await;
    seller.until_counts(&ticket, 1, 0).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_too_small_for_all_snapshots_is_named() {
    let app = App::with(|settings| settings.stream_mib = 1).await;
    let seller = app.sign_up().await;
    let ticket = seller.sell(5).await;
    seller.until_counts(&ticket, 0, 0).await;
    app.stop_serving().await;
    copies_of(&app, &ticket, 4_000).await;
    let state = async || {
        let stream = app.jetstream().await.get_stream(app.stream("tickets")).await.unwrap();
        (stream.cached_info().state.first_sequence, stream.cached_info().state.last_sequence)
    };
    let before = state().await;
    let (services, settings) = (App::services(), app.settings_used());
    let refusal = tell_snapshots(&services, settings, Some("tickets")).await.unwrap_err().to_string();
    let wanted = refusal.split_once("set DOCKET_STREAM_MIB to ").and_then(|(_, rest)| rest.split_once(" or more"));
    let wanted: u32 = wanted.unwrap_or_else(|| panic!("{refusal}")).0.parse().unwrap();
    assert_eq!(state().await, before, "nothing is dropped for what does not fit");
    // Rebuilding asks first, too: what orders keeps of listings is still there.
    rebuild(&orders::service(), &services, settings).await.unwrap_err();
    let kept = app.database("orders").await.collection::<Document>("tickets");
    assert_eq!(kept.estimated_document_count().await.unwrap(), 1);
    let roomy = Settings { stream_mib: wanted, ..settings.clone() };
    start(vec![tickets::service()], roomy.clone()).await.unwrap().stop().await;
    assert_eq!(tell_snapshots(&services, &roomy, Some("tickets")).await.unwrap().snapshots, 4_001);
    assert_eq!(state().await.0, before.0);
    app.stop().await;
}

/// Orders hears 20,000 listings that it knows nothing of, and a buyer is in a hurry.
#[tokio::test(flavor = "multi_thread")]
async fn sales_go_on_while_the_present_state_is_told() {
    let app = App::start().await;
    let ticket = sale(&app).await;
    copies_of(&app, &ticket, 20_000).await;
    let services = App::services();
    let tell = async { tell_snapshots(&services, app.settings_used(), Some("tickets")).await.unwrap().snapshots };
    assert_eq!(Box::pin(told_while_selling(&app, &ticket, tell)).await, 20_001);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_go_on_while_old_events_are_published_again() {
    let app = App::start().await;
    let ticket = sale(&app).await;
    old_events_like_that_of(&app, &ticket, 20_000).await;
    let services = App::services();
    let publish = async { republish(&services, app.settings_used(), Time::from_millis(0)).await.unwrap() };
    assert!(Box::pin(told_while_selling(&app, &ticket, publish)).await > 20_000);
    app.stop().await;
}

async fn sale(app: &App) -> Value {
    let seller = app.sign_up().await;
    let ticket = seller.sell(5_000).await;
    seller.until_counts(&ticket, 0, 0).await;
    ticket
}

/// Sells until `telling` ends, and looks how many events wait for orders.
async fn told_while_selling(app: &App, ticket: &Value, telling: impl Future<Output = usize>) -> usize {
    let buyer = app.sign_up().await;
    let url = app.settings_used().nats_url.as_ref().unwrap().expose_secret();
    let bus = Bus::connect(url, Namespace::new(&app.settings_used().namespace)).await.unwrap();
    let goes_on = Cell::new(true);
    let tell = async {
        let told = telling.await;
        goes_on.set(false);
        told
    };
    let sell = async {
        let (mut most, mut sold) = (0, 0);
        while goes_on.get() {
            let order = buyer.hold(ticket, 1).await.expect(201);
            buyer.pay(&order, "pm_card_visa").await.expect(201);
            most = most.max(bus.lag("tickets", "orders").await.unwrap().unwrap().pending);
            sold += 1;
        }
        (most, sold)
    };
    let (told, (most, sold)) = tokio::join!(tell, sell);
    assert!(sold > 0 && most <= 1_500, "{most} events waited for orders, while {sold} were sold");
    told
}

/// So many events more in the archive, like that of this listing's beginning, of listings that nobody has heard of.
async fn old_events_like_that_of(app: &App, ticket: &Value, count: u32) {
    let archive = app.database("tickets").await.collection::<Document>("events");
    let first = format!("ticket:{}:1", ticket["id"].as_str().unwrap());
    let kept = || async { app.published("tickets").await.into_iter().find(|event| event.id == first) };
    let event = to_document(&eventually("the event is archived", 20, kept).await).unwrap();
    let copy = |nth: u32| {
        let aggregate = format!("01932b00-0000-7000-8000-{nth:012}");
        let mut copy = event.clone();
        copy.insert("_id", format!("ticket:{aggregate}:1"));
        copy.insert("aggregate", aggregate);
        copy
    };
    for first in (0..count).step_by(4_000) {
        let events: Vec<Document> = (first..count.min(first + 4_000)).map(copy).collect();
        archive.insert_one(doc! { "at": event.get("at"), "events": events }).await.unwrap();
    }
}

/// As many listings more, like this one, that nobody has heard of.
async fn copies_of(app: &App, ticket: &Value, count: u32) {
    let tickets = app.database("tickets").await.collection::<Document>("tickets");
    let one = tickets.find_one(doc! { "_id": ticket["id"].as_str().unwrap() }).await.unwrap().unwrap();
    let copy = |nth: u32| {
        let id = format!("01932b00-0000-7000-8000-{nth:012}");
        let mut copy = one.clone();
        copy.insert("_id", &id);
        copy.insert("id", &id);
        copy
    };
    for first in (0..count).step_by(4_000) {
        tickets.insert_many((first..count.min(first + 4_000)).map(copy)).await.unwrap();
    }
}
