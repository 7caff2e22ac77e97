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
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How many bytes are read at once.
const PIECE: usize = 8 * 1024;
/// How long a head may come, and a body that nobody reads.
pub(super) const UNANSWERED: Duration = Duration::from_secs(10);

/// What a connection and the requests that come by it tell each other. Both are of one thread.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// How many requests there were.
    begun: Cell<u64>,
    answering: Cell<bool>,
    /// Whether a handler waits for more of its body.
    wanted: Cell<bool>,
    /// Whether the body of the last request has not come to its end.
    unread: Cell<bool>,
    /// Whether bytes have been read that may not be handed over yet.
    holds: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Intake {
    fn begin(self: Rc<Self>, with_body: bool) -> Answering {
        self.begun.set(self.begun.get().wrapping_add(1));
        self.answering.set(true);
        self.wanted.set(false);
        self.unread.set(with_body);
        Answering(self)
    }

    fn is_closed(&self) -> bool {
        self.answering.get() && !self.wanted.get()
    }

    fn want(&self) {
        self.wanted.set(true);
        self.wake();
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
}

/// A request that is being answered, until the last byte of the answer is handed to its connection.
struct Answering(Rc<Intake>);

impl Drop for Answering {
    fn drop(&mut self) {
        let intake = &self.0;
        intake.answering.set(false);
        if intake.holds.get() || intake.unread.get() {
            intake.wake();
        }
    }
}

/// Lets the connection of a request read on when it is answered, and before that for its body.
pub(super) async fn one_at_a_time<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Answer<B>>, Error> {
    let intake = request.conn_data::<Rc<Intake>>().cloned().unwrap_or_default();
    let payload = request.take_payload();
    let answering = intake.clone().begin(!matches!(payload, Payload::None));
    if !matches!(payload, Payload::None) {
        request.set_payload(Payload::Stream { payload: Box::pin(Wanted { payload, intake }) });
    }
    Ok(next.call(request).await?.map_body(|_, body| Answer { body: Box::pin(body), _answering: answering }))
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
        match &piece {
            Poll::Pending => self.intake.want(),
            Poll::Ready(None) => self.intake.unread.set(false),
            Poll::Ready(Some(_)) => {}
        }
        piece
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
pub(super) struct Connection {
    stream: TcpStream,
    intake: Rc<Intake>,
    /// What was read and is not handed over yet.
    held: Bytes,
    /// Whether the client will send nothing more.
    ended: bool,
    lines: Lines,
    /// Whether what was handed over may be a head, which is to be decoded before there is more.
    yields: bool,
    /// How many requests there were when the time of what comes now began, and that time.
    since: Option<(u64, Pin<Box<Sleep>>)>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (intake, held, lines) = (Rc::default(), Bytes::new(), Lines::default());
        Self { stream, intake, held, ended: false, lines, yields: false, since: None }
    }

    pub(super) fn intake(&self) -> Rc<Intake> {
        self.intake.clone()
    }

    /// # Errors
    /// If what has begun to come is no request in time.
    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let begun = self.intake.begun.get();
        let answering = self.intake.answering.get();
        if answering || self.since.as_ref().is_some_and(|(before, _)| *before != begun) {
            self.since = None;
        }
        if !answering && self.intake.unread.get() && self.since.is_none() {
            self.begin_time();
        }
        let late = self.since.as_mut().is_some_and(|(_, late)| late.as_mut().poll(cx).is_ready());
        if late { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    fn begin_time(&mut self) {
        self.since = Some((self.intake.begun.get(), Box::pin(sleep(UNANSWERED))));
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
        let most = self.held.len().min(to.remaining());
        let (length, blank) = self.lines.piece(&self.held[..most]);
        to.put_slice(&self.held.split_to(length));
        self.yields = blank;
        self.intake.wanted.set(false);
        if !self.intake.answering.get() && self.since.is_none() && length > 0 {
            self.begin_time();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        let (closed, yields) = (self.intake.is_closed(), std::mem::take(&mut self.yields));
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

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
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

impl Lines {
    /// How many of these bytes make one piece, and whether a blank line ends in it: a head ends with one, so no two heads are in a
    /// piece. Lines end with LF, before which a CR may stand, as httparse reads them.
    fn piece(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut after = *self;
        let mut ends = bytes.iter().enumerate().filter(|(_, byte)| after.take(**byte)).map(|(at, _)| at + 1);
        let (first, second) = (ends.next(), ends.next());
        match (first, second) {
            (Some(first), Some(_)) => {
                *self = Self::default();
                (first, true)
            }
            (first, _) => {
                *self = after;
                (bytes.len(), first.is_some())
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
mod tests {
    use super::*;

    fn pieces(sent: &[&str]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut pieces = Vec::new();
        for sent in sent {
            let mut rest = sent.as_bytes();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(lines.piece(rest).0);
                pieces.push(String::from_utf8(piece.to_vec()).unwrap());
                rest = after;
            }
        }
        pieces
    }

    #[test]
    fn no_two_heads_are_in_one_piece() {
        let get = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        assert_eq!(pieces(&[&get.repeat(3)]), [get, get, get]);
        assert_eq!(pieces(&["GET / HTTP/1.1\n\nGET / HTTP/1.1\n\n"]), ["GET / HTTP/1.1\n\n", "GET / HTTP/1.1\n\n"]);
        assert_eq!(pieces(&[&format!("{get}GET /")]), [format!("{get}GET /")], "a second one that is not whole");
    }

    #[test]
    fn a_body_that_came_with_its_head_goes_with_it() {
        let post = "POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(pieces(&[post]), [post]);
    }

    #[test]
    fn a_blank_line_is_seen_across_pieces() {
        let mut lines = Lines::default();
        for sent in ["GET / HTTP/1.1\r", "\n", "\r"] {
            assert_eq!(lines.piece(sent.as_bytes()), (sent.len(), false));
        }
        assert_eq!(lines.piece(b"\nGET"), (4, true));
        assert_eq!(lines.piece(b" / HTTP/1.1\r\n\r\n\r\n"), (15, true));
        assert_eq!(lines.piece(b"\r\n"), (2, true));
    }
}
