//! What `/metrics` shows.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::parser::{Expr, parse};

/// The series of a metric: their labels.
type Series = Vec<(BTreeMap<String, String>, f64)>;

/// A page of metrics in Prometheus's text format, read.
#[derive(Default)]
pub(super) struct Exposition {
    series: BTreeMap<String, Series>,
    kinds: BTreeMap<String, String>,
    described: BTreeSet<String>,
}

impl Exposition {
    /// Reads a page. A sample's name and labels are written like a selector of PromQL, so its parser reads them.
    pub(super) fn parse(page: &str) -> Self {
        let mut read = Self::default();
        for line in page.lines().filter(|line| !line.is_empty()) {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["#", "HELP", name, _, ..] => drop(read.described.insert(name.to_owned())),
                ["#", "TYPE", name, kind] => drop(read.kinds.insert(name.to_owned(), kind.to_owned())),
                _ => read.sample(line),
            }
        }
        read
    }

    fn sample(&mut self, line: &str) {
        let (selector, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let Ok(Expr::VectorSelector(selector)) = parse(selector) else { panic!("no sample: {line}") };
        let labels = selector.matchers.matchers.into_iter().map(|label| (label.name, label.value)).collect();
        self.series.entry(selector.name.unwrap()).or_default().push((labels, value.parse().unwrap()));
    }

    /// Whether it has this metric.
    pub(super) fn has(&self, metric: &str) -> bool {
        self.series.contains_key(metric)
    }

    /// The values that a label has in the series of a metric.
    pub(super) fn values(&self, metric: &str, label: &str) -> BTreeSet<&str> {
        let series = self.series.get(metric).into_iter().flatten();
        series.filter_map(|(labels, _)| labels.get(label).map(String::as_str)).collect()
    }

    /// The sum of the series of a metric that have a label's value.
    pub(super) fn sum(&self, metric: &str, label: (&str, &str)) -> f64 {
        let series = self.series.get(metric).into_iter().flatten();
        series
            .filter(|(labels, _)| labels.get(label.0).is_some_and(|value| value == label.1))
            .map(|(_, value)| value)
            .sum()
    }

    /// Where Prometheus's conventions are broken, or a label could have any number of values.
    pub(super) fn oddities(&self) -> Vec<String> {
        let kinds = self.kinds.iter();
        let mut found: Vec<String> =
            kinds.filter_map(|(name, kind)| Some(format!("{name}: {}", odd(name, kind)?))).collect();
        let nameless = self.kinds.keys().filter(|name| !self.described.contains(*name));
        found.extend(nameless.map(|name| format!("{name} is not described")));
        for (name, series) in &self.series {
            let values = series.iter().flat_map(|(labels, _)| labels.values());
            let ids = values.filter(|value| value.split('/').any(|part| uuid::Uuid::parse_str(part).is_ok()));
            found.extend(ids.map(|value| format!("{name} has an id in a label: {value}")));
        }
        found
    }
}

fn odd(name: &str, kind: &str) -> Option<&'static str> {
    const UNITS: [&str; 2] = ["_seconds", "_bytes"];
    match kind {
        "counter" if !name.ends_with("_total") => Some("a counter ends in _total"),
        "histogram" if !UNITS.iter().any(|unit| name.ends_with(unit)) => Some("a histogram ends in its base unit"),
        "summary" => Some("a summary cannot be added up over processes"),
        "gauge" if name.ends_with("_total") => Some("only a counter ends in _total"),
        _ if ["_ms", "_millis", "_milliseconds", "_minutes"].iter().any(|unit| name.ends_with(unit)) => {
            Some("times are seconds")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_and_values_are_read() {
        let page = "# HELP a_total What a is.\n# TYPE a_total counter\na_total{route=\"/x/{id}\",x=\"1\"} 2\na_total{x=\"2\"} 3\n\nb 4.5";
        let read = Exposition::parse(page);
        assert!(read.has("a_total") && read.has("b") && !read.has("c"));
        assert_eq!(read.values("a_total", "route"), BTreeSet::from(["/x/{id}"]));
        assert_eq!(read.values("a_total", "x"), BTreeSet::from(["1", "2"]));
        assert_eq!(read.sum("a_total", ("x", "1")), 2.0);
        assert_eq!(read.oddities(), Vec::<String>::new());
    }

    #[test]
    fn what_breaks_the_conventions_is_found() {
        let page = "# TYPE a counter\n# TYPE b_ms gauge\n# TYPE c histogram\n\
            d{route=\"/orders/018f0000-0000-7000-8000-000000000000\"} 1";
        let found = Exposition::parse(page).oddities();
        assert_eq!(found.iter().filter(|found| found.ends_with("is not described")).count(), 3);
        assert_eq!(found.len(), 7, "{found:?}");
    }
}
