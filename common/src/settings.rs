//! Settings come from flags and environment variables of the same meaning; they are checked before a port opens.

mod read;
mod values;
mod wrong;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, CommandFactory, Parser, ValueEnum};
use ipnet::IpNet;
use jiff::tz::TimeZone;
use lettre::message::Mailbox;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub use self::read::read_from_env;
use self::values::{
    api_url, log_filter, mail_from, mongodb_uri, namespace, nats_url, network, public_address, publishable_key,
    secret_key, smtp_url, time_zone, web_address, webhook_secret,
};
pub use self::wrong::SettingsError;
use crate::bus::StreamBounds;
use crate::clock::{SharedClock, SystemClock, WrongClock};
use crate::text::mail_address;
use crate::zone::Zone;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people at a terminal.
    #[default]
    Pretty,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Everything an operator can set. A flag wins over the variable, the variable over the default; an empty variable
/// is as good as none. The binary `docket` looks further before it starts anything: at its ports, its folder and its servers.
#[derive(Clone, Debug, Parser)]
#[command(name = "docket", version)]
pub struct Settings {
    /// Where the pages and the API listen; port 0 takes any free port
    #[arg(long, env = "DOCKET_HTTP_ADDR", default_value = "127.0.0.1:8080")]
    pub http_addr: SocketAddr,

    /// Where health checks and metrics listen
    #[arg(long, env = "DOCKET_OPS_ADDR", default_value = "127.0.0.1:9090")]
    pub ops_addr: SocketAddr,

    /// How many threads answer HTTP requests; one for each core if not set
    #[arg(long, env = "DOCKET_HTTP_WORKERS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub http_workers: Option<u16>,

    /// How many requests of one kind (reading, writing) are worked on at once; more are answered 503
    #[arg(long, env = "DOCKET_MAX_IN_FLIGHT", default_value = "512", value_parser = clap::value_parser!(u16).range(1..))]
    pub max_in_flight: u16,

    /// How many POST requests a second one person may send, and twice as many at once after a rest; more are answered
    /// 429. 0: any number
    #[arg(long, env = "DOCKET_POSTS_PER_SECOND", default_value = "50")]
    pub posts_per_second: u16,

    /// Where the embedded servers keep their data
    #[arg(long, env = "DOCKET_DATA_DIR", default_value = ".docket")]
    pub data_dir: PathBuf,

    /// Whether to fill an empty installation with examples (1 or 0)
    #[arg(long, env = "DOCKET_DEMO", default_value = "1", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub demo: bool,

    /// Whether demo accounts, whose passwords everybody knows, and a stand-in for Stripe, where no money moves, are wanted although
    /// others reach Docket too (1 or 0)
    #[arg(long, env = "DOCKET_PUBLIC_DEMO", default_value = "0", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub public_demo: bool,

    /// The address people type, if it is not http://{http_addr}
    #[arg(long, env = "DOCKET_PUBLIC_URL", value_parser = public_address)]
    pub public_url: Option<Url>,

    /// The networks of one's own proxies, such as 10.0.0.0/8, separated by commas. What they say of where a request came from
    /// (X-Forwarded-For) is believed; of others only this machine is
    #[arg(long, env = "DOCKET_TRUSTED_PROXIES", value_delimiter = ',', value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,

    /// The MongoDB replica set; an embedded one is started if not set
    #[arg(long, env = "MONGODB_URI", hide_env_values = true, value_parser = mongodb_uri)]
    pub mongodb_uri: Option<SecretString>,

    /// The NATS servers, separated by commas; an embedded one is started if not set
    #[arg(long, env = "NATS_URL", hide_env_values = true, value_parser = nats_url)]
    pub nats_url: Option<SecretString>,

    /// How many members of a NATS cluster keep each stream; 3 in production
    #[arg(long, env = "NATS_REPLICAS", default_value = "1", value_parser = clap::value_parser!(u8).range(1..=5))]
    pub nats_replicas: u8,

    /// How many days the streams keep an event. Who missed older ones is told the present state (docket republish --snapshots)
    #[arg(long, env = "DOCKET_STREAM_DAYS", default_value = "30", value_parser = clap::value_parser!(u32).range(2..=3_650))]
    pub stream_days: u32,

    /// How large each of the six streams may become, in MiB; the oldest events go first. NATS reserves so much for each
    #[arg(long, env = "DOCKET_STREAM_MIB", default_value = "512", value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub stream_mib: u32,

    /// The prefix of all database and stream names, so that installations can share servers
    #[arg(long, env = "DOCKET_NAMESPACE", default_value = "docket", value_parser = namespace)]
    pub namespace: String,

