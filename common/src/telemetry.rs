//! Logs, traces and metrics: one subscriber, one tracer and one recorder in a process, whichever service asks first.

mod recorder;
mod seldom;

use std::collections::HashMap;
use std::sync::OnceLock;

use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};
use url::Url;

pub use self::seldom::Seldom;
use crate::settings::{LogFormat, Settings};

const TRACEPARENT: &str = "traceparent";

static TELEMETRY: OnceLock<Telemetry> = OnceLock::new();

struct Telemetry {
    /// Makes traces for a collector, if there is one.
    tracer: Option<SdkTracerProvider>,
    metrics: Option<PrometheusHandle>,
}

/// Wants spans where no traces are made, so that those which come along have something to go on with.
struct PassedOn;

impl<S: tracing::Subscriber> Layer<S> for PassedOn {}

/// The `traceparent` that a span came with, where no traces are made: it goes on as it is.
struct CameWith(String);

/// Telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` has a syntax error.
    #[error("RUST_LOG: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The exporter to the collector could not be made.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The exporter's HTTP client could not be made.
    #[error("the trace exporter has no HTTP client")]
    Client,
}

/// Hold it in `main`; [`TelemetryGuard::flush`] sends what is still in memory.
#[derive(Debug)]
#[must_use = "traces still in memory are sent when it is flushed"]
pub struct TelemetryGuard(());

impl TelemetryGuard {
    /// Sends the spans that are still in memory to the collector. Call it last, outside of async code or in a blocking task.
    pub fn flush(self) {
        if let Some(tracer) = tracer()
            && let Err(error) = tracer.force_flush()
        {
            tracing::warn!(%error, "some traces were not sent");
        }
    }
}

/// Sets up logs, traces and metrics of a process, which traces call by `name`. Only the first call in a process has an effect:
/// tests start many services in one.
///
/// # Errors
/// [`TelemetryError`] if the log filter or the collector's address cannot be used.
pub fn init(settings: &Settings, name: &'static str) -> Result<TelemetryGuard, TelemetryError> {
    if TELEMETRY.get().is_none() {
        let tracer = settings.otel_endpoint.as_ref().map(|collector| tracer_provider(collector, name)).transpose()?;
        let subscriber = subscriber(settings, tracer.as_ref())?;
        TELEMETRY.get_or_init(|| install(subscriber, tracer));
        settings.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    }
    Ok(TelemetryGuard(()))
}

fn install(subscriber: impl tracing::Subscriber + Send + Sync, tracer: Option<SdkTracerProvider>) -> Telemetry {
    use tracing_subscriber::util::SubscriberInitExt as _;
    if let Some(tracer) = &tracer {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        opentelemetry::global::set_tracer_provider(tracer.clone());
    }
    if subscriber.try_init().is_err() {
        tracing::debug!("a subscriber was there already");
    }
    Telemetry { tracer, metrics: recorder::install() }
}

fn subscriber(
    settings: &Settings,
    tracer: Option<&SdkTracerProvider>,
) -> Result<impl tracing::Subscriber + Send + Sync, TelemetryError> {
    // Spans are made whatever RUST_LOG says: a quiet log must not break a trace.
    let whatever = || EnvFilter::new("info,h2=off,hyper=off,reqwest=off,async_nats=off,mongodb=off");
    let made = tracer.map(|tracer| {
        let spans = tracing_opentelemetry::layer().with_tracer(tracer.tracer("docket")).with_location(false);
        // Contexts are taken from spans, never from the thread.
        spans.with_context_activation(false).with_filter(whatever())
    });
    let passed_on = tracer.is_none().then(|| PassedOn.with_filter(whatever()));
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match settings.log_format {
        LogFormat::Pretty => tracing_subscriber::fmt::layer().with_filter(EnvFilter::try_new(&settings.log)?).boxed(),
        LogFormat::Json => {
            let json = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(true);
            json.with_span_list(false).with_filter(EnvFilter::try_new(&settings.log)?).boxed()
        }
    };
    Ok(tracing_subscriber::registry().with(lines).with(made).with(passed_on))
}

fn tracer_provider(collector: &Url, name: &'static str) -> Result<SdkTracerProvider, TelemetryError> {
    let builder = SdkTracerProvider::builder().with_resource(Resource::builder().with_service_name(name).build());
    Ok(builder.with_batch_exporter(exporter(collector)?).build())
}

