//! `cargo xtask bench`: Docket in release, and the load harness beside it.

use std::process::Command;

use crate::Result;
use crate::run::{cargo, run};
use crate::test::{servers_dir, target};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Scenarios and flags of the harness: flash-sale is everything; `bench hot --help` lists them
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds both and runs the harness, which starts and stops Docket.
pub(crate) fn bench(arguments: &Arguments) -> Result {
    run(cargo(&["build", "--release", "--package", "docket", "--package", "docket-bench"]))?;
    run(harness(&arguments.rest))
}

fn harness(rest: &[String]) -> Command {
    let mut command = Command::new(target().join("release/docket-bench"));
    command.arg("run").args(rest).env("DOCKET_SERVERS_DIR", servers_dir());
    command
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    #[test]
    fn what_follows_a_scenario_is_the_harness_s_own() {
        let command = Arguments::augment_args(clap::Command::new("bench"));
        let matches = command.try_get_matches_from(["bench", "hot", "journey", "--runs", "20", "--help"]).unwrap();
        let rest: Vec<&String> = matches.get_many("rest").unwrap().collect();
        assert_eq!(rest, ["hot", "journey", "--runs", "20", "--help"]);
    }

    #[test]
    fn scenarios_and_flags_are_passed_on() {
        let command = harness(&["hot".to_owned(), "--holds".to_owned(), "500".to_owned()]);
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["run", "hot", "--holds", "500"]);
    }
}
