//! `docket doctor`: what is wrong with an installation, and what may be done.
//!
//! Servers that the settings name are asked where they are. Those that Docket brings itself are found in the data folder: if they run, they
//! are asked beside the Docket that runs them; if they stand still, they are started for the look, and it is not held against the
//! services that they do not run. The stand-in for Stripe is part of a running Docket, and is not looked at.

use common::service::{Finding, Health, StartError, examine, examine_stopped};
use common::settings::Settings;
use docket_local::Found;
use secrecy::SecretString;

use crate::embedded::Embedded;
use crate::preflight::wants_stand_in;
use crate::services;

/// Looks at everything, and prints what it has seen.
///
/// # Errors
/// If something does not work.
#[expect(clippy::print_stdout, reason = "the outcome of a command is its output")]
pub(crate) async fn doctor(settings: Settings) -> Result<(), StartError> {
    let findings = findings(settings).await?;
    findings.iter().for_each(|finding| println!("{finding}"));
    match findings.iter().filter(|finding| finding.health == Health::Ill).count() {
        0 => Ok(()),
        ill => Err(StartError::other(format!("{ill} of {} are ill", findings.len()))),
    }
}

async fn findings(mut settings: Settings) -> Result<Vec<Finding>, StartError> {
    let stripe = of_stripe(&settings).await;
    let embedded = settings.mongodb_uri.is_none() || settings.nats_url.is_none();
    let found = if embedded { Some(Found::in_folder(&settings.data_dir).map_err(StartError::other)?) } else { None };
    let mut findings = match found {
        Some(Found::Nothing) => return Ok(vec![of_docket(&settings, "nothing has been started"), stripe]),
        Some(Found::Stopped) => {
            let (embedded, running) = Embedded::start_servers(settings.clone()).await?;
            let findings = examine_stopped(&services(), &running).await;
            embedded.stop().await;
            [findings, vec![of_docket(&settings, "it does not run")]].concat()
        }
        Some(Found::Running { mongodb_uri, nats_url }) => {
            let secret = |url: Option<String>| url.map(SecretString::from);
            settings.mongodb_uri = settings.mongodb_uri.or_else(|| secret(mongodb_uri));
            settings.nats_url = settings.nats_url.or_else(|| secret(nats_url));
            examine(&services(), &settings).await
        }
        None => examine(&services(), &settings).await,
    };
    findings.push(stripe);
    Ok(findings)
}

fn of_docket(settings: &Settings, says: &str) -> Finding {
    Finding::new("docket", Health::Well, format!("{says} in {}", settings.data_dir.display()))
}

async fn of_stripe(settings: &Settings) -> Finding {
    if wants_stand_in(settings) {
        return Finding::new(
            "stripe",
            Health::Well,
            "STRIPE_SECRET_KEY is not set: the stand-in takes its place, no money moves",
        );
    }
    payments::examine(settings).await
}
