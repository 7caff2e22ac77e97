//! One kept-alive connection of one virtual buyer.
//!
//! The harness works on the cores that it measures, so it does no more for a request than must be: a request is text from
//! the start, and of an answer only what somebody asks for is looked at.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::str::from_utf8;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use httparse::{EMPTY_HEADER, Header, Response, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A client that waits longer than this has lost its patience.
const PATIENCE: Duration = Duration::from_secs(10);

/// No answer of Docket has more headers.
const HEADERS: usize = 48;

/// Room for an answer as most are.
const ROOM: usize = 4096;

/// What is sent: the request line and headers, each with the end of its line, and the body.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    head: String,
    body: String,
}

impl Call {
    /// A `GET` without credentials.
    pub(crate) fn get(path: impl AsRef<str>) -> Self {
        Self { head: format!("GET {} HTTP/1.1\r\n", path.as_ref()), body: String::new() }
    }

    /// A `DELETE` without credentials.
    pub(crate) fn delete(path: impl AsRef<str>) -> Self {
        Self { head: format!("DELETE {} HTTP/1.1\r\n", path.as_ref()), body: String::new() }
    }

    /// A `POST` of JSON.
    pub(crate) fn post(path: impl AsRef<str>, json: String) -> Self {
        let head = format!(
            "POST {} HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            path.as_ref(),
            json.len()
        );
        Self { head, body: json }
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        for part in [name, ": ", value, "\r\n"] {
            self.head.push_str(part);
        }
        self
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: Bytes,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Whether the body has this text somewhere; cheaper than to parse it.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|part| part == text.as_bytes())
    }

    /// The value of a header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.parsed(|headers| value(headers, name).map(str::to_owned))
    }

    /// All headers.
    pub(crate) fn headers(&self) -> Vec<(String, Vec<u8>)> {
        self.parsed(|headers| headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect())
    }

    fn parsed<T>(&self, read: impl FnOnce(&[Header<'_>]) -> T) -> T {
        let mut room = [EMPTY_HEADER; HEADERS];
        let mut response = Response::new(&mut room);
        // It was understood when it came.
        let _ = response.parse(&self.head);
        read(response.headers)
    }
}

fn value<'v>(headers: &[Header<'v>], name: &str) -> Option<&'v str> {
    let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    from_utf8(header.value).ok()
}

/// Why nothing came back. Whether the request was done is then unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(crate) enum Silence {
    #[error("no answer within {PATIENCE:?}")]
    Timeout,
    #[error("the connection broke")]
    Broken,
    #[error("no connection")]
    Unreachable,
    #[error("an answer that is no HTTP, or does not say how long it is")]
    Unreadable,
}

/// A connection that is opened when it is first needed, and again after it broke.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    link: Option<Link>,
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { address, link: None }
    }

    /// Opens it now, so that the first request need not. If that fails, the first request tries again and tells.
    pub(crate) async fn opened(mut self) -> Self {
        self.link = tokio::time::timeout(PATIENCE, Link::to(self.address)).await.ok().flatten();
        self
    }

    /// Sends a request once and waits for its whole answer.
    pub(crate) async fn send(&mut self, call: &Call) -> Result<Answer, Silence> {
        let outcome = tokio::time::timeout(PATIENCE, self.exchange(call)).await.unwrap_or(Err(Silence::Timeout));
        if outcome.is_err() {
            self.link = None;
        }
        outcome
    }

    async fn exchange(&mut self, call: &Call) -> Result<Answer, Silence> {
        // Docket hangs up on who says nothing for a while.
        if self.link.as_ref().is_none_or(Link::is_over) {
            self.link = Link::to(self.address).await;
        }
        let link = self.link.as_mut().ok_or(Silence::Unreachable)?;
        link.write(call).await?;
        link.read().await
    }
}

#[derive(Debug)]
struct Link {
    stream: TcpStream,
    /// The header that tells the server who it is, with the end of the head.
    host: String,
    sent: String,
    received: BytesMut,
}

