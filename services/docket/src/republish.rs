//! Publishing again what was published: the owners keep their events for 30 days, should a stream be damaged.

use common::clock::Time;
use common::service::StartError;
use common::settings::Settings;

use crate::{embedded, services};

/// Publishes every event since `since` once more; the broker and the listeners drop what they have.
#[expect(clippy::print_stdout, reason = "the outcome of a command is its output")]
pub(crate) async fn republish(settings: Settings, since: Time) -> Result<(), StartError> {
    let telemetry = common::telemetry::init(&settings, "docket")?;
    let (embedded, settings) = embedded::Embedded::start(settings).await?;
    let outcome = common::service::republish(&services(), &settings, since).await;
    embedded.stop().await;
    telemetry.flush();
    let count = outcome?;
    println!("{count} events published again");
    Ok(())
}
