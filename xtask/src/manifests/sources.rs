//! What the code says about the services, to which the manifests must agree.

use std::collections::{BTreeMap, BTreeSet};

use crate::Result;
use crate::tidy::files::File;

/// The crate that has all services in one process, and runs on no cluster.
const COMPOSITION: &str = "docket";

/// What the sources say.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The services, each of which is a crate.
    pub(super) services: BTreeSet<String>,
    /// Those that keep something, for which they need MongoDB and NATS. The others are pages.
    pub(super) keeping: BTreeSet<String>,
    /// Those that send mails.
    pub(super) mailing: BTreeSet<String>,
    /// The variables of the settings.
    pub(super) settings: BTreeSet<String>,
    /// The addresses of the API, each with its service.
    pub(super) addresses: BTreeMap<String, String>,
    /// The services that the pages call.
    pub(super) called_by_pages: BTreeSet<String>,
    /// Which service listens to which stream.
    pub(super) listeners: BTreeSet<(String, String)>,
    /// The streams.
    pub(super) streams: BTreeSet<String>,
    /// Which service follows which stream in every process, beside the one that all follow.
    pub(super) followers: BTreeSet<(String, String)>,
    /// What an operator reads.
    pub(super) handbook: String,
}

impl Sources {
    /// Reads them out of the files of the repository.
    ///
    /// # Errors
    /// If something is not found: then this has to learn where it is now.
    pub(super) fn read(files: &[File]) -> Result<Self> {
        let text = |path: &str| files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
        let found = Self {
            services: services(files),
            keeping: services(files).into_iter().filter(|service| !is_pages(files, service)).collect(),
            mailing: mailing(files),
            settings: quoted_after(text("common/src/settings.rs"), "env = ").map(str::to_owned).collect(),
            addresses: addresses(files),
            called_by_pages: called_by_pages(text("services/web/src/upstream.rs")),
            listeners: heard(files, "Received<", |rest| rest == "src/listeners.rs"),
            streams: domains(files).values().map(|domain| (*domain).to_owned()).collect(),
            followers: heard(files, "follow::<", |rest| rest.starts_with("src/")),
            handbook: text("docs/operations.md").to_owned(),
        };
        let empty = [
            ("services", found.services.is_empty()),
            ("services that keep something", found.keeping.is_empty()),
            ("services that send mails", found.mailing.is_empty()),
            ("settings", found.settings.is_empty()),
            ("addresses", found.addresses.is_empty()),
            ("calls of the pages", found.called_by_pages.is_empty()),
            ("listeners", found.listeners.is_empty()),
        ];
        match empty.into_iter().find(|(_, empty)| *empty) {
            Some((what, _)) => Err(format!("no {what} were found in the sources").into()),
            None => Ok(found),
        }
    }
}

fn services(files: &[File]) -> BTreeSet<String> {
    let crates = files.iter().filter_map(File::in_service).filter(|(_, rest)| *rest == "Cargo.toml");
    crates.map(|(service, _)| service.to_owned()).filter(|service| service != COMPOSITION).collect()
}

/// Whether a service says in its table of contents that it is pages.
fn is_pages(files: &[File], service: &str) -> bool {
    let contents = files.iter().find(|file| file.in_service() == Some((service, "src/lib.rs")));
    contents.is_some_and(|file| file.text.contains("Service::pages("))
}

fn mailing(files: &[File]) -> BTreeSet<String> {
    let sources = files.iter().filter(|file| file.is_rust() && file.text.contains("Post::open("));
    sources.filter_map(|file| Some(file.in_service()?.0.to_owned())).collect()
}

fn addresses(files: &[File]) -> BTreeMap<String, String> {
    let sources = files.iter().filter(|file| file.is_rust()).filter_map(|file| Some((file.in_service()?.0, file)));
    let found = sources.filter(|(service, _)| *service != COMPOSITION).flat_map(|(service, file)| {
        let paths = quoted_after(&file.text, "path = ").filter(|path| path.starts_with('/'));
        paths.map(move |path| (path.to_owned(), service.to_owned()))
    });
    found.collect()
}

