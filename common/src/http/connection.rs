//! A connection from which no more is read than somebody waits for.
//!
//! actix-http decodes every request head that it has read, and a decoded head takes a hundred times the memory of its bytes. A client
//! that sends heads and reads no answer could fill the memory, so a [`Connection`] hands over one head at a time: nothing more
//! until that request is answered, apart from its body while a handler waits for that. Between two answers whatever has begun to
//! come, a head or the rest of a body that nobody reads, has [`UNANSWERED`] until it is a request.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::body::announced_length;

/// How many bytes are read at once.
const PIECE: usize = 8 * 1024;
/// How long a head may come, and a body that nobody reads.
pub(super) const UNANSWERED: Duration = Duration::from_secs(10);

/// What a connection and the requests that come by it tell each other. Both are of one thread.
#[derive(Debug, Default)]
pub(super) struct Intake {
    answering: Cell<bool>,
    /// Whether a handler waits for more of its body.
    wanted: Cell<bool>,
    /// How many bytes of that body have not been handed over, if its length was announced.
    left: Cell<Option<usize>>,
    /// How many bytes were handed over behind the last head, in one piece with it.
    trailing: Cell<usize>,
    /// Whether something has begun to come, or is to come, that is no request yet: half a head, the rest of a body that nobody reads.
    unfinished: Cell<bool>,
    /// Whether bytes have been read that may not be handed over yet.
    holds: Cell<bool>,
    /// The time of what comes while nothing is answered.
    late: RefCell<Option<Pin<Box<Sleep>>>>,
    waker: RefCell<Option<Waker>>,
}

impl Intake {
    fn begin(self: Rc<Self>, body: bool, length: Option<usize>) -> Answering {
        let trailing = self.trailing.take();
        self.answering.set(true);
        self.left.set(length.map(|length| length.saturating_sub(trailing)));
        self.unfinished.set(body || trailing > 0);
        self.late.take();
        Answering(self)
    }

    fn waits_for_body(&self) -> bool {
        self.answering.get() && self.wanted.get() && self.left.get() != Some(0)
    }

    fn want(&self, wanted: bool) {
        if !self.wanted.replace(wanted) && wanted && self.holds.get() {
            self.wake();
        }
    }

    fn wait(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    fn begin_time(&self) {
        self.late.borrow_mut().get_or_insert_with(|| Box::pin(sleep(UNANSWERED)));
    }

    /// # Errors
    /// If what has begun to come is no request in time.
    fn in_time(&self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.answering.get() {
            return Ok(());
        }
        if self.unfinished.get() {
            self.begin_time();
        }
        let late = self.late.borrow_mut().as_mut().is_some_and(|late| late.as_mut().poll(cx).is_ready());
        if late { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

/// A request that is being answered, until the last byte of the answer is handed to its connection.
struct Answering(Rc<Intake>);

impl Drop for Answering {
    fn drop(&mut self) {
        let intake = &self.0;
        intake.answering.set(false);
        intake.wanted.set(false);
        if intake.holds.get() || intake.unfinished.get() {
            intake.wake();
        }
    }
}

/// Lets the connection of a request read on when it is answered, and before that for its body. An answer to a request that was not
/// read to its end is the last one.
pub(super) async fn one_at_a_time<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Answer<B>>, Error> {
    let intake = request.conn_data::<Rc<Intake>>().cloned().unwrap_or_default();
    let payload = request.take_payload();
    let has_body = !matches!(payload, Payload::None);
    let length = has_body.then(|| announced_length(request.request())).filter(|length| *length > 0);
    let answering = intake.clone().begin(has_body, length);
    if has_body {
        request.set_payload(Payload::Stream { payload: Box::pin(Wanted { payload, intake: intake.clone() }) });
    }
    let mut response = next.call(request).await?;
    if has_body && intake.unfinished.get() {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response.map_body(|_, body| Answer { body: Box::pin(body), _answering: answering }))
}

/// The body of a request, which tells its connection when it is waited for.
struct Wanted {
    payload: Payload,
    intake: Rc<Intake>,
}

impl Stream for Wanted {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = self.payload.poll_next_unpin(cx);
        self.intake.want(piece.is_pending());
        if matches!(piece, Poll::Ready(None)) {
            self.intake.unfinished.set(false);
        }
        piece
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.intake.want(false);
    }
}

/// The body of an answer, and what ends with it.
pub(super) struct Answer<B> {
    body: Pin<Box<B>>,
    _answering: Answering,
}

impl<B: MessageBody> MessageBody for Answer<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        self.body.as_mut().poll_next(cx)
    }
}

/// A client's connection.
pub(super) struct Connection<S = TcpStream> {
    stream: S,
    intake: Rc<Intake>,
    /// What was read and is not handed over yet.
    held: Bytes,
    /// Whether the client will send nothing more.
    ended: bool,
    lines: Lines,
    /// Whether what was handed over may be a head, which is to be decoded before there is more.
    yields: bool,
    /// Whether the client does not read what is sent to it.
    blocked: bool,
}

impl<S: AsyncRead + Unpin> Connection<S> {
    pub(super) fn new(stream: S) -> Self {
        let (intake, held, lines) = (Rc::default(), Bytes::new(), Lines::default());
        Self { stream, intake, held, ended: false, lines, yields: false, blocked: false }
    }

