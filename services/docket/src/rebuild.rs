//! Rebuilding what a service keeps of others' aggregates, should it be damaged.

use common::service::{ProjectionOf, Service, StartError};
use common::settings::Settings;

use crate::{embedded, services};

/// Throws away the projections of a service; its next start builds them from the streams.
#[expect(clippy::print_stdout, reason = "the outcome of a command is its output")]
pub(crate) async fn rebuild(settings: Settings, name: &str) -> Result<(), StartError> {
    let service = find(name)?;
    let telemetry = common::telemetry::init(&settings, "docket")?;
    let (embedded, settings) = embedded::Embedded::start(settings).await?;
    let outcome = common::service::rebuild(&service, &settings).await;
    embedded.stop().await;
    telemetry.flush();
    for ProjectionOf { domain, collection, .. } in outcome? {
        println!("{name} reads all {domain} events into its {collection} at its next start");
    }
    Ok(())
}

fn find(name: &str) -> Result<Service, StartError> {
    let found = services().into_iter().find(|service| service.keeps_state() && service.name() == name);
    found.ok_or_else(|| StartError::other(format!("there is no service {name}")))
}