    /// Where the keys that verify access tokens are published, if not by this process itself
    #[arg(long, env = "DOCKET_JWKS_URL", value_parser = web_address)]
    pub jwks_url: Option<Url>,

    /// Where the pages reach the APIs, such as http://{service}:8080, in which {service} stands for auth, tickets, orders or
    /// payments; this process itself if not set
    #[arg(long, env = "DOCKET_API_URL", value_parser = api_url)]
    pub api_url: Option<String>,

    /// How long a place is held for an unpaid order, in seconds
    #[arg(long, env = "HOLD_SECONDS", default_value = "900", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub hold_seconds: u32,

    /// How many places of a listing one person may hold without having paid, or have of a free one; a listing's own limit per
    /// order comes first. 0: any number, of every listing
    #[arg(long, env = "HOLD_UNPAID_PLACES", default_value = "20")]
    pub hold_unpaid_places: u32,

    /// After how many holds of a listing that a person let run out, or gave up late, within an hour the next one has to wait; those
    /// given up soon count in part. 0: never
    #[arg(long, env = "HOLD_PAUSE_AFTER", default_value = "2")]
    pub hold_pause_after: u32,

    /// How long it has to wait the first time, in seconds; twice as long with each further hold that runs out, an hour at the
    /// most
    #[arg(long, env = "HOLD_PAUSE_SECONDS", default_value = "300", value_parser = clap::value_parser!(u32).range(0..=3_600))]
    pub hold_pause_seconds: u32,

    /// The time zone in which a business day begins and ends, such as Europe/Rome
    #[arg(long, env = "BUSINESS_TIME_ZONE", default_value = "UTC", value_parser = time_zone)]
    pub business_time_zone: TimeZone,

    /// The secret key of the Stripe account (or of its test mode)
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true, value_parser = secret_key)]
    pub stripe_secret_key: Option<SecretString>,

    /// The key with which browsers talk to the same Stripe account; it is no secret
    #[arg(long, env = "STRIPE_PUBLISHABLE_KEY", value_parser = publishable_key)]
    pub stripe_publishable_key: Option<String>,

    /// The signing secrets of the Stripe webhook, separated by commas during a rotation
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", hide_env_values = true, value_delimiter = ',', value_parser = webhook_secret)]
    pub stripe_webhook_secret: Vec<SecretString>,

    /// A Stripe-compatible API other than Stripe's own
    #[arg(long, env = "STRIPE_API_BASE", value_parser = web_address)]
    pub stripe_api_base: Option<Url>,

    /// How many calls of Stripe that nobody waits for each process makes in a second; 20 if not set, 400 at a stand-in.
    /// An account may make 100 calls in a second, and 25 of one kind
    #[arg(long, env = "STRIPE_BACKGROUND_CALLS_PER_SECOND", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub stripe_background_calls_per_second: Option<u32>,

    /// The mail server, such as smtps://user:password@mail.example.org; without one, mails are files in the folder mail
    /// of the data directory
    #[arg(long, env = "SMTP_URL", hide_env_values = true, value_parser = smtp_url)]
    pub smtp_url: Option<SecretString>,

    /// Who sends the mails, such as Docket <no-reply@docket.example.org>; no-reply at the host of the public address if
    /// not set
    #[arg(long, env = "MAIL_FROM", value_parser = mail_from)]
    pub mail_from: Option<Mailbox>,

    /// Who becomes administrator, once they have confirmed that the address is theirs
    #[arg(long, env = "BOOTSTRAP_ADMIN_EMAIL", value_parser = mail_address)]
    pub bootstrap_admin_email: Option<String>,

    /// An OpenTelemetry collector that takes OTLP over HTTP, such as http://localhost:4318
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = web_address)]
    pub otel_endpoint: Option<Url>,

    /// What to log, in the syntax of tracing's EnvFilter
    #[arg(long, env = "RUST_LOG", default_value = "info,actix_server=warn,actix_http=off", value_parser = log_filter)]
    pub log: String,

    /// How to write the log
    #[arg(long, env = "DOCKET_LOG_FORMAT", value_enum, default_value = "pretty")]
    pub log_format: LogFormat,

    /// How long requests are still taken after a stop signal, until load balancers have seen that /readyz says no, in seconds
    #[arg(long, env = "DOCKET_DRAIN_SECONDS", default_value = "0", value_parser = clap::value_parser!(u16).range(0..=600))]
    pub drain_seconds: u16,

    /// How long requests and listeners may take to finish after a stop signal, in seconds
    #[arg(long, env = "DOCKET_SHUTDOWN_GRACE_SECONDS", default_value = "10", value_parser = clap::value_parser!(u16).range(0..=600))]
    pub shutdown_grace_seconds: u16,

    /// For tests only: how many milliseconds this process's clock is ahead of the machine's, or behind it if negative
    #[arg(long, env = "DOCKET_CLOCK_OFFSET_MS", default_value = "0", allow_negative_numbers = true, hide = true)]
    pub clock_offset_ms: i64,
}

