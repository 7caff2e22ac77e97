//! Pages that change by themselves: server-sent events whose messages are pieces of HTML.
//!
//! A stream begins after what it shows was looked up, so that there is none of what is not there. It has one of the seats
//! (`seats`), and shares the look at the APIs (`looks`) with all that see the same. It ends with its pieces, when its seat is
//! taken by another one, when nobody reads it, after a while, and when the process stops; the browser comes back by itself.

mod looks;
mod seats;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use bytes::Bytes;
use common::supervisor::Spawner;
use futures::future::{ready, select};
use futures::stream::{Stream, StreamExt as _, once, select as both, unfold};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub(crate) use looks::{Look, Looks, Pace, Subject};
pub(crate) use seats::{Seat, Seats, Viewer};

/// How often a stream says that it lives, for proxies that end silent connections.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// How long a reader may let a piece wait.
const READS_WITHIN: Duration = Duration::from_secs(10);
/// How long a stream lives at the most. Then its browser comes back, with the tokens that it has by then.
const LIFE: Duration = Duration::from_secs(10 * 60);
/// How many pieces wait for the reader.
const PIECES_AHEAD: usize = 2;

/// All streams of a process.
pub(crate) struct Streams {
    spawner: Spawner,
    stop: CancellationToken,
}

impl Streams {
    /// Streams that end before the process does: when `stop` is cancelled.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self { spawner: Spawner::of("streams of open pages"), stop }
    }

    /// An answer of server-sent events.
    pub(crate) fn answer(&self, pieces: impl Stream<Item = String> + 'static, seat: Seat) -> HttpResponse {
        let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
        let events = with_signs_of_life(pieces.map(|html| message(&html)));
        let stop = self.stop.clone();
        let giving = async move {
            let ended = select(Box::pin(seat.lost()), Box::pin(stop.cancelled_owned()));
            let ended = select(ended, Box::pin(tokio::time::sleep(LIFE)));
            give(events.take_until(ended), sender).await;
        };
        let body = Given { receiver, _giving: self.spawner.hold_here(giving) };
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/event-stream"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header(("x-accel-buffering", "no"))
            .streaming(body)
    }
}

/// Gives the events to the reader, for as long as it takes them.
async fn give(events: impl Stream<Item = Bytes>, reader: mpsc::Sender<Bytes>) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match tokio::time::timeout(READS_WITHIN, reader.send(event)).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}

/// The events as the body of an answer; they are made by a task of their own, which ends with it.
struct Given {
    receiver: mpsc::Receiver<Bytes>,
    _giving: AbortOnDropHandle<()>,
}

impl Stream for Given {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context).map(|event| event.map(Ok))
    }
}

fn with_signs_of_life(messages: impl Stream<Item = Bytes>) -> impl Stream<Item = Bytes> {
    let signs = unfold((), |()| async {
        tokio::time::sleep(SIGN_OF_LIFE).await;
        Some((Some(Bytes::from_static(b":\n\n")), ()))
    });
    let messages = messages.map(Some).chain(once(ready(None)));
    both(messages, signs).take_while(|event| ready(event.is_some())).filter_map(ready)
}

fn message(html: &str) -> Bytes {
    let lines: String = html.lines().map(|line| format!("data: {line}\n")).collect();
    Bytes::from(lines + "\n")
}

#[cfg(test)]
mod tests {
    use common::telemetry::stopwatch;
    use futures::stream::{pending, repeat};

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

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_given_nothing_more() {
        let (sender, _unread) = mpsc::channel(PIECES_AHEAD);
        let began = stopwatch();
        give(repeat(message("news")), sender).await;
        assert_eq!(began.elapsed().as_secs(), READS_WITHIN.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_ends_with_its_time() {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let seats = Seats::new();
                let seat = seats.take(Viewer::Person("a".to_owned())).unwrap();
                let began = stopwatch();
                let answer = Streams::new(CancellationToken::new()).answer(pending(), seat);
                let body = actix_web::body::to_bytes(answer.into_body()).await.unwrap();
                assert!(body.starts_with(b":\n\n"), "{body:?}");
                assert_eq!(began.elapsed().as_secs(), LIFE.as_secs());
            })
            .await;
    }

    #[test]
    fn a_message_may_have_many_lines() {
        assert_eq!(message("<p>\nno\n</p>"), "data: <p>\ndata: no\ndata: </p>\n\n");
    }
}
