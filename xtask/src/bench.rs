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
    use super::*;

    #[test]
    fn scenarios_and_flags_are_passed_on() {
        let command = harness(&["hot".to_owned(), "--holds".to_owned(), "500".to_owned()]);
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["run", "hot", "--holds", "500"]);
    }
}
