//! Queries in PromQL, held against what `/metrics` shows.

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{AggregateExpr, BinaryExpr, Expr, LabelModifier, VectorSelector, parse};

use super::exposition::Exposition;

/// What Prometheus itself knows of each target.
const UP: &str = "up";

/// The labels that Prometheus gives to all series of a target.
const OF_TARGETS: [&str; 2] = ["job", "instance"];

/// A label whose values come as they come: that a query asks for one which was never seen is no mistake.
const OPEN: &str = "status";

/// A query, and where it stands.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) place: String,
    pub(super) text: String,
}

impl Query {
    /// What it asks for that is not there, or why it is no query.
    pub(super) fn complaints(&self, shown: &Exposition) -> Vec<String> {
        let mut check = Check { shown, complaints: Vec::new() };
        match parse(&self.text) {
            Ok(query) => drop(check.metrics(&query)),
            Err(error) => check.complaints.push(error),
        }
        let Self { place, text } = self;
        check.complaints.into_iter().map(|complaint| format!("{place}: {complaint} in {text}")).collect()
    }
}

struct Check<'s> {
    shown: &'s Exposition,
    complaints: Vec<String>,
}

impl Check<'_> {
    /// Looks at all of an expression, and answers the metrics that it is made of.
    fn metrics(&mut self, query: &Expr) -> Vec<String> {
        match query {
            Expr::VectorSelector(selector) => self.selector(selector),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Call(call) => call.args.args.iter().flat_map(|argument| self.metrics(argument)).collect(),
            Expr::Paren(inner) => self.metrics(&inner.expr),
            Expr::Unary(inner) => self.metrics(&inner.expr),
            Expr::Subquery(inner) => self.metrics(&inner.expr),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Vec::new(),
            Expr::Extension(_) => {
                self.complaints.push("an extension of PromQL".to_owned());
                Vec::new()
            }
        }
    }

    fn selector(&mut self, selector: &VectorSelector) -> Vec<String> {
        let Some(metric) = selector.name.clone() else {
            self.complaints.push("a selector without a metric".to_owned());
            return Vec::new();
        };
        if metric != UP && !self.shown.has(&metric) {
            self.complaints.push(format!("no metric {metric}"));
            return Vec::new();
        }
        let matchers = &selector.matchers;
        for matcher in matchers.matchers.iter().chain(matchers.or_matchers.iter().flatten()) {
            self.label(&metric, &matcher.name);
            self.value(&metric, matcher);
        }
        vec![metric]
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> Vec<String> {
        let metrics = self.metrics(&aggregate.expr);
        self.labels(&metrics, aggregate.modifier.as_ref());
        metrics
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Vec<String> {
        let metrics = [self.metrics(&binary.lhs), self.metrics(&binary.rhs)].concat();
        self.labels(&metrics, binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref()));
        metrics
    }

    /// All of the metrics have all of the labels.
    fn labels(&mut self, metrics: &[String], modifier: Option<&LabelModifier>) {
        for label in modifier.into_iter().flat_map(|modifier| &modifier.labels().labels) {
            metrics.iter().for_each(|metric| self.label(metric, label));
        }
    }

    fn label(&mut self, metric: &str, label: &str) {
        if !OF_TARGETS.contains(&label) && self.shown.values(metric, label).is_empty() {
            self.complaints.push(format!("{metric} has no label {label}"));
        }
    }

    fn value(&mut self, metric: &str, matcher: &Matcher) {
        let seeks = matches!(matcher.op, MatchOp::Equal | MatchOp::Re(_));
        if !seeks || matcher.name == OPEN || OF_TARGETS.contains(&matcher.name.as_str()) {
            return;
        }
        if !self.shown.values(metric, &matcher.name).iter().any(|value| matcher.is_match(value)) {
            self.complaints.push(format!("no {metric} is selected by {matcher}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "held_total{outcome=\"granted\",service=\"orders\"} 1\nanswers_total{status=\"200\"} 1\nlag{service=\"orders\"} 0";

    fn complaints(text: &str) -> usize {
        let query = Query { place: "here".to_owned(), text: text.to_owned() };
        query.complaints(&Exposition::parse(PAGE)).len()
    }

    #[test]
    fn a_query_of_what_is_there_is_right() {
        assert_eq!(complaints("sum by (service) (rate(held_total{outcome=\"granted\"}[5m])) > 0"), 0);
        assert_eq!(complaints("sum(rate(answers_total{status=~\"5..\"}[5m])) / sum(rate(answers_total[5m]))"), 0);
        assert_eq!(complaints("max by (instance, service) (lag) > 5 or up{job=\"docket\"} == 0"), 0);
        assert_eq!(complaints("held_total{service=~\".*\"} / on (service) lag"), 0);
    }

    #[test]
    fn a_query_of_what_is_not_there_is_found() {
        for wrong in [
            "sum(rate(helt_total[5m]))",
            "sum by (route) (held_total)",
            "held_total{outcome=\"grantet\"}",
            "held_total{outcome=~\"refused|failed\"}",
            "held_total{reason=\"x\", service=\"orders\"} > 1 unless lag",
            "max_over_time(lagg[5m:1m])",
            "sum(answers_total) by (status) / on (outcome) sum(held_total) by (outcome)",
            "rate(held_total)",
            "sum(",
        ] {
            assert_ne!(complaints(wrong), 0, "{wrong}");
        }
    }
}
