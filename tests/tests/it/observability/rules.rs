//! Alert rules as they stand in the repository.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::util::parse_duration;
use serde::Deserialize;

use super::queries::Query;

const SEVERITIES: [&str; 2] = ["critical", "warning"];

/// Where runbooks are: `docs/operations.md#consumer-lag`.
const HANDBOOK: &str = "docs/operations.md#";

/// A file of rules, of which every field is known.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Alert>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alert {
    alert: String,
    expr: String,
    r#for: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

impl Rules {
    /// The rules in a file.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.groups.iter().flat_map(|group| &group.rules)
    }

    /// All that they ask Prometheus for.
    pub(super) fn queries(&self) -> Vec<Query> {
        self.alerts().map(|alert| Query { place: alert.alert.clone(), text: alert.expr.clone() }).collect()
    }

    /// What Prometheus would not take, and what nobody would understand at night.
    pub(super) fn faults(&self, handbook: &str) -> Vec<String> {
        let headings = anchors(handbook);
        let (mut names, mut groups) = (BTreeSet::new(), BTreeSet::new());
        let mut found: Vec<String> = Vec::new();
        for group in &self.groups {
            found.extend((!groups.insert(&group.name)).then(|| format!("two groups {}", group.name)));
            found.extend(group.rules.is_empty().then(|| format!("nothing in the group {}", group.name)));
        }
        for alert in self.alerts() {
            found.extend((!names.insert(&alert.alert)).then(|| format!("two alerts {}", alert.alert)));
            found.extend(alert.faults(&headings));
        }
        found
    }
}

impl Alert {
    fn faults(&self, headings: &BTreeSet<String>) -> Vec<String> {
        let said = |name: &str| self.annotations.get(name).map(String::as_str).unwrap_or_default();
        let severity = self.labels.get("severity").map(String::as_str).unwrap_or_default();
        let runbook = said("runbook").strip_prefix(HANDBOOK).unwrap_or_default();
        let checks = [
            ("a time", parse_duration(&self.r#for).is_ok()),
            ("a severity that is known", SEVERITIES.contains(&severity)),
            ("a summary", !said("summary").is_empty()),
            ("a heading of the handbook as its runbook", headings.contains(runbook)),
        ];
        let lacking = checks.iter().filter(|(_, right)| !right);
        lacking.map(|(what, _)| format!("the alert {} lacks {what}", self.alert)).collect()
    }
}

/// The anchors that Markdown's headings get.
fn anchors(handbook: &str) -> BTreeSet<String> {
    let headings =
        handbook.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |letter: &char| letter.is_alphanumeric() || [' ', '-'].contains(letter);
    headings.map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "groups: [{ name: g, rules: [{ alert: A, expr: up == 0, for: 5m, labels: { severity: critical }, \
        annotations: { summary: s, runbook: docs/operations.md#service-down } }] }]";

    fn faults(text: &str) -> usize {
        Rules::parse(text).unwrap().faults("# Operations\n### Service down\n").len()
    }

    #[test]
    fn what_is_right_has_no_faults_and_what_is_wrong_has() {
        assert_eq!(faults(RIGHT), 0);
        for (right, wrong) in [
            ("5m", "soon"),
            ("severity: critical", "severity: bad"),
            ("summary: s", "description: s"),
            ("#service-down", "#service-up"),
            ("#service-down", ""),
            ("for: 5m,", "for: \"\","),
        ] {
            assert_eq!(faults(&RIGHT.replace(right, wrong)), 1, "{wrong}");
        }
    }

    #[test]
    fn a_field_that_prometheus_does_not_know_is_refused() {
        assert!(Rules::parse(&RIGHT.replace("for:", "fore:")).is_err());
        assert!(Rules::parse(&RIGHT.replace("labels:", "label:")).is_err());
    }
}
