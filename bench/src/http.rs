//! One kept-alive connection of one virtual buyer.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A client that waits longer than this has lost its patience.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    /// A `GET` without credentials.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A `POST` of JSON.
    pub(crate) fn post(path: impl Into<String>, json: String) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { method: Method::POST, path: path.into(), headers, body: json.into() }
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    fn request(&self, host: &HeaderValue) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(self.path.as_str())
            .body(Full::new(self.body.clone()))?;
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(header::HOST, host.clone());
        Ok(request)
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Whether the body has this text somewhere; cheaper than to parse it.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|part| part == text.as_bytes())
    }
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
}

/// A connection that is opened when it is first needed, and again after it broke.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    host: HeaderValue,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let host = HeaderValue::from_str(&address.to_string()).expect("an address is a valid header");
        Self { address, host, sender: None }
    }

    /// Opens it now, so that the first request need not. If that fails, the first request tries again and tells.
    pub(crate) async fn opened(mut self) -> Self {
        self.sender = tokio::time::timeout(PATIENCE, connect(self.address)).await.ok().flatten();
        self
    }

    /// Sends a request once and waits for its whole answer.
    pub(crate) async fn send(&mut self, call: &Call) -> Result<Answer, Silence> {
        let outcome = tokio::time::timeout(PATIENCE, self.exchange(call)).await.unwrap_or(Err(Silence::Timeout));
        if outcome.is_err() {
            self.sender = None;
        }
        outcome
    }

    async fn exchange(&mut self, call: &Call) -> Result<Answer, Silence> {
        let request = call.request(&self.host).map_err(|_| Silence::Unreachable)?;
        let sender = self.open().await?;
        let response = sender.send_request(request).await.map_err(|_| Silence::Broken)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| Silence::Broken)?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    async fn open(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Silence> {
        let ready = match &mut self.sender {
            Some(sender) => !sender.is_closed() && sender.ready().await.is_ok(),
            None => false,
        };
        if !ready {
            self.sender = Some(connect(self.address).await.ok_or(Silence::Unreachable)?);
        }
        self.sender.as_mut().ok_or(Silence::Unreachable)
    }
}

async fn connect(address: SocketAddr) -> Option<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    // Ends when the sender is dropped; what breaks it is told to the sender too.
    tokio::spawn(connection);
    Some(sender)
}
