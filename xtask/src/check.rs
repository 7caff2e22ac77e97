//! `cargo xtask check`: everything that must hold beside the tests.

use crate::run::{cargo, run};
use crate::{Result, browser, deny, documents, images, manifests, tidy};

/// A name, and what is run.
type Check = (&'static str, fn() -> Result);

/// What to check.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these: `check lints tidy`
    only: Vec<String>,
}

/// Runs every check, also after one has failed, and names those that did.
pub(crate) fn check(arguments: &Arguments) -> Result {
    let checks: [Check; 8] = [
        ("format", || run(cargo(&["fmt", "--all", "--check"]))),
        ("lints", || run(cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))),
        ("tidy", tidy::tidy),
        ("dependencies", deny::deny),
        ("scripts", browser::check_scripts),
        ("manifests", manifests::manifests),
        ("images", images::images),
        ("documents", || documents::documents("--check")),
    ];
    let unknown = arguments.only.iter().find(|wanted| checks.iter().all(|(name, _)| name != wanted));
    if let Some(unknown) = unknown {
        return Err(format!("there is no check {unknown}: {}", checks.map(|(name, _)| name).join(", ")).into());
    }
    let wanted = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|wanted| wanted == name);
    let wanted = checks.into_iter().filter(|(name, _)| wanted(name));
    let failed: Vec<&str> = wanted.filter(|check| !passes(check)).map(|(name, _)| name).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}

fn passes((name, check): &Check) -> bool {
    eprintln!("== {name}");
    check().inspect_err(|error| eprintln!("{name}: {error}")).is_ok()
}
