//! Rebuilding what a service keeps of others' aggregates, should it be damaged.

use common::service::{Rebuilt, Service, StartError};
use common::settings::Settings;

use crate::republish::said;
use crate::{embedded, services};

/// Throws away the projections of a service and has them told anew; its next start builds them.
#[expect(clippy::print_stdout, reason = "the outcome of a command is its output")]
pub(crate) async fn rebuild(settings: Settings, name: &str) -> Result<(), StartError> {
    let service = find(name)?;
    let telemetry = common::telemetry::init(&settings, "docket")?;
    let (embedded, settings) = embedded::Embedded::start(settings).await?;
    let outcome = common::service::rebuild(&service, &services(), &settings).await;
    embedded.stop().await;
    telemetry.flush();
    for Rebuilt { projection, told } in outcome? {
        let (domain, collection) = (projection.domain, projection.collection);
        println!("{domain}: {}; {name} builds its {collection} from that at its next start", said(told));
    }
    Ok(())
}

fn find(name: &str) -> Result<Service, StartError> {
    let found = services().into_iter().find(|service| service.keeps_state() && service.name() == name);
    found.ok_or_else(|| StartError::other(format!("there is no service {name}")))
}
