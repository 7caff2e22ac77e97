//! The Stripe stand-in as its own process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use docket_stripe::{Options, StartError, StripeStandIn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// A stand-in for Stripe's API, for test mode and tests.
#[derive(Parser)]
#[command(name = "docket-stripe", version)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:12111")]
    addr: SocketAddr,
    /// The key clients must present.
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true, default_value = "sk_test_docket")]
    secret_key: String,
    /// What webhooks are signed with.
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", hide_env_values = true, default_value = "whsec_docket")]
    webhook_secret: String,
    /// Where webhooks go.
    #[arg(long)]
    webhook_url: Option<String>,
    /// Which types of events go there, separated by commas; all if none are named.
    #[arg(long, value_delimiter = ',')]
    webhook_events: Vec<String>,
    /// The file that keeps everything over a restart.
    #[arg(long)]
    journal: Option<PathBuf>,
    /// The address browsers reach this under, if it is not the one listened on.
    #[arg(long)]
    public_url: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let level = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    tracing_subscriber::fmt().with_env_filter(level.from_env_lossy()).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot start");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), StartError> {
    let stand_in = StripeStandIn::start(Options {
        addr: arguments.addr,
        secret_key: arguments.secret_key,
        webhook_secret: arguments.webhook_secret,
        webhook_url: arguments.webhook_url,
        webhook_events: arguments.webhook_events,
        journal: arguments.journal,
        public_url: arguments.public_url,
        ..Options::default()
    })
    .await?;
    tracing::info!(url = stand_in.base_url(), "the Stripe stand-in is ready");
    let _interrupted = tokio::signal::ctrl_c().await;
    stand_in.stop().await;
    Ok(())
}
