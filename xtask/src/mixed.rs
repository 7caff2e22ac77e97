//! `cargo xtask mixed <commit>`: people buy while the services of an older commit and of this build replace each other.

use std::path::{Path, PathBuf};
use std::process::Command as Std;

use tokio::process::Command;

use crate::Result;
use crate::chaos::SERVICES;
use crate::run::{build_all, cargo};
use crate::test::{servers_dir, succeed, target};

/// Which build to mix with this one.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The older commit, by any name that git knows
    commit: String,
    /// Flags of the run, which `mixed -- --help` lists
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

#[tokio::main]
pub(crate) async fn mixed(arguments: &Arguments) -> Result {
    let older = older(&arguments.commit)?;
    succeed(build_older(&older)).await?;
    succeed(build_all().into()).await?;
    let world = folder().join("world");
    let options = docket_local::Options { servers_dir: servers_dir(), ..docket_local::Options::for_tests(&world) };
    docket_local::install(&options).await?;
    succeed(run(&older.build.join("debug"), &world, &arguments.rest)).await
}

/// Where an older commit is, and where it is built.
pub(crate) struct Older {
    pub(crate) tree: PathBuf,
    pub(crate) build: PathBuf,
}

/// Checks an older commit out, by any name that git knows.
pub(crate) fn older(name: &str) -> Result<Older> {
    let tree = check_out(&commit(name)?)?;
    // One folder for all older commits: most of what they are built of is the same.
    Ok(Older { tree, build: folder().join("build") })
}

fn folder() -> PathBuf {
    target().join("mixed")
}

fn git(arguments: &[&str]) -> Result<String> {
    let output = Std::new("git").args(arguments).output().map_err(|error| format!("git: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("git {}: {}", arguments.join(" "), said.trim()).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn commit(name: &str) -> Result<String> {
    let found = git(&["rev-parse", "--verify", "--end-of-options", &format!("{name}^{{commit}}")]);
    found.map_err(|error| format!("there is no commit {name}: {error}").into())
}

/// The work tree of a commit, made if it is not there.
fn check_out(commit: &str) -> Result<PathBuf> {
    let tree = folder().join("trees").join(commit);
    if !tree.join("Cargo.toml").is_file() {
        // Trees that were deleted with `target` are known to git still.
        git(&["worktree", "prune"])?;
        git(&["worktree", "add", "--detach", "--force", &tree.to_string_lossy(), commit])?;
    }
    Ok(tree)
}

fn build_older(older: &Older) -> Command {
    let mut command = Command::from(cargo(&["build"]));
    command.args(SERVICES.map(|service| format!("--package={service}"))).arg("--target-dir").arg(&older.build);
    command.current_dir(&older.tree);
    command
}

fn run(older: &Path, world: &Path, rest: &[String]) -> Command {
    let mut command = Command::new(target().join("debug/mixed"));
    command.arg("--older").arg(older).arg("--folder").arg(world).args(rest);
    command.env("DOCKET_SERVERS_DIR", servers_dir());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_has_many_names_and_what_is_none_is_told() {
        let head = commit("HEAD").unwrap();
        assert_eq!(head.len(), 40);
        assert_eq!(commit(&head[..12]).unwrap(), head);
        let told = commit("no-such-commit").unwrap_err().to_string();
        assert!(told.starts_with("there is no commit no-such-commit"), "{told}");
        assert!(commit("--all").is_err());
    }

    #[test]
    fn the_older_services_are_built_in_their_own_tree() {
        let command = build_older(&Older { tree: "tree".into(), build: "build".into() });
        assert_eq!(command.as_std().get_current_dir(), Some(Path::new("tree")));
        let arguments: Vec<_> = command.as_std().get_args().map(|argument| argument.to_string_lossy()).collect();
        assert!(arguments.iter().any(|argument| argument == "--package=orders"), "{arguments:?}");
        assert!(arguments.ends_with(&["--target-dir".into(), "build".into()]), "{arguments:?}");
    }
}
