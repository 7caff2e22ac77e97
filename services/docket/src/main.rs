//! Docket in one process: every service on one port, on embedded servers where none are given.

mod data_folder;
mod demo;
mod doctor;
mod documents;
mod embedded;
mod greeting;
mod preflight;
mod rebuild;
mod republish;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use common::service::{Service, StartError, StopSignal};
use common::settings::{Settings, SettingsError, read_from_env};

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
        web::service(),
    ]
}

fn main() -> ExitCode {
    let (cli, wrong) = read_from_env::<Cli>();
    let Some(Cli { settings, command }) = cli else {
        return common::service::ended(wrong.into_result().map_err(Into::into));
    };
    common::service::ended(match command {
        None => common::service::block_on(serve(settings, wrong)),
        Some(command) => run(command, settings, wrong),
    })
}

fn run(command: Command, settings: Settings, mut wrong: SettingsError) -> Result<(), StartError> {
    wrong.tell_all(settings.contradictions());
    wrong.into_result()?;
    match command {
        Command::Documents { mode } => documents::documents(&mode),
        Command::Republish { what } => common::service::block_on(republish::republish(settings, what)),
        Command::Doctor => common::service::block_on(doctor::doctor(settings)),
        Command::Rebuild { service } => common::service::block_on(rebuild::rebuild(settings, &service)),
    }
}

async fn serve(settings: Settings, wrong: SettingsError) -> Result<(), StartError> {
    let signal = StopSignal::listen()?;
    let key = Box::pin(preflight::look(&settings, wrong)).await?;
    let telemetry = common::telemetry::init(&settings, "docket")?;
    let (embedded, settings) = embedded::Embedded::start(settings).await?;
    let outcome = {
        let serving = serve_on(&embedded, settings, signal);
        tokio::pin!(serving);
        tokio::select! {
            outcome = &mut serving => outcome,
            () = key.told() => serving.await,
        }
    };
    embedded.stop().await;
    telemetry.flush();
    outcome
}

async fn serve_on(embedded: &embedded::Embedded, settings: Settings, mut signal: StopSignal) -> Result<(), StartError> {
    let now = settings.clock().now();
    embedded.make_good(&settings).await?;
    let running = tokio::select! {
        running = common::service::start(services(), settings.clone()) => running?,
        () = signal.received() => return Ok(()),
    };
    let base = format!("http://{}", running.http_addr());
    embedded.send_webhooks_to(&base);
    embedded.heal(&running);
    if settings.demo {
        demo::seed(&base, &settings, now).await;
    }
    greeting::greet(&base, &settings, embedded.test_mode());
    signal.received().await;
    running.stop().await;
    Ok(())
}
