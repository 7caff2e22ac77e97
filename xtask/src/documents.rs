//! Documents which are generated from code and committed.

use std::process::Command;

use crate::Result;
use crate::run::{cargo, run};

/// Calls `docket documents`, with `--check` or `--write`.
///
/// Not by `cargo run -p docket`: choosing one package chooses other features of its dependencies, and builds them again.
pub(crate) fn documents(mode: &str) -> Result {
    run(cargo(&["build", "--quiet", "--workspace", "--bin", "docket"]))?;
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let mut docket = Command::new(format!("{target}/debug/docket"));
    docket.args(["documents", mode]);
    run(docket)
}
