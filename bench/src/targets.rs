//! What the figures are to be compared with.

use serde::Serialize;

use crate::reference::{AT_ONCE, DISTINCT, HOT};
use crate::report::{Outcome, Row};
use crate::scenario::ACCEPTED;

/// A target, and what was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) wanted: String,
    pub(crate) found: f64,
    pub(crate) met: bool,
}

impl Target {
    fn at_least(name: &'static str, bound: f64, found: f64) -> Self {
        Self { name, wanted: format!(">= {bound}"), found, met: found >= bound }
    }

    fn below(name: &'static str, bound: f64, found: f64) -> Self {
        Self { name, wanted: format!("< {bound}"), found, met: found < bound }
    }

    fn exactly(name: &'static str, wanted: f64, found: f64) -> Self {
        Self { name, wanted: format!("= {wanted}"), found, met: (found - wanted).abs() < 0.5 }
    }
}

/// All targets for which there are figures.
pub(crate) fn targets(outcomes: &[Outcome]) -> Vec<Target> {
    let of = |name: &str| outcomes.iter().find(|outcome| outcome.name == name);
    let row = |name: &str, step: &str| of(name)?.rows.iter().find(|row| row.step == step);
    let ratio = |a: Option<&Row>, b: Option<&Row>| Some(a?.rate / b.filter(|row| row.rate > 0.0)?.rate);
    let figure = |name: &str, figure: &str| of(name)?.figures.get(figure).copied();
    let hold = row("hot", "hold");
    let beside = |name: &str, step: &str| Some(row(name, step)?.rate / figure(name, DISTINCT)?);
    let sold = figure("sellout", "sold").zip(figure("sellout", "places"));
    [
        ratio(hold, row("reference", HOT))
            .map(|it| Target::at_least("holds/s on one listing, against transactions on one", 20.0, it)),
        ratio(hold, row("reference", AT_ONCE))
            .map(|it| Target::at_least("the same, against transactions that are retried at once", 20.0, it)),
        beside("hot", "hold").map(|it| Target::at_least("the same, against transactions on distinct ones", 2.0, it)),
        hold.map(|it| Target::below("p99 of a hold, ms", 250.0, it.latency.p99)),
        beside("journey", "journey")
            .map(|it| Target::at_least("journeys/s, against transactions on distinct ones", 0.5, it)),
        sold.map(|(sold, places)| Target::exactly("places sold in the sell-out", places, sold)),
        row("sellout", "losers after")
            .map(|it| Target::below("p99 of a loser after the sell-out, ms", 100.0, it.latency.p99)),
        figure("read", "plain").map(|it| Target::at_least("ticket pages/s, against a bare handler", 0.5, it)),
        row("pages", "start page").map(|it| Target::below("p95 of the start page, ms", 15.0, it.latency.p95)),
        figure("overload", ACCEPTED)
            .map(|it| Target::at_least("accepted at 3x the sustainable rate, against the peak", 0.8, it)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outcome(name: &str, step: &str, count: usize) -> Outcome {
        let took = std::iter::repeat_n(Duration::from_millis(300), count);
        Outcome::new(name).row(Row::new(step, count, Duration::from_secs(1), took))
    }

    #[test]
    fn only_what_was_measured_is_judged() {
        assert!(targets(&[]).is_empty());
        let judged = targets(&[outcome("hot", "hold", 1000), outcome("reference", HOT, 50)]);
        let judged: Vec<_> = judged.iter().map(|target| (target.wanted.as_str(), target.met)).collect();
        assert_eq!(judged, [(">= 20", true), ("< 250", false)]);
    }

    #[test]
    fn one_place_too_many_is_not_met() {
        let sold = |sold| targets(&[Outcome::new("sellout").figure("places", 1000.0).figure("sold", sold)])[0].met;
        assert!(sold(1000.0) && !sold(1001.0) && !sold(999.0));
    }
}
