//! Pages that change by themselves: server-sent events whose messages are pieces of HTML.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use bytes::Bytes;
use common::supervisor::Spawner;
use futures::FutureExt as _;
use futures::future::ready;
use futures::stream::{Stream, StreamExt as _, once, select, unfold};
use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::model::Ticket;
use crate::upstream::Upstream;

/// How often a listing is asked for while somebody looks at it: all who look share the answers.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a stream says that it lives, for proxies that end silent connections.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Listings as they are now, for the pages that show them.
pub(crate) struct Listings {
    upstream: Arc<Upstream>,
    watched: Mutex<HashMap<String, Weak<Watched>>>,
}

/// A listing that somebody looks at. It is asked for as long as this lives.
pub(crate) struct Watched {
    ticket: watch::Receiver<Option<Ticket>>,
    end: CancellationToken,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Listings {
    pub(crate) fn new(upstream: Arc<Upstream>) -> Self {
        Self { upstream, watched: Mutex::default() }
    }

    /// The listing, from now on.
    pub(crate) fn watch(&self, id: &str) -> Arc<Watched> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = watched.get(id).and_then(Weak::upgrade) {
            return known;
        }
        watched.retain(|_, one| one.strong_count() > 0);
        let new = Arc::new(look_after(self.upstream.clone(), id));
        watched.insert(id.to_owned(), Arc::downgrade(&new));
        new
    }
}

fn look_after(upstream: Arc<Upstream>, id: &str) -> Watched {
    let (sender, ticket) = watch::channel(None);
    let (end, path) = (CancellationToken::new(), format!("/api/tickets/{id}"));
    let watching = end.clone().run_until_cancelled_owned(async move {
        let mut turns = tokio::time::interval(LOOK_EVERY);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let answer = upstream.send(Method::GET, &path, HeaderMap::new(), None).await;
            let Some(seen) = answer.ok().and_then(|answer| answer.json::<Ticket>().ok()) else { continue };
            sender.send_if_modified(|known| {
                let news = known.as_ref() != Some(&seen);
                *known = Some(seen);
                news
            });
        }
    });
    Spawner::of("watcher of a listing").spawn(watching.map(drop));
    Watched { ticket, end }
}

impl Watched {
    /// Each state of the listing that is worth showing, from the one at hand on.
    pub(crate) fn states(self: Arc<Self>) -> impl Stream<Item = Ticket> {
        let mut receiver = self.ticket.clone();
        receiver.mark_changed();
        unfold((self, receiver), |(watched, mut receiver)| async move {
            loop {
                receiver.changed().await.ok()?;
                let seen = receiver.borrow_and_update().clone();
                if let Some(ticket) = seen {
                    return Some((ticket, (watched, receiver)));
                }
            }
        })
    }
}

/// An answer of server-sent events. Ends with the pieces, or when `stop` is cancelled, so that a process that stops does not wait
/// for its readers; the browser comes back, to another process if need be.
pub(crate) fn answer(pieces: impl Stream<Item = String> + 'static, stop: CancellationToken) -> HttpResponse {
    let events = with_signs_of_life(pieces.map(|html| message(&html))).take_until(stop.cancelled_owned());
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events.map(Ok::<_, std::convert::Infallible>))
}

fn with_signs_of_life(messages: impl Stream<Item = Bytes>) -> impl Stream<Item = Bytes> {
    let signs = unfold((), |()| async {
        tokio::time::sleep(SIGN_OF_LIFE).await;
        Some((Some(Bytes::from_static(b":\n\n")), ()))
    });
    let messages = messages.map(Some).chain(once(ready(None)));
    select(messages, signs).take_while(|event| ready(event.is_some())).filter_map(ready)
}

fn message(html: &str) -> Bytes {
    let lines: String = html.lines().map(|line| format!("data: {line}\n")).collect();
    Bytes::from(lines + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_lives_as_long_as_there_may_be_messages() {
        let slow = once(async {
            tokio::time::sleep(SIGN_OF_LIFE * 5 / 2).await;
            message("late")
        });
        let events: Vec<Bytes> = with_signs_of_life(slow).collect().await;
        assert_eq!(events, [&b":\n\n"[..], b":\n\n", b"data: late\n\n"]);
    }

    #[test]
    fn a_message_may_have_many_lines() {
        assert_eq!(message("<p>\nno\n</p>"), "data: <p>\ndata: no\ndata: </p>\n\n");
    }
}
