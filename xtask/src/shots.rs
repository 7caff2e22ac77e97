//! `cargo xtask shots`: pictures of the pages, for the README.

use tokio::process::Command;

use crate::run::build_all;
use crate::test::{servers_dir, succeed, target};
use crate::{Result, browser};

/// Which pictures.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only of pages whose name contains this
    #[arg(long)]
    only: Option<String>,
}

#[tokio::main]
pub(crate) async fn shots(arguments: &Arguments) -> Result {
    let chromium = browser::chromium()?;
    succeed(build_all().into()).await?;
    let mut command = Command::new(target().join("debug/shots"));
    command.args(["--folder", "docs/shots"]).env("CHROMIUM", chromium).env("DOCKET_SERVERS_DIR", servers_dir());
    if let Some(only) = &arguments.only {
        command.args(["--only", only]);
    }
    succeed(command).await
}
