//! Docket in one process: every service on one port, on embedded servers where none are given.

mod demo;
mod doctor;
mod documents;
mod embedded;
mod home;
mod rebuild;
mod republish;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use common::service::{Service, StartError, StopSignal};
use common::settings::Settings;

/// Docket sells tickets and tracks tickets.
#[derive(Parser)]
#[command(name = "docket", version)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the OpenAPI and AsyncAPI documents and the event schemas, or checks that they are up to date
    Documents {
        #[command(flatten)]
        mode: documents::Mode,
    },
    /// Publishes again what others have missed: the events since a time, or the present state of all there is
    Republish {
        #[command(flatten)]
        what: republish::What,
    },
    /// Looks at the settings, the servers and what each service has there, and says what is wrong; changes nothing
    Doctor,
    /// Has a service that does not run build its projections anew at its next start, for when they were damaged
    Rebuild {
        /// Such as orders
        service: String,
    },
}

/// Every service there is.
fn services() -> Vec<Service> {
    vec![
        auth::service(),
        tickets::service(),
        orders::service(),
        expiration::service(),
        payments::service(),
        home::service(),
        web::service(),
    ]
}

fn main() -> ExitCode {
    let Cli { settings, command } = Cli::parse();
    let outcome = match command {
        Some(Command::Documents { mode }) => documents::documents(&mode),
        command => common::service::block_on(async move {
            match command {
                Some(Command::Republish { what }) => republish::republish(settings, what).await,
                Some(Command::Doctor) => doctor::doctor(settings).await,
                Some(Command::Rebuild { service }) => rebuild::rebuild(settings, &service).await,
                _ => serve(settings).await,
            }
        }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("docket: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: Settings) -> Result<(), StartError> {
    settings.validate()?;
    let signal = StopSignal::listen()?;
    let telemetry = common::telemetry::init(&settings, "docket")?;
    let (embedded, settings) = embedded::Embedded::start(settings).await?;
    let outcome = serve_on(&embedded, settings, signal).await;
    embedded.stop().await;
    telemetry.flush();
    outcome
}

async fn serve_on(embedded: &embedded::Embedded, settings: Settings, signal: StopSignal) -> Result<(), StartError> {
    let now = settings.clock().now();
    embedded.make_good(&settings).await?;
    let running = common::service::start(services(), settings.clone()).await?;
    let base = format!("http://{}", running.http_addr());
    embedded.send_webhooks_to(&base);
    embedded.heal(&running);
    if settings.demo {
        demo::seed(&base, &settings.data_dir, now).await;
    }
    home::greet(&base, &settings, embedded.test_mode());
    signal.received().await;
    running.stop().await;
    Ok(())
}