    pub(super) fn intake(&self) -> Rc<Intake> {
        self.intake.clone()
    }

    /// Whether nothing may be handed over now but the end.
    fn is_closed(&self) -> bool {
        (self.intake.answering.get() || self.blocked) && !self.intake.waits_for_body()
    }

    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [MaybeUninit::uninit(); PIECE];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        self.held = Bytes::copy_from_slice(read.filled());
        self.ended = self.held.is_empty();
        Poll::Ready(Ok(()))
    }

    fn hand_over(&mut self, to: &mut ReadBuf<'_>) {
        let intake = &self.intake;
        let most = self.held.len().min(to.remaining());
        let length = match intake.left.get().filter(|_| intake.waits_for_body()) {
            Some(left) => {
                let length = most.min(left);
                intake.left.set(Some(left - length));
                length
            }
            None => {
                let Piece { length, head } = self.lines.piece(&self.held[..most]);
                intake.trailing.set(head.map_or(0, |head| length - head));
                self.yields = head.is_some();
                length
            }
        };
        to.put_slice(&self.held.split_to(length));
        if !intake.answering.get() && length > 0 {
            intake.begin_time();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.intake.in_time(cx)?;
        let (closed, yields) = (self.is_closed(), std::mem::take(&mut self.yields));
        if self.intake.answering.get() {
            self.intake.wait(cx);
        }
        if self.held.is_empty() && !self.ended {
            self.intake.holds.set(false);
            ready!(self.fill(cx))?;
        }
        self.intake.holds.set(!self.held.is_empty());
        if closed && !self.held.is_empty() {
            return Poll::Pending;
        }
        if yields {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.hand_over(to);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        let was_blocked = std::mem::replace(&mut self.blocked, written.is_pending());
        if was_blocked && !self.blocked && !self.held.is_empty() {
            cx.waker().wake_by_ref();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Where the line that is coming began.
#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    /// The bytes of the line that came before.
    length: usize,
    last: u8,
}

/// The first bytes of some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    length: usize,
    /// After how many of them a blank line ends, as every head does.
    head: Option<usize>,
}

impl Lines {
    /// The first bytes that hold no more than one blank line, and so no two heads. Lines end with LF, before which a CR may stand, as
    /// httparse reads them.
    fn piece(&mut self, bytes: &[u8]) -> Piece {
        let mut after = *self;
        let mut ends = bytes.iter().enumerate().filter(|(_, byte)| after.take(**byte)).map(|(at, _)| at + 1);
        match (ends.next(), ends.next()) {
            (Some(first), Some(_)) => {
                *self = Self::default();
                Piece { length: first, head: Some(first) }
            }
            (head, _) => {
                *self = after;
                Piece { length: bytes.len(), head }
            }
        }
    }

    /// One byte more; whether a blank line ends with it.
    fn take(&mut self, byte: u8) -> bool {
        if byte != b'\n' {
            (self.length, self.last) = (self.length + 1, byte);
            return false;
        }
        let blank = self.length == 0 || (self.length == 1 && self.last == b'\r');
        *self = Self::default();
        blank
    }
}

#[cfg(test)]
mod tests;
