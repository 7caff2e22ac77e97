//! Documents which are generated from code and committed.

use std::process::Command;

use crate::Result;
use crate::run::{build_all, run};
use crate::test::target;

/// Calls `docket documents`, with `--check` or `--write`.
pub(crate) fn documents(mode: &str) -> Result {
    run(build_all())?;
    let mut docket = Command::new(target().join("debug/docket"));
    docket.args(["documents", mode]);
    run(docket)
}
