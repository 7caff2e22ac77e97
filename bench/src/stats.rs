//! Latencies and rates.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The distribution of some durations, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Latency {
    /// To three digits, of microseconds.
    pub(crate) fn of(durations: impl Iterator<Item = Duration>) -> Self {
        let mut histogram: Histogram<u64> = Histogram::new(3).expect("three digits can be kept");
        durations.for_each(|duration| histogram += u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Self { p50: at(0.5), p95: at(0.95), p99: at(0.99), p999: at(0.999), max: histogram.max() as f64 / 1000.0 }
    }
}

/// How many a second.
pub(crate) fn rate(count: usize, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { count as f64 / elapsed.as_secs_f64() }
}

/// The middle one; of an even number the mean of both.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len() % 2, values.get(middle)) {
        (_, None) => 0.0,
        (0, Some(upper)) => (values[middle - 1] + upper) / 2.0,
        (_, Some(value)) => *value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_durations() {
        let latency = Latency::of((1..=1000).map(Duration::from_millis));
        assert!(
            (latency.p50 - 500.0).abs() < 1.0 && (latency.p95 - 950.0).abs() < 1.0 && (latency.p99 - 990.0).abs() < 1.0,
            "{latency:?}"
        );
        assert!((latency.max - 1000.0).abs() < 1.0, "{latency:?}");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(rate(10, Duration::from_secs(4)), 2.5);
    }
}
