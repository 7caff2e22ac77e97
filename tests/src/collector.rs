//! A collector of traces that keeps what it is sent (OTLP over HTTP).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// A span of which a collector was told.
#[derive(Clone, Debug)]
pub struct SeenSpan {
    /// The process it is of: its `service.name`.
    pub process: String,
    /// Its name.
    pub name: String,
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    attributes: BTreeMap<String, String>,
}

impl SeenSpan {
    /// An attribute's text.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// Whether `text` stands in its name or an attribute.
    pub fn tells(&self, text: &str) -> bool {
        self.name.contains(text) || self.attributes.values().any(|value| value.contains(text))
    }
}

/// What began with one request, as a collector would show it.
#[derive(Debug)]
pub struct Trace {
    /// Its spans, the first one first.
    pub spans: Vec<SeenSpan>,
}

impl Trace {
    /// The processes that took part.
    pub fn processes(&self) -> BTreeSet<&str> {
        self.spans.iter().map(|span| span.process.as_str()).collect()
    }

    /// Whether every span but the first hangs on another one of the trace.
    pub fn is_one_tree(&self) -> bool {
        let known: BTreeSet<&[u8]> = self.spans.iter().map(|span| span.id.as_slice()).collect();
        self.spans.iter().skip(1).all(|span| known.contains(span.parent.as_slice()))
    }
}

/// The collector; it stops when it is dropped.
pub struct Collector {
    address: String,
    spans: Arc<Mutex<Vec<SeenSpan>>>,
    server: ServerHandle,
}

impl Collector {
    /// Listens on a free port.
    ///
    /// # Panics
    /// If the system gives it none.
    pub fn listen() -> Self {
        let spans = Arc::<Mutex<Vec<SeenSpan>>>::default();
        let kept = Data::from(spans.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(kept.clone())
                .app_data(web::PayloadConfig::new(64 << 20))
                .route("/v1/traces", web::post().to(take))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let address = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { address, spans, server: handle }
    }

    /// What to set `OTEL_EXPORTER_OTLP_ENDPOINT` to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All spans so far.
    ///
    /// # Panics
    /// If a test panicked while it held them.
    pub fn spans(&self) -> Vec<SeenSpan> {
        self.spans.lock().expect("no test panics while it holds this").clone()
    }

    /// The traces that began with a request to `process` whose span has this name.
    pub fn traces(&self, process: &str, name: &str) -> Vec<Trace> {
        let spans = self.spans.lock().expect("no test panics while it holds this");
        let first = |span: &&SeenSpan| span.parent.is_empty() && span.process == process && span.name == name;
        let of = |first: &SeenSpan| {
            let later = spans.iter().filter(|span| span.trace == first.trace && span.id != first.id);
            Trace { spans: std::iter::once(first).chain(later).cloned().collect() }
        };
        spans.iter().filter(first).map(of).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It begins to stop at once; there is nobody here to wait for it.
        drop(self.server.stop(false));
    }
}

async fn take(kept: Data<Mutex<Vec<SeenSpan>>>, body: Bytes) -> HttpResponse {
    let Ok(export) = ExportTraceServiceRequest::decode(body) else { return HttpResponse::BadRequest().finish() };
    let mut kept = kept.lock().expect("no test panics while it holds this");
    for of_process in export.resource_spans {
        let process = name_of(of_process.resource);
        let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
        kept.extend(spans.map(|span| seen(&process, span)));
    }
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

fn name_of(resource: Option<Resource>) -> String {
    texts(resource.map(|resource| resource.attributes).unwrap_or_default()).remove("service.name").unwrap_or_default()
}

fn seen(process: &str, span: Span) -> SeenSpan {
    SeenSpan {
        process: process.to_owned(),
        name: span.name,
        trace: span.trace_id,
        id: span.span_id,
        parent: span.parent_span_id,
        attributes: texts(span.attributes),
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |KeyValue { key, value, .. }| match value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some((key, text)),
        _ => None,
    };
    attributes.into_iter().filter_map(text).collect()
}
