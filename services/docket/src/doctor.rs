//! `docket doctor`: what is wrong with an installation, and what may be done.
//!
//! Servers that the settings name are asked where they are. Those that Docket brings itself are found in the data folder: if they run, they
//! are asked beside the Docket that runs them; if they stand still, they are started for the look, and it is not held against the
//! services that they do not run. The stand-in for Stripe is part of a running Docket, and is not looked at. The mail server, and the APIs
//! of pages that are apart, are asked where the settings say.

use common::mail::{Folder, Post};
use common::service::{Finding, Health, StartError, examine, examine_stopped, of_ports};
use common::settings::Settings;
use docket_local::Found;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::data_folder::{self, Room};
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

async fn findings(settings: Settings) -> Result<Vec<Finding>, StartError> {
    let data = of_data(&settings);
    let (stripe, mail, apis) = tokio::join!(of_stripe(&settings), of_mail(&settings), web::examine(&settings));
    let installation = of_installation(settings, is_ill(&data)).await?;
    Ok([installation, data, vec![stripe, mail], apis].concat())
}

fn is_ill(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.health == Health::Ill)
}

/// The servers and the services. In a folder that is ill no server is started for the look.
async fn of_installation(mut settings: Settings, folder_is_ill: bool) -> Result<Vec<Finding>, StartError> {
    if !data_folder::has_servers(&settings) {
        return Ok(examine(&services(), &settings).await);
    }
    match Found::in_folder(&settings.data_dir) {
        Ok(Found::Running { mongodb_uri, nats_url }) => {
            let secret = |url: Option<String>| url.map(SecretString::from);
            settings.mongodb_uri = settings.mongodb_uri.or_else(|| secret(mongodb_uri));
            settings.nats_url = settings.nats_url.or_else(|| secret(nats_url));
            Ok(examine(&services(), &settings).await)
        }
        Ok(Found::Stopped) if !folder_is_ill => {
            let (embedded, running) = Embedded::start_servers(settings.clone()).await?;
            let findings = examine_stopped(&services(), &running).await;
            embedded.stop().await;
            Ok([findings, of_docket(&settings, "it does not run")].concat())
        }
        Ok(Found::Stopped) => Ok(of_docket(&settings, "it does not run")),
        Ok(Found::Nothing) => Ok(of_docket(&settings, "nothing has been started")),
        // What is wrong with the folder is told already.
        Err(_) if folder_is_ill => Ok(Vec::new()),
        Err(error) => Err(StartError::other(error)),
    }
}

/// A Docket that does not run in the folder. If somebody has its ports, it could not be started; or it runs in another folder.
fn of_docket(settings: &Settings, says: &str) -> Vec<Finding> {
    let says = format!("{says} in {}", settings.data_dir.display());
    let taken = of_ports(settings);
    let taken: Vec<&str> = taken.texts().collect();
    if taken.is_empty() {
        return vec![Finding::new("docket", Health::Well, says)];
    }
    let taken = taken.join("; ");
    let says = format!("{says}, but {taken}; if that is the Docket you mean, DOCKET_DATA_DIR is not its folder");
    vec![Finding::new("docket", Health::Ill, says)]
}

/// The data folder and its disks.
fn of_data(settings: &Settings) -> Vec<Finding> {
    if let Some(says) = data_folder::unusable(settings) {
        return vec![Finding::new("data", Health::Ill, format!("DOCKET_DATA_DIR: {says}"))];
    }
    Room::of_servers(settings).iter().map(of_room).collect()
}

fn of_room(room: &Room) -> Finding {
    match room.lacks() {
        Some(says) => Finding::new("data", Health::Ill, format!("DOCKET_DATA_DIR: {says}")),
        None if room.is_nearly_full() => Finding::new("data", Health::Doubtful, format!("{room}: make room")),
        None => Finding::new("data", Health::Well, room.to_string()),
    }
}

/// The way out for mails. What the mail server says has no password in it.
async fn of_mail(settings: &Settings) -> Finding {
    let Some(url) = &settings.smtp_url else { return without_mail_server(settings) };
    let post = match Post::open(settings) {
        Ok(post) => post,
        Err(error) => return Finding::new("mail", Health::Ill, error.to_string()),
    };
    let server = host_of(url.expose_secret());
    match post.greet().await {
        Ok(()) => Finding::new("mail", Health::Well, format!("{server} takes mails from this process")),
        Err(error) => {
            let mend =
                if error.is_refusal() { "its user and its password" } else { "its scheme, its host and its port" };
            let says = format!("SMTP_URL ({server}): {error}; start the server, or mend {mend} in SMTP_URL");
            Finding::new("mail", Health::Ill, says)
        }
    }
}

fn without_mail_server(settings: &Settings) -> Finding {
    let kept = format!("SMTP_URL is not set: mails are kept in {}", Folder::of(&settings.data_dir));
    if settings.previews_mail() {
        return Finding::new("mail", Health::Well, format!("{kept} and shown at /dev/mail, and none is sent"));
    }
    Finding::new("mail", Health::Doubtful, format!("{kept} and reach nobody"))
}

/// The address of a mail server without its password.
fn host_of(url: &str) -> String {
    let Ok(url) = url.parse::<Url>() else { return String::new() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
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
