//! What is counted in a process: the buckets, what each metric says, and what the system says of the process.
//!
//! Names follow Prometheus's conventions: counters end in `_total`, times are seconds. A label has few values, which are known
//! when the process is built: never an id, never a path with one. What an alert asks for stands there as 0 from the start.

use metrics::{describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// For work of our own, which takes milliseconds.
const DURATIONS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// For calls of servers that others run.
const CALLS: &[f64] = &[0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0];

/// For what waits its turn: milliseconds when all is well, minutes after an outage.
const DELAYS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0];

const COUNTERS: &[(&str, &str)] = &[
    ("task_panics_total", "Panics of tasks that go on beside requests; each begins anew."),
    ("job_turns_given_up_total", "Turns of jobs that took too long and were given up."),
    ("publishing_failed_total", "Events that a connected broker did not take; they are published again later."),
    ("http_requests_total", "Requests answered; route is the pattern of the path."),
    (
        "http_requests_refused_total",
        "Requests refused: overload, rate and share (one client's too many), waiting (for events), slow (to send).",
    ),
    ("events_committed_total", "Events committed together with the change that they tell of."),
    ("events_published_total", "Events that the broker has taken."),
    ("events_handled_total", "Events heard, by what became of them: handled, overtaken, retried, parked, dead."),
    ("dead_letters_total", "Events put aside because they could not be handled."),
    ("event_handler_panics_total", "Tries to handle an event that ended in a panic."),
    (
        "relay_left_to_sweep_total",
        "Events that found no room in a queue of the relay, before or after they were published, and are left to its sweep.",
    ),
    ("store_conflicts_total", "Changes that lost their compare-and-set to another one."),
    ("documents_unreadable_total", "Documents passed over in lists and by jobs, mostly as a later build wrote them."),
    ("measurements_failed_total", "Looks at how far a service is behind that failed: its gauges show old values."),
    ("mails_sent_total", "Mails that the mail server has taken."),
    ("mails_failed_total", "Tries to send a mail that failed; each is followed by another."),
    ("mails_given_up_total", "Mails that could not be sent for a day."),
];

const GAUGES: &[(&str, &str)] = &[
    ("docket_build_info", "1, with the version of this process."),
    ("dependency_up", "Whether the database or the broker answers this process: 1 or 0."),
    (
        "publishing_stalled_seconds",
        "For how long a connected broker has taken no event of the domain; 0 while it takes them.",
    ),
    ("data_disk_used_bytes", "What is used of the disk of the data folder; 0 where there is no such folder."),
    ("data_disk_size_bytes", "How much the disk of the data folder has for those who are no superuser."),
    ("outbox_events", "Committed events that the broker does not have yet, of at most 1,000 documents a collection."),
    ("outbox_oldest_event_age_seconds", "Age of the oldest committed event that the broker does not have yet, or 0."),
    ("consumer_pending_events", "Events that the broker has not given to the listener yet."),
    ("consumer_unacknowledged_events", "Events that the listener was given and has not answered for yet."),
    ("parked_events", "Events that wait to be tried again, by what they wait for: early, failed, panicked, unknown."),
    ("parked_events_longest_wait_seconds", "How long the first of these has waited, or 0."),
    (
        "stream_fill_ratio",
        "Which part of its size a stream has taken, from 0 to 1; near 1 it drops events before their time.",
    ),
    (
        "consumer_missed_events",
        "Events that a stream had dropped before the listener answered for them, when that was last so since the process began.",
    ),
    ("dead_letters_waiting", "Dead letters that an operator has neither replayed nor discarded."),
];

const HISTOGRAMS: &[(&str, &str)] = &[
    ("http_request_duration_seconds", "From a request to the begin of its answer."),
    ("event_handling_duration_seconds", "One try to handle an event."),
    ("event_delay_seconds", "From the commit of an event until a listener had handled it."),
];

/// Makes the process's recorder the one that all metrics go to; `None` if there is another one already.
pub(super) fn install() -> Option<PrometheusHandle> {
    let recorder = builder().and_then(PrometheusBuilder::install_recorder);
    let recorder = recorder.inspect_err(|error| tracing::warn!(%error, "there are no metrics")).ok()?;
    COUNTERS.iter().for_each(|(name, what)| describe_counter!(*name, *what));
    GAUGES.iter().for_each(|(name, what)| describe_gauge!(*name, *what));
    HISTOGRAMS.iter().for_each(|(name, what)| describe_histogram!(*name, *what));
    gauge!("docket_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    metrics_process::Collector::default().describe();
    Some(recorder)
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets(DURATIONS)?
        .set_buckets_for_metric(Matcher::Suffix("_call_duration_seconds".to_owned()), CALLS)?
        .set_buckets_for_metric(Matcher::Suffix("_delay_seconds".to_owned()), DELAYS)
}

/// All metrics in Prometheus's text format, with the processor time and the memory of this moment.
pub(super) fn render(recorder: &PrometheusHandle) -> String {
    metrics_process::Collector::default().collect();
    recorder.run_upkeep();
    recorder.render()
}
