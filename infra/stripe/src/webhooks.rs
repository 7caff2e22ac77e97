//! Webhooks: every event reaches the endpoint at least once, and as badly as a test wants it to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::books::Record;
use crate::clock::Clock;
use crate::deliveries::{Deliveries, Delivery};
use crate::signature::Signature;
use crate::store::SharedStore;

const AT_ONCE: usize = 32;
const PATIENCE: Duration = Duration::from_secs(10);

/// How deliveries behave.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mode {
    /// Wait before the first attempt.
    pub(crate) delay_ms: u64,
    /// Copies beyond the one.
    pub(crate) duplicate: u32,
    /// Keep events back until they are flushed.
    pub(crate) hold: bool,
    /// Send the events of one call, or of one flush, in reverse.
    pub(crate) shuffle: bool,
    pub(crate) signature: Signature,
    /// The pauses between attempts; when they are used up, the event is given up.
    pub(crate) retry_ms: Vec<u64>,
}

impl Default for Mode {
    fn default() -> Self {
        let retry_ms = [1, 2, 5, 15, 60, 300, 900, 3_600, 3_600 * 6].map(|seconds: u64| seconds * 1_000).to_vec();
        Self { delay_ms: 0, duplicate: 0, hold: false, shuffle: false, signature: Signature::Valid, retry_ms }
    }
}

/// `POST /test/webhooks/redeliver`: once more, whatever was answered before.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Redelivery {
    /// One event; without it, all of them.
    event: Option<String>,
    signature: Signature,
    shuffle: bool,
}

#[derive(Default)]
struct State {
    mode: Mode,
    held: Vec<String>,
    deliveries: Deliveries,
}

/// Where webhooks go.
pub(crate) struct Endpoint {
    url: watch::Sender<Option<String>>,
    /// The types of events that are wanted there; all if none are named.
    events: Vec<String>,
}

impl Endpoint {
    pub(crate) fn new(url: Option<String>, events: Vec<String>) -> Self {
        Self { url: watch::Sender::new(url), events }
    }
}

/// The sender of webhooks.
pub(crate) struct Webhooks {
    store: SharedStore,
    clock: Clock,
    secret: String,
    client: reqwest::Client,
    endpoint: Endpoint,
    state: Mutex<State>,
    permits: Semaphore,
    tasks: TaskTracker,
    stopping: CancellationToken,
    /// The runtime that the stand-in was started on: deliveries outlive the server's workers.
    runtime: Handle,
    this: std::sync::Weak<Self>,
}

