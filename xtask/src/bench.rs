//! `cargo xtask bench`: Docket in release, and the load harness beside it.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::mixed::older;
use crate::run::{cargo, run};
use crate::test::{servers_dir, target};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// An older commit, by any name that git knows, which is built too and measured in turns with this one
    #[arg(long)]
    older: Option<String>,
    /// Scenarios and flags of the harness: flash-sale is everything; `bench hot --help` lists them
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds what is measured and runs the harness, which starts and stops Docket.
pub(crate) fn bench(arguments: &Arguments) -> Result {
    let older = arguments.older.as_deref().map(older).transpose()?;
    if let Some(older) = &older {
        let mut build = cargo(&["build", "--release", "--package", "docket", "--target-dir"]);
        build.arg(&older.build).current_dir(&older.tree);
        run(build)?;
    }
    run(cargo(&["build", "--release", "--package", "docket", "--package", "docket-bench"]))?;
    let beside = older.map(|older| older.build.join("release/docket"));
    run(harness(beside.as_deref(), &arguments.rest))
}

fn harness(beside: Option<&Path>, rest: &[String]) -> Command {
    let mut command = Command::new(target().join("release/docket-bench"));
    command.arg("run").args(rest).env("DOCKET_SERVERS_DIR", servers_dir());
    if let Some(beside) = beside {
        command.arg("--beside").arg(beside);
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn parsed(arguments: &[&str]) -> Arguments {
        let command = Arguments::augment_args(clap::Command::new("bench"));
        let matches = command.try_get_matches_from(["bench"].iter().chain(arguments)).unwrap();
        Arguments::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn what_follows_a_scenario_is_the_harness_s_own() {
        let arguments = parsed(&["hot", "journey", "--runs", "20", "--help"]);
        assert_eq!(arguments.older, None);
        assert_eq!(arguments.rest, ["hot", "journey", "--runs", "20", "--help"]);
        let arguments = parsed(&["--older", "v1", "hot", "--turns", "2"]);
        assert_eq!(arguments.older.as_deref(), Some("v1"));
        assert_eq!(arguments.rest, ["hot", "--turns", "2"]);
    }

    #[test]
    fn scenarios_flags_and_the_older_build_are_passed_on() {
        let rest = ["hot".to_owned(), "--holds".to_owned(), "500".to_owned()];
        assert_eq!(harness(None, &rest).get_args().collect::<Vec<_>>(), ["run", "hot", "--holds", "500"]);
        let compared = harness(Some(Path::new("older/docket")), &rest[..1]);
        assert_eq!(compared.get_args().collect::<Vec<_>>(), ["run", "hot", "--beside", "older/docket"]);
    }
}
