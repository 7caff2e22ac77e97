//! Two builds side by side: the same scenarios in turns of one run, and what one has of the other.

use std::ops::Range;

use serde::Serialize;

use crate::report::{Outcome, Report, Row, table, whole};
use crate::scenario::Cost;
use crate::stats::median;

/// The order of turns: each build comes first and last equally often, so that a machine which grows slower or faster
/// favours neither.
pub(crate) fn order(turns: usize) -> impl Iterator<Item = Build> {
    (0..turns).flat_map(|turn| if turn % 2 == 0 { [Build::This, Build::Beside] } else { [Build::Beside, Build::This] })
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// The one that is judged
    This,
    /// The one that it is compared with
    Beside,
}

/// One figure of both.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figure {
    /// The median of its turns.
    this: f64,
    beside: f64,
    /// Above 1 where this build is better: higher in a rate, lower in a latency or in CPU time.
    ratio: f64,
    /// The ratios of single turns: how far they differ says how much the median is worth.
    turns: Range<f64>,
}

#[derive(Clone, Copy)]
enum Better {
    Higher,
    Lower,
}

impl Figure {
    /// Of the turns of both, in their order. Nothing if one of them has none.
    fn of(this: &[f64], beside: &[f64], better: Better) -> Option<Self> {
        let ratio = |this: f64, beside: f64| match better {
            Better::Higher => this / beside,
            Better::Lower => beside / this,
        };
        let pairs = this.iter().zip(beside).map(|(this, beside)| ratio(*this, *beside));
        let turns = pairs.map(|ratio| ratio..ratio).reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))?;
        let (this, beside) = (median(this.to_vec()), median(beside.to_vec()));
        Some(Self { this, beside, ratio: ratio(this, beside), turns })
    }
}

/// A step of a scenario in both.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    scenario: String,
    step: String,
    rate: Figure,
    p50: Figure,
    p99: Figure,
}

/// What an order of a scenario took of the processors in both: Docket, MongoDB and NATS together, with all that others asked
/// for meanwhile.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cpu {
    scenario: String,
    micros: Figure,
    /// The same of the load generator, which does the same for both: its ratio tells how far the machine was not equally fast.
    generator: Figure,
}

/// Both builds, figure by figure.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comparison {
    steps: Vec<Step>,
    cpu: Vec<Cpu>,
}

impl Comparison {
    /// Of the reports of both, each in the order of its turns. Steps are told apart by their place in the scenario
    /// and their name.
    pub(crate) fn of(this: &[Report], beside: &[Report]) -> Self {
        let Some(first) = this.first() else { return Self { steps: Vec::new(), cpu: Vec::new() } };
        let outcomes = || first.outcomes.iter().enumerate();
        let steps = outcomes().flat_map(|(at, outcome)| {
            let steps = outcome.rows.iter().enumerate();
            steps.filter_map(move |(step, row)| Step::of([this, beside], outcome, row, (at, step)))
        });
        let cpu = outcomes().filter_map(|(at, outcome)| {
            let figure = |of: fn(&Cost) -> f64| {
                let micros = |reports| values(reports, |report| micros_of_order(report.outcomes.get(at)?, of));
                Figure::of(&micros(this), &micros(beside), Better::Lower)
            };
            let micros = figure(|cost| cost.docket.cpu_seconds + cost.mongod.cpu_seconds + cost.nats.cpu_seconds)?;
            let generator = figure(|cost| cost.harness.cpu_seconds)?;
            Some(Cpu { scenario: outcome.name.clone(), micros, generator })
        });
        Self { steps: steps.collect(), cpu: cpu.collect() }
    }

    /// Tables that can be pasted into a page.
    pub(crate) fn tables(&self) -> String {
        let steps = self.steps.iter().map(|step| {
            let Step { scenario, step, rate, p50, p99 } = step;
            let mut cells = vec![scenario.clone(), step.clone(), whole(rate.this), whole(rate.beside)];
            cells.extend(ratios(rate));
            cells.extend([p50, p99].map(|figure| format!("{:.2}", figure.ratio)));
            cells
        });
        let header = ["scenario", "step", "per s", "beside", "ratio", "turns", "p50 ratio", "p99 ratio"];
        let steps = table(&header, 2, steps.collect());
        let cpu = self.cpu.iter().map(|Cpu { scenario, micros, generator }| {
            let mut cells = vec![scenario.clone(), whole(micros.this), whole(micros.beside)];
            cells.extend(ratios(micros));
            cells.extend(ratios(generator));
            cells
        });
        let header = ["scenario", "CPU us/order", "beside", "ratio", "turns", "load generator's", "turns"];
        let cpu = table(&header, 1, cpu.collect());
        format!("{steps}\n\n{cpu}\n")
    }
}

impl Step {
    fn of([this, beside]: [&[Report]; 2], outcome: &Outcome, row: &Row, (at, step): (usize, usize)) -> Option<Self> {
        let figure = |of: fn(&Row) -> f64, better| {
            let alike = |it: &&Row| name_of(it) == name_of(row);
            let turn = |report: &Report| report.outcomes.get(at)?.rows.get(step).filter(alike).map(of);
            let turns = |reports| values(reports, turn);
            Figure::of(&turns(this), &turns(beside), better)
        };
        Some(Self {
            scenario: outcome.name.clone(),
            step: row.step.clone(),
            rate: figure(|row| row.rate, Better::Higher)?,
            p50: figure(|row| row.latency.p50, Better::Lower)?,
            p99: figure(|row| row.latency.p99, Better::Lower)?,
        })
    }
}

/// The name of a step, without how much was wanted in it, which differs.
fn name_of(row: &Row) -> &str {
    row.step.split(':').next().unwrap_or_default()
}

fn values(reports: &[Report], of: impl Fn(&Report) -> Option<f64>) -> Vec<f64> {
    reports.iter().filter_map(of).collect()
}

fn micros_of_order(outcome: &Outcome, seconds: fn(&Cost) -> f64) -> Option<f64> {
    let cost = outcome.cost.as_ref().filter(|cost| cost.orders > 0)?;
    Some(seconds(cost) / cost.orders as f64 * 1e6)
}

fn ratios(figure: &Figure) -> [String; 2] {
    let Range { start, end } = figure.turns;
    [format!("{:.2}", figure.ratio), format!("{start:.2} to {end:.2}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_build_is_first_equally_often() {
        use Build::{Beside, This};
        assert_eq!(order(2).collect::<Vec<_>>(), [This, Beside, Beside, This]);
        assert_eq!(order(4).filter(|build| *build == This).count(), 4);
    }

    #[test]
    fn above_one_is_better_in_a_rate_and_in_a_latency() {
        let (this, beside) = ([100.0, 120.0, 110.0], [110.0, 100.0, 100.0]);
        let rate = Figure::of(&this, &beside, Better::Higher).unwrap();
        assert_eq!((rate.this, rate.beside, rate.ratio), (110.0, 100.0, 1.1));
        assert_eq!(rate.turns, 100.0 / 110.0..1.2);
        let latency = Figure::of(&this, &beside, Better::Lower).unwrap();
        assert_eq!((latency.ratio, latency.turns), (100.0 / 110.0, 100.0 / 120.0..1.1));
        assert!(Figure::of(&this, &[], Better::Higher).is_none());
    }
}
