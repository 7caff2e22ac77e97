//! What was measured, as a table and as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::check::Violation;
use crate::machine::Machine;
use crate::options::Sizes;
use crate::processes::Usage;
use crate::scenario::Cost;
use crate::stats::{Latency, rate};
use crate::targets::Target;

/// One step of a scenario.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) step: String,
    pub(crate) count: usize,
    /// A second.
    pub(crate) rate: f64,
    pub(crate) latency: Latency,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) answers: BTreeMap<String, usize>,
}

impl Row {
    /// So many things in `elapsed`, which took `durations`.
    pub(crate) fn new(step: &str, count: usize, elapsed: Duration, durations: impl Iterator<Item = Duration>) -> Self {
        let (step, latency) = (step.to_owned(), Latency::of(durations));
        Self { step, count, rate: rate(count, elapsed), latency, answers: BTreeMap::new() }
    }

    /// By another name.
    pub(crate) fn named(self, step: &str) -> Self {
        Self { step: step.to_owned(), ..self }
    }

    /// With how often each answer was given.
    pub(crate) fn answered(self, answers: BTreeMap<String, usize>) -> Self {
        Self { answers, ..self }
    }
}

/// What came of a scenario.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) cost: Option<Cost>,
    /// Other numbers, by their names.
    pub(crate) figures: BTreeMap<String, f64>,
    pub(crate) violations: Vec<String>,
}

impl Outcome {
    pub(crate) fn new(name: &str) -> Self {
        let (rows, figures, violations) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { name: name.to_owned(), rows, cost: None, figures, violations }
    }

    pub(crate) fn row(mut self, row: Row) -> Self {
        self.rows.push(row);
        self
    }

    pub(crate) fn cost(self, cost: Cost) -> Self {
        Self { cost: Some(cost), ..self }
    }

    pub(crate) fn figure(mut self, name: &str, value: f64) -> Self {
        self.figures.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn violations(mut self, violations: Vec<Violation>) -> Self {
        self.violations.extend(violations.iter().map(ToString::to_string));
        self
    }

    pub(crate) fn violation(mut self, violation: String) -> Self {
        self.violations.push(violation);
        self
    }
}

/// Everything of a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) at: common::clock::Time,
    pub(crate) machine: Machine,
    pub(crate) sizes: Sizes,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) targets: Vec<Target>,
    /// How many rounds of the checked scenarios came after that, and what was wrong in them.
    pub(crate) rounds: usize,
    pub(crate) violations_in_rounds: Vec<String>,
}

impl Report {
    /// Everything that is wrong.
    pub(crate) fn violations(&self) -> impl Iterator<Item = String> {
        let of = |outcome: &Outcome| {
            let name = outcome.name.clone();
            outcome.violations.clone().into_iter().map(move |violation| format!("{name}: {violation}"))
        };
        self.outcomes.iter().flat_map(of).chain(self.violations_in_rounds.iter().cloned())
    }

    /// Tables that can be pasted into a page.
    pub(crate) fn tables(&self) -> String {
        let mut text = format!("{}\n\n{}\n", self.machine, latencies(&self.outcomes));
        for table in [costs(&self.outcomes), answers(&self.outcomes), targets(&self.targets)].into_iter().flatten() {
            text.push_str(&format!("\n{table}\n"));
        }
        text
    }
}

/// As Markdown; columns behind the first `texts` are numbers.
pub(crate) fn table(header: &[&str], texts: usize, rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header.to_vec());
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(texts) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn latencies(outcomes: &[Outcome]) -> Table {
    let row = |outcome: &Outcome, row: &Row| {
        let Latency { p50, p95, p99, p999, max } = row.latency;
        let mut cells = vec![outcome.name.clone(), row.step.clone(), row.count.to_string(), whole(row.rate)];
        cells.extend([p50, p95, p99, p999, max].map(|millis| format!("{millis:.1}")));
        cells
    };
    let rows = outcomes.iter().flat_map(|outcome| outcome.rows.iter().map(move |it| row(outcome, it))).collect();
    table(&["scenario", "step", "count", "per s", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "max ms"], 2, rows)
}

fn costs(outcomes: &[Outcome]) -> Option<Table> {
    let row = |(outcome, cost): (&Outcome, &Cost)| {
        let mut cells = vec![outcome.name.clone(), format!("{:.1}", cost.seconds)];
        cells.extend(
            [cost.docket, cost.mongod, cost.nats, cost.harness].map(|usage| format!("{:.1}", usage.cpu_seconds)),
        );
        cells.extend([cost.docket, cost.mongod, cost.nats].map(|usage: Usage| whole(usage.peak_rss_mib)));
        cells.push(cost.commands_per_order.map_or_else(String::new, |commands| format!("{commands:.2}")));
        cells.push(outcome.violations.len().to_string());
        cells
    };
    let rows: Vec<_> = outcomes.iter().filter_map(|it| Some((it, it.cost.as_ref()?))).map(row).collect();
    let header = [
        "scenario",
        "s",
        "CPU s docket",
        "mongod",
        "nats",
        "harness",
        "peak MiB docket",
        "mongod",
        "nats",
        "commands/order",
        "violations",
    ];
    (!rows.is_empty()).then(|| table(&header, 1, rows))
}

fn answers(outcomes: &[Outcome]) -> Option<Table> {
    let said = |row: &Row| {
        row.answers.iter().map(|(answer, times)| format!("{times} x {answer}")).collect::<Vec<_>>().join(", ")
    };
    let rows: Vec<_> = outcomes
        .iter()
        .flat_map(|outcome| outcome.rows.iter().map(move |row| (outcome, row)))
        .filter(|(_, row)| !row.answers.is_empty())
        .map(|(outcome, row)| vec![outcome.name.clone(), row.step.clone(), said(row)])
        .collect();
    (!rows.is_empty()).then(|| table(&["scenario", "step", "answers"], 3, rows))
}

fn targets(targets: &[Target]) -> Option<Table> {
    let row = |target: &Target| {
        let met = if target.met { "yes" } else { "NO" };
        vec![target.name.to_owned(), target.wanted.clone(), format!("{:.2}", target.found), met.to_owned()]
    };
    let rows: Vec<_> = targets.iter().map(row).collect();
    (!rows.is_empty()).then(|| table(&["target", "wanted", "found", "met"], 1, rows))
}

/// Without digits behind the point.
pub(crate) fn whole(number: f64) -> String {
    format!("{number:.0}")
}