impl Link {
    async fn to(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let host = format!("host: {address}\r\n\r\n");
        Some(Self { stream, host, sent: String::new(), received: BytesMut::new() })
    }

    /// Whether the server has ended it: while nobody asks, nothing but that can come.
    fn is_over(&self) -> bool {
        let nothing = self.stream.try_read(&mut [0]);
        !matches!(nothing, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    async fn write(&mut self, Call { head, body }: &Call) -> Result<(), Silence> {
        let Self { stream, host, sent, .. } = self;
        sent.clear();
        [head, host, body].into_iter().for_each(|part| sent.push_str(part));
        stream.write_all(sent.as_bytes()).await.map_err(|_| Silence::Broken)
    }

    async fn read(&mut self) -> Result<Answer, Silence> {
        loop {
            self.received.reserve(ROOM);
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) | Err(_) => return Err(Silence::Broken),
                Ok(_) => {}
            }
            if let Some(answer) = answer(&mut self.received)? {
                return Ok(answer);
            }
        }
    }
}

/// Takes the answer out of what was received, if it is there from its first to its last byte.
fn answer(received: &mut BytesMut) -> Result<Option<Answer>, Silence> {
    let mut room = [EMPTY_HEADER; HEADERS];
    let mut response = Response::new(&mut room);
    let Status::Complete(head) = response.parse(received).map_err(|_| Silence::Unreadable)? else { return Ok(None) };
    let status = response.code.ok_or(Silence::Unreadable)?;
    let body = length(status, response.headers).ok_or(Silence::Unreadable)?;
    if received.len() < head + body {
        return Ok(None);
    }
    let (head, body) = (received.split_to(head), received.split_to(body));
    Ok(Some(Answer { status, head: head.freeze(), body: body.freeze() }))
}

/// How many bytes the body of an answer to `GET` or `POST` has.
fn length(status: u16, headers: &[Header<'_>]) -> Option<usize> {
    if matches!(status, 204 | 304) {
        return Some(0);
    }
    value(headers, "content-length")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nRetry-After: 1\r\n\r\nlater";

    #[test]
    fn an_answer_is_taken_when_its_last_byte_is_there() {
        let both = format!("{TOLD}HTTP/1.1 304 Not Modified\r\netag: \"7\"\r\n\r\n");
        let mut received = BytesMut::new();
        let mut answers = Vec::new();
        for byte in both.bytes() {
            received.extend_from_slice(&[byte]);
            answers.extend(answer(&mut received).unwrap().map(|answer| (received.len(), answer)));
        }
        let [(0, turned_away), (0, unchanged)] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!((turned_away.status, turned_away.header("retry-after").as_deref()), (503, Some("1")));
        assert!(turned_away.says("later") && !turned_away.says("late!"));
        assert_eq!((unchanged.status, unchanged.header("ETag").as_deref()), (304, Some("\"7\"")));
        assert_eq!(unchanged.headers().len(), 1);
    }

    #[tokio::test]
    async fn a_connection_that_the_server_has_ended_is_opened_again() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut connection = Connection::to(server.local_addr().unwrap()).opened().await;
        let (mut first, _) = server.accept().await.unwrap();
        first.write_all(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        drop(first);
        connection.link.as_ref().unwrap().stream.readable().await.unwrap();
        let served = async {
            let (mut second, _) = server.accept().await.unwrap();
            second.read_buf(&mut BytesMut::with_capacity(ROOM)).await.unwrap();
            second.write_all(TOLD.as_bytes()).await.unwrap();
        };
        let call = Call::get("/");
        let (answer, ()) = tokio::join!(connection.send(&call), served);
        assert_eq!(answer.unwrap().status, 503);
    }

    #[test]
    fn what_cannot_be_read_is_not_waited_for() {
        for wrong in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] {
            assert_eq!(answer(&mut BytesMut::from(wrong)).unwrap_err(), Silence::Unreadable, "{wrong}");
        }
    }
}
