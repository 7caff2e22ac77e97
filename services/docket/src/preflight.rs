//! What is looked at before anything is started, so that wrong settings are told at once and all together: the ports, the data folder
//! and the room there, the servers that are named, the key of Stripe, and whether what is made to be tried is out of others' reach.

use std::pin::Pin;
use std::time::Duration;

use common::service::{Finding, Health, of_ports, of_servers};
use common::settings::{Settings, SettingsError};
use docket_local::{LocalError, check_data_dir};

use crate::data_folder::{self, Room};

/// How long a start waits for Stripe to say what it thinks of the key. What it says later is logged.
const SOON: Duration = Duration::from_millis(800);

/// What a stand-in for Stripe says that cannot be reached; the key may be right.
const UNREACHED: &str = "Stripe is not available";

/// Looks at everything, and tells what is wrong beside what is known to be `wrong` already.
///
/// # Errors
/// All that is wrong.
pub(crate) async fn look(settings: &Settings, mut wrong: SettingsError) -> Result<Key, SettingsError> {
    wrong.tell_all(settings.contradictions());
    wrong.tell_all(of_ports(settings));
    wrong.tell_all(of_folder(settings));
    wrong.tell_all(of_own_broker(settings));
    wrong.tell_all(of_public_demo(settings));
    let mut key = Key::examined(settings);
    let (servers, refused) = tokio::join!(of_servers(settings), key.refused_soon());
    wrong.tell_all(servers);
    if let Some(refused) = refused {
        wrong.tell("STRIPE_SECRET_KEY", refused);
    }
    wrong.into_result().map(|()| key)
}

/// Stripe's opinion of the key, which may take a while.
pub(crate) struct Key(Option<Pin<Box<dyn Future<Output = Finding>>>>);

impl Key {
    /// Asks Stripe, if there is a key.
    fn examined(settings: &Settings) -> Self {
        if settings.stripe_secret_key.is_none() {
            return Self(None);
        }
        let settings = settings.clone();
        Self(Some(Box::pin(async move { payments::examine(&settings).await })))
    }

    async fn refused_soon(&mut self) -> Option<String> {
        let answer = tokio::time::timeout(SOON, self.0.as_mut()?).await.ok()?;
        self.0 = None;
        refusal(&answer)
    }

    /// Logs what Stripe says, if it refuses the key.
    pub(crate) async fn told(self) {
        let Some(answer) = self.0 else { return };
        if let Some(refused) = refusal(&answer.await) {
            tracing::error!("STRIPE_SECRET_KEY: {refused}");
        }
    }
}

/// Why Stripe refuses the key, if it does.
fn refusal(finding: &Finding) -> Option<String> {
    let refused = finding.health == Health::Ill && !finding.says.starts_with(UNREACHED);
    refused.then(|| format!("Stripe refuses it ({}); take another one from Stripe's dashboard", finding.says))
}

fn of_folder(settings: &Settings) -> SettingsError {
    let mut wrong = SettingsError::default();
    let checked = data_folder::unusable(settings).map_or_else(|| own(settings), Err);
    if let Err(says) = checked {
        wrong.tell("DOCKET_DATA_DIR", says);
    }
    wrong
}

/// Nobody else may have the folder as long as servers have their data there.
fn own(settings: &Settings) -> Result<(), String> {
    let folder = &settings.data_dir;
    if !data_folder::has_servers(settings) {
        return Ok(());
    }
    match check_data_dir(folder) {
        Ok(()) => Room::of_servers(settings).iter().find_map(Room::lacks).map_or(Ok(()), Err),
        Err(in_use @ LocalError::InUse { .. }) => Err(in_use.to_string()),
        Err(error) => Err(data_folder::unfit(folder, &error)),
    }
}

/// The NATS server that Docket starts itself is one.
fn of_own_broker(settings: &Settings) -> SettingsError {
    let mut wrong = SettingsError::default();
    if settings.nats_url.is_none() && settings.nats_replicas > 1 {
        let says = format!(
            "must be 1 with the NATS server that Docket starts itself, not {}; or set NATS_URL to a cluster",
            settings.nats_replicas
        );
        wrong.tell("NATS_REPLICAS", says);
    }
    wrong
}

/// Demo accounts have passwords that everybody knows, and with the stand-in for Stripe nobody pays.
fn of_public_demo(settings: &Settings) -> SettingsError {
    let mut wrong = SettingsError::default();
    if settings.takes_demo_accounts() {
        return wrong;
    }
    let public = match &settings.public_url {
        Some(url) => format!("others reach Docket at {url}"),
        None => format!(
            "others may reach Docket at {} (if not, set DOCKET_PUBLIC_URL to http://localhost)",
            settings.http_addr
        ),
    };
    if wants_stand_in(settings) {
        wrong.tell(
            "STRIPE_SECRET_KEY",
            format!("is not set, and {public}: with the stand-in for Stripe no money would move; set it, or DOCKET_PUBLIC_DEMO=1 if that is wanted"),
        );
    }
    if settings.demo {
        wrong.tell(
            "DOCKET_DEMO",
            format!("is on, and {public}: everybody knows the passwords of demo accounts; set DOCKET_DEMO=0, or DOCKET_PUBLIC_DEMO=1 if that is wanted"),
        );
    }
    wrong
}

/// Whether Docket brings a stand-in for Stripe itself.
pub(crate) fn wants_stand_in(settings: &Settings) -> bool {
    settings.stripe_secret_key.is_none() && settings.stripe_api_base.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(flags: &[&str]) -> String {
        let settings = Settings::parse_flags(flags.iter().copied()).unwrap();
        of_public_demo(&settings).into_result().map_or_else(|wrong| wrong.to_string(), |()| String::new())
    }

    #[test]
    fn what_is_made_to_be_tried_is_for_this_machine() {
        for own in ["http://localhost:8080", "http://docket.localhost", "http://127.8.0.1", "http://[::1]:80"] {
            assert_eq!(told(&["--public-url", own]), "");
        }
        assert_eq!(told(&["--http-addr", "[::1]:8080"]), "");
        assert_eq!(told(&["--http-addr", "0.0.0.0:8080", "--public-url", "http://localhost:8080"]), "");
        for public in ["https://docket.example.org", "http://localhost.example.org", "http://192.168.1.7"] {
            assert!(told(&["--public-url", public]).starts_with("2 settings are wrong"), "{public}");
            assert_eq!(told(&["--public-url", public, "--public-demo", "1"]), "");
            assert_eq!(told(&["--public-url", public, "--demo", "0", "--stripe-secret-key", "sk_test_1"]), "");
        }
        assert!(told(&["--http-addr", "0.0.0.0:8080"]).contains("DOCKET_PUBLIC_URL"));
    }
}
