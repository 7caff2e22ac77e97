//! Publishing again, should a stream be damaged or somebody have missed events: what was published in the last 30 days, or the
//! present state of all aggregates, however old they are.

use common::clock::Time;
use common::service::{StartError, Told};
use common::settings::Settings;

use crate::{embedded, services};

/// What is published.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct What {
    /// Every event since then, such as 2026-11-21T20:00:00Z
    #[arg(long)]
    since: Option<Time>,
    /// The present state of every aggregate, of one domain if it is named
    #[arg(long, value_name = "DOMAIN", num_args = 0..=1, default_missing_value = "", value_parser = domain)]
    snapshots: Option<String>,
}

/// Publishes once more; the broker and the listeners drop what they have.
#[expect(clippy::print_stdout, reason = "the outcome of a command is its output")]
pub(crate) async fn republish(settings: Settings, what: What) -> Result<(), StartError> {
    let telemetry = common::telemetry::init(&settings, "docket")?;
    let (embedded, settings) = embedded::Embedded::start(settings).await?;
    let outcome = publish(&settings, what).await;
    embedded.stop().await;
    telemetry.flush();
    println!("{}", outcome?);
    Ok(())
}

async fn publish(settings: &Settings, what: What) -> Result<String, StartError> {
    if let Some(since) = what.since {
        let count = common::service::republish(&services(), settings, since).await?;
        return Ok(format!("{count} events published again"));
    }
    let domain = what.snapshots.as_deref().filter(|domain| !domain.is_empty());
    Ok(said(common::service::tell_snapshots(&services(), settings, domain).await?))
}

/// How many were told, and how many could not be.
pub(crate) fn said(Told { snapshots, unreadable }: Told) -> String {
    match unreadable {
        0 => format!("the present state of {snapshots} told"),
        some => format!("the present state of {snapshots} told, but not of {some} that only a later build can read"),
    }
}

fn domain(text: &str) -> Result<String, String> {
    let all: Vec<&str> =
        services().iter().flat_map(|service| service.owned().to_vec()).map(|owned| owned.domain).collect();
    let known = text.is_empty() || all.contains(&text);
    known.then(|| text.to_owned()).ok_or_else(|| format!("must be one of {}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        what: What,
    }

    fn snapshots(flags: &[&str]) -> Result<Option<String>, String> {
        let command = Command::try_parse_from(["republish"].iter().chain(flags)).map_err(|error| error.to_string())?;
        Ok(command.what.snapshots)
    }

    #[test]
    fn snapshots_are_of_all_domains_or_of_one_that_has_aggregates() {
        assert_eq!(snapshots(&["--snapshots"]), Ok(Some(String::new())));
        assert_eq!(snapshots(&["--snapshots", "inventory"]), Ok(Some("inventory".to_owned())));
        assert_eq!(snapshots(&["--since", "2026-11-21T20:00:00Z"]), Ok(None));
        let refused = snapshots(&["--snapshots", "expiration"]).unwrap_err();
        assert!(refused.contains("must be one of users, tickets, orders, inventory, payments"), "{refused}");
        assert!(snapshots(&[]).is_err() && snapshots(&["--snapshots", "--since", "2026-11-21T20:00:00Z"]).is_err());
    }

    #[test]
    fn what_could_not_be_told_is_said() {
        assert_eq!(said(Told { snapshots: 7, unreadable: 0 }), "the present state of 7 told");
        assert!(said(Told { snapshots: 7, unreadable: 2 }).contains("not of 2"));
    }
}
