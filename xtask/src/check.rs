//! `cargo xtask check`: everything that must hold beside the tests.

use crate::run::{cargo, run};
use crate::{Result, browser, deny, documents, manifests, tidy};

/// A name, and what is run.
type Check = (&'static str, fn() -> Result);

/// Runs every check, also after one has failed, and names those that did.
pub(crate) fn check() -> Result {
    let checks: [Check; 7] = [
        ("format", || run(cargo(&["fmt", "--all", "--check"]))),
        ("lints", || run(cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))),
        ("tidy", tidy::tidy),
        ("dependencies", deny::deny),
        ("scripts", browser::check_scripts),
        ("manifests", manifests::manifests),
        ("documents", || documents::documents("--check")),
    ];
    let failed: Vec<&str> = checks.into_iter().filter(|check| !passes(check)).map(|(name, _)| name).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}

fn passes((name, check): &Check) -> bool {
    eprintln!("== {name}");
    check().inspect_err(|error| eprintln!("{name}: {error}")).is_ok()
}