/// The second of each pair in `SERVICES`.
fn called_by_pages(upstream: &str) -> BTreeSet<String> {
    let table = upstream.split_once("const SERVICES").and_then(|(_, rest)| rest.split_once("];"));
    let Some((table, _)) = table else { return BTreeSet::new() };
    table.split('"').skip(1).step_by(2).skip(1).step_by(2).map(str::to_owned).collect()
}

/// The services that name an event right after `before`, in the files that are looked at, and the event's stream.
fn heard(files: &[File], before: &str, looked_at: impl Fn(&str) -> bool) -> BTreeSet<(String, String)> {
    let domains = domains(files);
    let mut found = BTreeSet::new();
    for file in files {
        let Some((service, rest)) = file.in_service() else { continue };
        let events = file.text.split(before).skip(1).filter_map(|after| after.split('>').next());
        let streams = events.filter_map(|event| domains.get(event)).filter(|_| looked_at(rest));
        found.extend(streams.map(|stream| (service.to_owned(), (*stream).to_owned())));
    }
    found
}

/// Each kind of event and its stream: `OrderEvent in "orders"`.
fn domains(files: &[File]) -> BTreeMap<&str, &str> {
    let events = files.iter().filter(|file| file.path.starts_with("common/src/events/"));
    let lines = events.flat_map(|file| file.text.lines());
    let found = lines.filter_map(|line| {
        let (event, rest) = line.trim().split_once(" in \"")?;
        Some((event, rest.split('"').next()?))
    });
    found.filter(|(event, _)| event.ends_with("Event")).collect()
}

fn quoted_after<'t>(text: &'t str, before: &str) -> impl Iterator<Item = &'t str> {
    let parts = text.split(before).skip(1);
    parts.filter_map(|part| part.strip_prefix('"')?.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources {
        let files = [
            ("services/orders/Cargo.toml", ""),
            ("services/orders/src/lib.rs", "Service::new(\"orders\", Orders::open); Post::open(ctx.settings())?"),
            ("services/web/Cargo.toml", ""),
            ("services/web/src/lib.rs", "Service::pages(\"web\", Web::open, routes)"),
            ("services/docket/Cargo.toml", ""),
            ("services/orders/src/api.rs", "#[utoipa::path(get, path = \"/api/orders/{id}\", params(..))]"),
            ("services/orders/src/listeners.rs", "received: Received<TicketEvent>) -> X"),
            ("common/src/events/tickets.rs", "    TicketEvent in \"tickets\" {"),
            ("common/src/settings.rs", "#[arg(long, env = \"NATS_URL\", hide)] #[arg(env = \"RUST_LOG\")]"),
            (
                "services/web/src/upstream.rs",
                "const SERVICES: [..; 2] = [(\"users\", \"auth\"), (\"passes\", \"orders\")];",
            ),
        ];
        Sources::read(&files.map(|(path, text)| File::new(path, text))).unwrap()
    }

    #[test]
    fn services_their_addresses_and_listeners_are_found() {
        let found = sources();
        assert_eq!(found.services, BTreeSet::from(["orders".to_owned(), "web".to_owned()]));
        assert_eq!(found.addresses["/api/orders/{id}"], "orders");
        assert_eq!(found.listeners, BTreeSet::from([("orders".to_owned(), "tickets".to_owned())]));
    }

    #[test]
    fn pages_keep_nothing_and_mails_are_sent_where_a_post_is_opened() {
        let found = sources();
        assert_eq!(found.keeping, BTreeSet::from(["orders".to_owned()]));
        assert_eq!(found.mailing, BTreeSet::from(["orders".to_owned()]));
    }

    #[test]
    fn settings_and_the_calls_of_the_pages_are_found() {
        let found = sources();
        assert_eq!(found.settings, BTreeSet::from(["NATS_URL".to_owned(), "RUST_LOG".to_owned()]));
        assert_eq!(found.called_by_pages, BTreeSet::from(["auth".to_owned(), "orders".to_owned()]));
    }

    #[test]
    fn sources_that_say_nothing_are_an_error() {
        assert!(Sources::read(&[]).unwrap_err().to_string().contains("services"));
    }
}