impl Settings {
    /// Reads this process's flags and variables; `--help` and `--version` print and exit.
    ///
    /// # Errors
    /// [`SettingsError`] for a value that cannot be read or does not go with another.
    pub fn parse_from_env() -> Result<Self, SettingsError> {
        Self::checked(read_from_env())
    }

    /// Reads the given flags only, past all variables.
    ///
    /// # Errors
    /// [`SettingsError`] for a value that cannot be read or does not go with another.
    pub fn parse_flags<'a>(flags: impl IntoIterator<Item = &'a str>) -> Result<Self, SettingsError> {
        let command = Self::command().mut_args(|arg| arg.env(None));
        let arguments = std::iter::once("docket").chain(flags).map(Into::into);
        Self::checked(read::read(command, arguments.collect()))
    }

    /// The defaults with free ports, no demo data, no limit to what one person sends (a test is many people in one), and
    /// a log that is quiet unless `RUST_LOG` asks. Streams are small, since a server has those of all tests.
    pub fn default_for_tests() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let log = std::env::var("RUST_LOG").unwrap_or_else(|_| "off".to_owned());
        let quiet = Self { demo: false, posts_per_second: 0, stream_mib: 64, log, ..Self::default() };
        Self { http_addr: any, ops_addr: any, http_workers: Some(1), ..quiet }
    }

    fn checked((settings, mut wrong): (Option<Self>, SettingsError)) -> Result<Self, SettingsError> {
        let Some(settings) = settings else { return Err(wrong) };
        wrong.tell_all(settings.contradictions());
        wrong.into_result().map(|()| settings)
    }

    /// Whether the settings go together; what one alone can tell was checked when it was read.
    ///
    /// # Errors
    /// [`SettingsError`] for a combination that cannot work.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.contradictions().into_result()
    }

    /// All combinations that cannot work.
    pub fn contradictions(&self) -> SettingsError {
        let mut wrong = SettingsError::default();
        if self.http_addr == self.ops_addr && self.http_addr.port() != 0 {
            let taken = format!("{} is taken by DOCKET_HTTP_ADDR; give it another port", self.ops_addr);
            wrong.tell("DOCKET_OPS_ADDR", taken);
        }
        if self.clock_offset_ms != 0 && self.has_live_key() {
            wrong.tell(
                "DOCKET_CLOCK_OFFSET_MS",
                "is for tests, and STRIPE_SECRET_KEY moves real money; unset one of them",
            );
        }
        if !self.stripe_keys_match() {
            wrong.tell(
                "STRIPE_PUBLISHABLE_KEY",
                "one of it and STRIPE_SECRET_KEY is of the test mode and one is not; take both from one page of Stripe's dashboard",
            );
        }
        if let Some(all) = self.trusted_proxies.iter().find(|network| network.prefix_len() == 0) {
            let says = format!(
                "must not be {all}, which is everybody: each could choose by X-Forwarded-For where they come from"
            );
            wrong.tell("DOCKET_TRUSTED_PROXIES", says);
        }
        wrong
    }

    /// What works but is probably not what the operator wants. [`crate::telemetry::init`] logs it.
    pub fn warnings(&self) -> Vec<&'static str> {
        let has_webhook_secret = !self.stripe_webhook_secret.is_empty();
        let https = self.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
        let risks = [
            (
                self.stripe_secret_key.is_some() && !has_webhook_secret,
                "STRIPE_SECRET_KEY is set without STRIPE_WEBHOOK_SECRET: payments that finish outside the page are only found by polling",
            ),
            (
                self.stripe_secret_key.is_some()
                    && self.stripe_api_base.is_none()
                    && self.stripe_publishable_key.is_none(),
                "STRIPE_SECRET_KEY is set without STRIPE_PUBLISHABLE_KEY: the pages cannot take cards, only the API can",
            ),
            (
                has_webhook_secret && self.stripe_secret_key.is_none(),
                "STRIPE_WEBHOOK_SECRET is set without STRIPE_SECRET_KEY: it is not used",
            ),
            (
                !self.http_addr.ip().is_loopback() && !https,
                "DOCKET_HTTP_ADDR is reachable from outside, but DOCKET_PUBLIC_URL is not https: browsers send session cookies only over https",
            ),
            (
                self.smtp_url.is_none() && !self.previews_mail(),
                "SMTP_URL is not set: mails are written to files and reach nobody, so no forgotten password can be reset",
            ),
            (
                self.clock_offset_ms != 0,
                "DOCKET_CLOCK_OFFSET_MS is set: this process has a WRONG CLOCK ON PURPOSE, as only tests may want",
            ),
            (
                self.hold_seconds < 120,
                "HOLD_SECONDS is less than 120: after a crash the key of a request is busy for up to a minute, and its hold may end meanwhile",
            ),
            (
                self.public_demo && !self.is_for_this_machine(),
                "DOCKET_PUBLIC_DEMO is on, and others reach Docket: demo accounts have known passwords, and no money moves where STRIPE_SECRET_KEY is not set",
            ),
        ];
        risks.into_iter().filter_map(|(risky, text)| risky.then_some(text)).collect()
    }

    /// The address people type.
    pub fn public_url(&self) -> Url {
        self.public_url.clone().unwrap_or_else(|| self.own_url("/"))
    }

    /// Where the keys that verify access tokens are published: by this process itself, if nothing else is set.
    pub fn jwks_url(&self) -> Url {
        self.jwks_url.clone().unwrap_or_else(|| self.own_url("/.well-known/jwks.json"))
    }

    /// Where the pages reach the APIs, without a slash at the end; `{service}` stands for a service's name.
    pub fn api_url(&self) -> String {
        let own = || self.own_url("").to_string();
        self.api_url.clone().unwrap_or_else(own).trim_end_matches('/').to_owned()
    }

    /// The settings with the address that the HTTP port was really bound to; of use with port 0.
    #[must_use]
    pub fn bound_to(mut self, http_addr: SocketAddr) -> Self {
        self.http_addr = http_addr;
        self
    }

    /// How long a place is held for an unpaid order.
    pub fn hold(&self) -> Duration {
        Duration::from_secs(self.hold_seconds.into())
    }

    /// How far each stream may grow.
    pub fn stream_bounds(&self) -> StreamBounds {
        let (days, mib) = (u64::from(self.stream_days), u64::from(self.stream_mib));
        StreamBounds { age: Duration::from_secs(days * 24 * 3600), bytes: mib * 1024 * 1024 }
    }

    /// How long a person who let holds run out waits before the next, the first time.
    pub fn hold_pause(&self) -> Duration {
        Duration::from_secs(self.hold_pause_seconds.into())
    }

    /// The clock of this process.
    pub fn clock(&self) -> SharedClock {
        match self.clock_offset_ms {
            0 => Arc::new(SystemClock),
            offset => Arc::new(WrongClock::by_millis(offset)),
        }
    }

    /// The time zone in which a business day begins and ends.
    pub fn business_zone(&self) -> Zone {
        Zone::from(self.business_time_zone.clone())
    }

    fn has_live_key(&self) -> bool {
        self.stripe_secret_key.as_ref().is_some_and(|key| !key.expose_secret().contains("_test_"))
    }

    /// One key alone goes with anything.
    fn stripe_keys_match(&self) -> bool {
        let test = |key: &str| key.contains("_test_");
        match (&self.stripe_secret_key, &self.stripe_publishable_key) {
            (Some(secret), Some(publishable)) => test(secret.expose_secret()) == test(publishable),
            _ => true,
        }
    }

    /// How long requests and listeners may take to finish after a stop signal.
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_seconds.into())
    }

    /// How long requests are still taken after a stop signal.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds.into())
    }

    /// Whether this is a test on somebody's own machine, where mails are looked at instead of sent: there is no mail
    /// server, and nobody from elsewhere comes here.
    pub fn previews_mail(&self) -> bool {
        self.smtp_url.is_none() && self.is_for_this_machine()
    }

    /// Whether nobody comes from elsewhere: the address people type is a name of the machine itself.
    pub fn is_for_this_machine(&self) -> bool {
        match &self.public_url {
            Some(url) => url.host_str().is_some_and(is_this_machine),
            None => self.http_addr.ip().is_loopback(),
        }
    }

    /// Whether accounts with passwords that everybody knows may be used: where nobody else comes, or where they are wanted.
    pub fn takes_demo_accounts(&self) -> bool {
        self.public_demo || self.is_for_this_machine()
    }

    fn own_url(&self, path: &str) -> Url {
        let mut reachable = self.http_addr;
        if reachable.ip().is_unspecified() {
            reachable.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        Url::parse(&format!("http://{reachable}{path}")).expect("a socket address is a valid host and port")
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::parse_flags([]).expect("the defaults are valid")
    }
}

/// Whether a host, as it stands in an address, is a name of the machine itself: `localhost`, or a loopback address.
pub fn is_this_machine(host: &str) -> bool {
    match url::Host::parse(host) {
        Ok(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Ok(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Ok(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests;