impl Webhooks {
    pub(crate) fn new(
        store: SharedStore,
        clock: Clock,
        secret: String,
        endpoint: Endpoint,
    ) -> Result<Arc<Self>, reqwest::Error> {
        let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        // The endpoint is beside it, whatever proxy leads to the world outside.
        let client = client.no_proxy().build()?;
        Ok(Arc::new_cyclic(|this| Self {
            store,
            clock,
            secret,
            client,
            endpoint,
            state: Mutex::default(),
            permits: Semaphore::new(AT_ONCE),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            runtime: Handle::current(),
            this: this.clone(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many endpoints an event of this type goes to if it is raised now.
    pub(crate) fn endpoints(&self, kind: &str) -> u32 {
        let Endpoint { url, events } = &self.endpoint;
        let wanted = events.is_empty() || events.iter().any(|event| event == kind);
        u32::from(wanted && url.borrow().is_some())
    }

    pub(crate) fn set_url(&self, url: Option<String>) {
        self.endpoint.url.send_replace(url);
    }

    pub(crate) fn url(&self) -> Option<String> {
        self.endpoint.url.borrow().clone()
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.state().mode = mode;
    }

    pub(crate) fn mode(&self) -> Mode {
        self.state().mode.clone()
    }

    pub(crate) fn held(&self) -> Vec<String> {
        self.state().held.clone()
    }

    /// Deliveries under way, waiting for a retry included.
    pub(crate) fn running(&self) -> usize {
        self.tasks.len()
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.state().deliveries.all()
    }

    /// Takes up again what an earlier run left undelivered.
    pub(crate) fn resume(&self) {
        let store = self.store.lock();
        let open = store.books.events.values().filter(|event| event.pending_webhooks > 0);
        let open: Vec<String> = open.map(|event| event.id.clone()).collect();
        drop(store);
        if !open.is_empty() {
            self.spawn(open);
        }
    }

    /// Sends events on their way; returns at once.
    pub(crate) fn send(&self, events: Vec<String>) {
        if events.is_empty() {
            return;
        }
        let mut state = self.state();
        if state.mode.hold {
            state.held.extend(events);
            return;
        }
        drop(state);
        self.spawn(events);
    }

    fn spawn(&self, events: Vec<String>) {
        self.start(|this| async move {
            let mode = this.mode();
            tokio::time::sleep(Duration::from_millis(mode.delay_ms)).await;
            this.deliver_all(events, &mode).await;
        });
    }

    fn start<F: Future<Output = ()> + Send + 'static>(&self, work: impl FnOnce(Arc<Self>) -> F) {
        let Some(this) = self.this.upgrade() else { return };
        let stopping = self.stopping.clone();
        let work = work(this);
        let work = async move {
            stopping.run_until_cancelled(work).await;
        };
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// The first attempts, one after the other; what fails is retried in the background.
    async fn deliver_all(&self, mut events: Vec<String>, mode: &Mode) {
        if mode.shuffle {
            events.reverse();
        }
        for event in events {
            let mut delivered = false;
            for _copy in 0..=mode.duplicate {
                delivered |= self.attempt(&event, mode.signature, 1).await;
            }
            if !delivered {
                self.start(|this| async move { this.retry(&event).await });
            }
        }
    }

    async fn retry(&self, event: &str) {
        let pauses = self.mode().retry_ms;
        for (number, pause) in (2..).zip(pauses) {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            if self.attempt(event, self.mode().signature, number).await {
                return;
            }
        }
        tracing::warn!(event, "gave up on a webhook");
    }

    /// Sends what was held back; returns how many events that were.
    pub(crate) async fn flush(&self) -> usize {
        let (held, mode) = {
            let mut state = self.state();
            (std::mem::take(&mut state.held), state.mode.clone())
        };
        let count = held.len();
        self.deliver_all(held, &mode).await;
        count
    }

    /// Sends events once more; returns how many.
    pub(crate) async fn redeliver(&self, wish: Redelivery) -> usize {
        let mut events: Vec<String> = match wish.event {
            Some(event) => vec![event],
            None => self.store.lock().books.events.keys().cloned().collect(),
        };
        if wish.shuffle {
            events.reverse();
        }
        for event in &events {
            self.attempt(event, wish.signature, 1).await;
        }
        events.len()
    }

    /// One POST. Waits for an endpoint to be configured, if there is none yet.
    async fn attempt(&self, event: &str, signature: Signature, attempt: u32) -> bool {
        let Some((kind, body)) = self.message(event) else { return false };
        let mut urls = self.endpoint.url.subscribe();
        let Some(url) = urls.wait_for(Option::is_some).await.ok().and_then(|url| url.clone()) else { return false };
        let Ok(_permit) = self.permits.acquire().await else { return false };
        let now = (self.clock)();
        let header = signature.header(&self.secret, now, &body);
        let request = self.client.post(&url).header("Stripe-Signature", header);
        let answer = request.header("Content-Type", "application/json; charset=utf-8").body(body).send().await;
        let delivery = Delivery::new(event, kind, url, signature, attempt, now, &answer);
        let delivered = delivery.is_success();
        self.state().deliveries.note(delivery);
        if delivered {
            self.mark_delivered(event);
        }
        delivered
    }

    fn message(&self, event: &str) -> Option<(String, String)> {
        let store = self.store.lock();
        let event = store.books.events.get(event)?;
        Some((event.kind.clone(), event.json().to_string()))
    }

    fn mark_delivered(&self, event: &str) {
        let mut store = self.store.lock();
        if store.books.events.get(event).is_none_or(|event| event.pending_webhooks == 0) {
            return;
        }
        store.books.put(Record::Delivered(event.to_owned()));
        if let Err(error) = store.flush((self.clock)()) {
            tracing::error!(error = &error as &dyn std::error::Error, "a delivery could not be written down");
        }
    }

    /// Ends all deliveries; what is undelivered stays so in the journal.
    pub(crate) async fn stop(&self) {
        self.halt();
        self.tasks.wait().await;
    }

    pub(crate) fn halt(&self) {
        self.stopping.cancel();
        self.tasks.close();
    }
}
