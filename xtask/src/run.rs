//! Runs commands, and says which.

use std::env;
use std::process::Command;

use crate::Result;

/// `cargo` with these arguments.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    as_typed(command)
}

/// The same without what `cargo xtask` sets for xtask alone: a build script that watches it would run again, and all above it.
pub(crate) fn as_typed(mut command: Command) -> Command {
    let of_xtask = env::vars_os().map(|(name, _)| name).filter(|name| is_of_a_package(&name.to_string_lossy()));
    of_xtask.for_each(|name| {
        command.env_remove(name);
    });
    command
}

fn is_of_a_package(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}

/// The build of everything, the tests too. Who builds less builds some dependencies with fewer features, and what stands on them once
/// more.
pub(crate) fn build_all() -> Command {
    cargo(&["build", "--workspace", "--all-targets"])
}

/// Runs it to its end; an error if it fails.
pub(crate) fn run(mut command: Command) -> Result {
    let shown = announce(&command);
    let status = command.status().map_err(|error| format!("{shown}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}").into()) }
}

/// Prints what is run, and returns it.
pub(crate) fn announce(command: &Command) -> String {
    let shown = show(command);
    eprintln!("$ {shown}");
    shown
}

fn show(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let name = program.rsplit('/').next().unwrap_or(&program).to_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(name).chain(arguments).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["test", "--workspace"]);
        assert_eq!(show(&command), "cargo test --workspace");
    }
}