fn exporter(collector: &Url) -> Result<opentelemetry_otlp::SpanExporter, TelemetryError> {
    let endpoint = format!("{}/v1/traces", collector.as_str().trim_end_matches('/'));
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().with_endpoint(endpoint);
    Ok(exporter.with_http_client(blocking_client()?).build()?)
}

/// The batch processor exports from a thread of its own, where no async client would find a runtime.
fn blocking_client() -> Result<reqwest::blocking::Client, TelemetryError> {
    crate::http::install_tls_provider();
    // Made on a fresh thread: within a runtime a blocking client panics.
    let made = std::thread::spawn(|| reqwest::blocking::Client::builder().build()).join();
    made.ok().and_then(Result::ok).ok_or(TelemetryError::Client)
}

fn tracer() -> Option<&'static SdkTracerProvider> {
    TELEMETRY.get()?.tracer.as_ref()
}

/// Whether traces are made, which is so where they go to a collector. Elsewhere those that come along are passed on.
pub(crate) fn makes_traces() -> bool {
    tracer().is_some()
}

/// All metrics of the process in Prometheus's text format.
pub fn render_metrics() -> String {
    let recorder = TELEMETRY.get().and_then(|telemetry| telemetry.metrics.as_ref());
    recorder.map(recorder::render).unwrap_or_default()
}

/// The W3C `traceparent` of the current span, to be sent along with a message or a request; `None` if it belongs to no trace.
pub fn current_traceparent() -> Option<String> {
    let span = tracing::Span::current();
    if !makes_traces() {
        return passed_on(&span);
    }
    written(&span.context())
}

/// The id of the trace that a span belongs to, where traces are made.
pub(crate) fn trace_id(span: &tracing::Span) -> Option<String> {
    written(&span.context())?.split('-').nth(1).map(str::to_owned)
}

fn written(context: &Context) -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(context, &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Makes `span` a part of the trace that came along with a message; what is no `traceparent` is passed over. Call it before
/// the span is entered.
pub fn remote_parent(span: &tracing::Span, traceparent: &str) {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let parent = TraceContextPropagator::new().extract(&carrier);
    if !makes_traces() {
        pass_on(span, &parent);
    } else if span.set_parent(parent).is_err() {
        tracing::debug!("the span has begun without its remote parent");
    }
}

fn pass_on(span: &tracing::Span, parent: &Context) {
    let Some(traceparent) = written(parent) else { return };
    span.with_subscriber(|(id, subscriber)| {
        if let Some(span) = subscriber.downcast_ref::<Registry>().and_then(|spans| spans.span(id)) {
            span.extensions_mut().replace(CameWith(traceparent));
        }
    });
}

/// What the span or the nearest one around it came with.
fn passed_on(span: &tracing::Span) -> Option<String> {
    let found = span.with_subscriber(|(id, subscriber)| {
        let span = subscriber.downcast_ref::<Registry>()?.span(id)?;
        span.scope().find_map(|span| Some(span.extensions().get::<CameWith>()?.0.clone()))
    });
    found.flatten()
}

/// A count as the value of a gauge.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and nothing here counts to 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// A monotonic moment, for durations only: rules about time take the injected clock.
#[expect(clippy::disallowed_methods, reason = "a measured duration is no business time")]
pub fn stopwatch() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_that_came_along_goes_on_as_it_is_where_none_are_made() {
        let quiet = Settings { log: "off".to_owned(), ..Settings::default_for_tests() };
        let passed_on = tracing::subscriber::with_default(subscriber(&quiet, None).unwrap(), || {
            let (handling, alone, misled) =
                (tracing::info_span!("handle"), tracing::info_span!("alone"), tracing::info_span!("misled"));
            remote_parent(&handling, SENT);
            remote_parent(&misled, "00-of whatever length-01");
            let inside = handling.in_scope(|| tracing::info_span!("inside").in_scope(current_traceparent));
            [inside, alone.in_scope(current_traceparent), misled.in_scope(current_traceparent)]
        });
        assert_eq!(passed_on, [Some(SENT.to_owned()), None, None]);
    }

    #[test]
    fn metrics_are_rendered() {
        drop(init(&Settings::default_for_tests(), "tests").unwrap());
        drop(init(&Settings::default_for_tests(), "tests").unwrap());
        metrics::counter!("telemetry_test_total").increment(2);
        assert!(render_metrics().contains("telemetry_test_total 2"));
    }
}
