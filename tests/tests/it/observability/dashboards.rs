//! Grafana's dashboards as they stand in the repository.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::queries::Query;

/// How wide a dashboard is, in Grafana's columns.
const COLUMNS: u64 = 24;

/// The variable by which a viewer says which Prometheus is asked.
const SOURCE: &str = "${datasource}";

/// What Grafana puts in for the time that is looked at.
const TIMES: [(&str, &str); 3] = [("$__rate_interval", "5m"), ("$__interval", "1m"), ("$__range", "1h")];

/// A dashboard.
pub(super) struct Dashboard {
    name: String,
    model: Value,
}

impl Dashboard {
    /// The dashboard in a file.
    pub(super) fn parse(name: &str, text: &str) -> Self {
        let model = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), model }
    }

    /// What names it in addresses.
    pub(super) fn uid(&self) -> &str {
        self.model["uid"].as_str().unwrap_or_default()
    }

    fn panels(&self) -> impl Iterator<Item = &Value> {
        self.model["panels"].as_array().into_iter().flatten()
    }

    /// The panels that show something measured.
    fn charts(&self) -> impl Iterator<Item = &Value> {
        self.panels().filter(|panel| panel["type"] != "row" && panel["type"] != "text")
    }

    fn variables(&self) -> impl Iterator<Item = &Value> {
        self.model["templating"]["list"].as_array().into_iter().flatten()
    }

    /// All that it asks Prometheus for, with every variable at "All".
    pub(super) fn queries(&self) -> Vec<Query> {
        let names: Vec<&str> = self.variables().filter_map(|variable| variable["name"].as_str()).collect();
        let of_panels = self.charts().flat_map(|panel| {
            let place = format!("{}, {}", self.name, panel["title"]);
            let targets = panel["targets"].as_array().cloned().unwrap_or_default();
            targets
                .into_iter()
                .map(move |target| (place.clone(), target["expr"].as_str().unwrap_or_default().to_owned()))
        });
        let of_variables = self.variables().filter(|variable| variable["type"] == "query").map(|variable| {
            (format!("{}, variable {}", self.name, variable["name"]), of_label_values(&variable["query"]))
        });
        let asked = of_panels.chain(of_variables);
        asked.map(|(place, text)| Query { place, text: expanded(&text, &names) }).collect()
    }

    /// What Grafana would not show, or not show well.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.uid().is_empty()
            || self.model["title"].as_str().is_none_or(str::is_empty)
            || !self.model["id"].is_null()
        {
            found.push("it has a uid and a title, and no id".to_owned());
        }
        if !self.variables().any(|variable| variable["type"] == "datasource" && variable["name"] == "datasource") {
            found.push("viewers cannot say which Prometheus is asked".to_owned());
        }
        let mut ids = BTreeSet::new();
        let twice = self.panels().filter(|panel| !ids.insert(panel["id"].as_u64()));
        found.extend(twice.map(|panel| format!("panel {} has the id of another one", panel["title"])));
        found.extend(self.charts().flat_map(chart_faults));
        found.extend(self.overlaps());
        found.into_iter().map(|fault| format!("{}: {fault}", self.name)).collect()
    }

    fn overlaps(&self) -> Vec<String> {
        let mut taken: BTreeMap<(u64, u64), &Value> = BTreeMap::new();
        let mut found = Vec::new();
        for panel in self.panels() {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap_or(COLUMNS + 1));
            if x + w > COLUMNS {
                found.push(format!("panel {} is not on the grid", panel["title"]));
                continue;
            }
            let cells = (x..x + w).flat_map(|column| (y..y + h).map(move |row| (column, row)));
            let other = cells.filter_map(|cell| taken.insert(cell, &panel["title"])).next();
            found.extend(other.map(|other| format!("panel {} lies over {other}", panel["title"])));
        }
        found
    }
}

fn chart_faults(panel: &Value) -> Vec<String> {
    let title = panel["title"].as_str().unwrap_or_default();
    let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let refs: BTreeSet<&str> = targets.iter().filter_map(|target| target["refId"].as_str()).collect();
    let checks = [
        ("a title", !title.is_empty()),
        ("a description", panel["description"].as_str().is_some_and(|text| !text.is_empty())),
        ("a unit", panel["fieldConfig"]["defaults"]["unit"].as_str().is_some_and(|unit| !unit.is_empty())),
        ("the datasource of the viewer's choice", panel["datasource"]["uid"] == SOURCE),
        ("a query", !targets.is_empty()),
        ("a name of its own for each query", refs.len() == targets.len()),
    ];
    checks.iter().filter(|(_, right)| !right).map(|(what, _)| format!("panel {title:?} lacks {what}")).collect()
}

/// The metric and the label that `label_values(metric, label)` asks for, as PromQL says it.
fn of_label_values(query: &Value) -> String {
    let text = query.as_str().or_else(|| query["query"].as_str()).unwrap_or_default();
    let inner = text.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let Some((metric, label)) = inner.and_then(|inner| inner.rsplit_once(',')) else { return text.to_owned() };
    format!("count by ({}) ({metric})", label.trim())
}

/// With what Grafana puts in for variables; one that is unknown stays, and is no PromQL.
fn expanded(text: &str, variables: &[&str]) -> String {
    let timed = TIMES.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
    variables
        .iter()
        .fold(timed, |text, name| text.replace(&format!("${{{name}}}"), ".*").replace(&format!("${name}"), ".*"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dashboard(panels: Value) -> Dashboard {
        let list = json!([
            { "name": "datasource", "type": "datasource" },
            { "name": "service", "type": "query", "query": { "query": "label_values(held_total, service)" } },
        ]);
        let model = json!({ "uid": "u", "title": "t", "panels": panels, "templating": { "list": list } });
        Dashboard { name: "some.json".to_owned(), model }
    }

    fn panel(id: u64, x: u64) -> Value {
        json!({ "id": id, "type": "stat", "title": "Holds", "description": "d", "datasource": { "uid": SOURCE },
            "gridPos": { "x": x, "y": 0, "w": 12, "h": 4 }, "fieldConfig": { "defaults": { "unit": "short" } },
            "targets": [{ "refId": "A", "expr": "rate(held_total{service=~\"$service\"}[$__rate_interval])" }] })
    }

    #[test]
    fn variables_are_put_in() {
        let texts: Vec<String> =
            dashboard(json!([panel(1, 0)])).queries().into_iter().map(|query| query.text).collect();
        assert_eq!(texts, ["rate(held_total{service=~\".*\"}[5m])", "count by (service) (held_total)"]);
    }

    #[test]
    fn what_is_right_has_no_faults_and_what_is_wrong_has() {
        assert_eq!(dashboard(json!([panel(1, 0), panel(2, 12)])).faults(), Vec::<String>::new());
        assert_eq!(dashboard(json!([panel(1, 0), panel(1, 12)])).faults().len(), 1, "one id twice");
        assert_eq!(dashboard(json!([panel(1, 0), panel(2, 11)])).faults().len(), 1, "one over the other");
        assert_eq!(dashboard(json!([panel(1, 13)])).faults().len(), 1, "beside the grid");
        let bare = json!({ "id": 1, "type": "stat", "title": "", "gridPos": { "x": 0, "y": 0, "w": 1, "h": 1 } });
        assert_eq!(dashboard(json!([bare])).faults().len(), 5);
    }
}
