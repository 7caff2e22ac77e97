//! `docket doctor`: what is wrong with an installation, and what may be done.

use common::service::{Health, StartError, examine};
use common::settings::Settings;

use crate::{embedded, services};

/// Looks at everything, and prints what it has seen.
///
/// # Errors
/// If something does not work.
#[expect(clippy::print_stdout, reason = "the outcome of a command is its output")]
pub(crate) async fn doctor(settings: Settings) -> Result<(), StartError> {
    let (embedded, settings) = embedded::Embedded::start(settings).await?;
    let mut findings = examine(&services(), &settings).await;
    findings.push(payments::examine(&settings).await);
    embedded.stop().await;
    findings.iter().for_each(|finding| println!("{finding}"));
    match findings.iter().filter(|finding| finding.health == Health::Ill).count() {
        0 => Ok(()),
        ill => Err(StartError::other(format!("{ill} of {} are ill", findings.len()))),
    }
}
