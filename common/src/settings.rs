//! Settings come from flags and environment variables of the same meaning; they are checked before a port opens.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Command, CommandFactory, FromArgMatches, Parser, ValueEnum};
use jiff::tz::TimeZone;
use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::bus::StreamBounds;
use crate::clock::{SharedClock, SystemClock, WrongClock};
use crate::zone::{NotAZone, Zone};

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
/// is as good as none.
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

    /// The address people type, if it is not http://{http_addr}
    #[arg(long, env = "DOCKET_PUBLIC_URL", value_parser = web_address)]
    pub public_url: Option<Url>,

    /// The MongoDB replica set; an embedded one is started if not set
    #[arg(long, env = "MONGODB_URI", hide_env_values = true, value_parser = mongodb_uri)]
    pub mongodb_uri: Option<SecretString>,

    /// The NATS servers, separated by commas; an embedded one is started if not set
    #[arg(long, env = "NATS_URL", hide_env_values = true, value_parser = secret)]
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

    /// How many places of a listing one person may hold without having paid; a listing's own limit per order comes first.
    /// 0: any number, of every listing
    #[arg(long, env = "HOLD_UNPAID_PLACES", default_value = "20")]
    pub hold_unpaid_places: u32,

    /// After how many holds of a listing that a person let run out, or gave up late, within an hour the next one has to wait. 0:
    /// never
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
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true, value_parser = secret)]
    pub stripe_secret_key: Option<SecretString>,

    /// The key with which browsers talk to the same Stripe account; it is no secret
    #[arg(long, env = "STRIPE_PUBLISHABLE_KEY", value_parser = publishable_key)]
    pub stripe_publishable_key: Option<String>,

    /// The signing secrets of the Stripe webhook, separated by commas during a rotation
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", hide_env_values = true, value_delimiter = ',', value_parser = secret)]
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

    /// Who becomes administrator when they sign up
    #[arg(long, env = "BOOTSTRAP_ADMIN_EMAIL")]
    pub bootstrap_admin_email: Option<String>,

    /// An OpenTelemetry collector that takes OTLP over HTTP, such as http://localhost:4318
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = web_address)]
    pub otel_endpoint: Option<Url>,

    /// What to log, in the syntax of tracing's EnvFilter
    #[arg(long, env = "RUST_LOG", default_value = "info,actix_server=warn")]
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

/// A setting is wrong; the text names its variable and says what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

impl SettingsError {
    /// A setting that a process cannot do without is missing.
    pub(crate) fn missing(variable: &str) -> Self {
        Self(format!("{variable} is not set"))
    }
}

impl Settings {
    /// Reads this process's flags and variables; `--help` and `--version` print and exit.
    ///
    /// # Errors
    /// [`SettingsError`] for a value that cannot be read or does not go with another.
    pub fn parse_from_env() -> Result<Self, SettingsError> {
        let command = without_empty_variables(Self::command());
        Self::read(command, std::env::args_os())
    }

    /// Reads the given flags only, past all variables.
    ///
    /// # Errors
    /// [`SettingsError`] for a value that cannot be read or does not go with another.
    pub fn parse_flags<'a>(flags: impl IntoIterator<Item = &'a str>) -> Result<Self, SettingsError> {
        let command = Self::command().mut_args(|arg| arg.env(None));
        let arguments = std::iter::once("docket").chain(flags).map(Into::into);
        Self::read(command, arguments)
    }

    /// The defaults with free ports, no demo data, no limit to what one person sends (a test is many people in one), and
    /// a log that is quiet unless `RUST_LOG` asks. Streams are small, since a server has those of all tests.
    pub fn default_for_tests() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let log = std::env::var("RUST_LOG").unwrap_or_else(|_| "off".to_owned());
        let quiet = Self { demo: false, posts_per_second: 0, stream_mib: 64, log, ..Self::default() };
        Self { http_addr: any, ops_addr: any, http_workers: Some(1), ..quiet }
    }

    fn read(command: Command, arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<Self, SettingsError> {
        // Not `command` itself, which may have lost its variables.
        let explain = |error| explained(&Self::command(), error);
        let matches = command.try_get_matches_from(arguments).map_err(explain)?;
        let settings = Self::from_arg_matches(&matches).map_err(explain)?;
        settings.validate()?;
        Ok(settings)
    }

    /// Whether the settings go together; what one alone can tell was checked when it was read.
    ///
    /// # Errors
    /// [`SettingsError`] for a combination that cannot work.
    pub fn validate(&self) -> Result<(), SettingsError> {
        if self.http_addr == self.ops_addr && self.http_addr.port() != 0 {
            let text = format!("DOCKET_OPS_ADDR: {} is taken by DOCKET_HTTP_ADDR; give it another port", self.ops_addr);
            return Err(SettingsError(text));
        }
        if self.clock_offset_ms != 0 && self.has_live_key() {
            let text = "DOCKET_CLOCK_OFFSET_MS is for tests, and STRIPE_SECRET_KEY moves real money; unset one of them";
            return Err(SettingsError(text.to_owned()));
        }
        if !self.stripe_keys_match() {
            let text = "STRIPE_PUBLISHABLE_KEY: one of it and STRIPE_SECRET_KEY is of the test mode and one is not; \
                        take both from one page of Stripe's dashboard";
            return Err(SettingsError(text.to_owned()));
        }
        tracing_subscriber::EnvFilter::try_new(&self.log)
            .map(drop)
            .map_err(|error| SettingsError(format!("RUST_LOG: {error}; right would be info or info,orders=debug")))
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
                !self.http_addr.ip().is_loopback() && self.demo,
                "DOCKET_HTTP_ADDR is reachable from outside and DOCKET_DEMO is on: demo accounts have known passwords; set DOCKET_DEMO=0",
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
        let local = match &self.public_url {
            Some(url) => url.host_str().is_some_and(is_this_machine),
            None => self.http_addr.ip().is_loopback(),
        };
        self.smtp_url.is_none() && local
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

fn without_empty_variables(command: Command) -> Command {
    command.mut_args(|arg| {
        let empty = arg.get_env().is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
        if empty { arg.env(None) } else { arg }
    })
}

/// Says the same as clap, but names the variable: who set it in a manifest has never seen the flag.
fn explained(command: &Command, error: clap::Error) -> SettingsError {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        error.exit();
    }
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return SettingsError(error.to_string());
    };
    let long = flag.split_whitespace().next().unwrap_or(flag).trim_start_matches("--");
    let variable = command.get_arguments().find(|arg| arg.get_long() == Some(long)).and_then(clap::Arg::get_env);
    let variable = variable.and_then(OsStr::to_str).unwrap_or(flag);
    let reason = std::error::Error::source(&error).map_or_else(|| plain(&error), ToString::to_string);
    SettingsError(format!("{variable} (--{long}): {reason}"))
}

fn plain(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or(&text);
    first.trim_start_matches("error: ").to_owned()
}

#[expect(clippy::unnecessary_wraps, reason = "clap asks for a Result")]
fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(text.into())
}

fn api_url(text: &str) -> Result<String, &'static str> {
    let named = text.replace("{service}", "service");
    web_address(&named).map(|_| text.to_owned())
}

fn mongodb_uri(text: &str) -> Result<SecretString, &'static str> {
    let right = text.starts_with("mongodb://") || text.starts_with("mongodb+srv://");
    right.then(|| text.into()).ok_or("must begin with mongodb:// or mongodb+srv://")
}

fn web_address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or("must be a web address such as https://docket.example.org")
}

fn smtp_url(text: &str) -> Result<SecretString, &'static str> {
    let right = AsyncSmtpTransport::<Tokio1Executor>::from_url(text).is_ok();
    right.then(|| text.into()).ok_or("must be a mail server such as smtps://user:password@mail.example.org")
}

fn mail_from(text: &str) -> Result<Mailbox, &'static str> {
    text.parse().map_err(|_| "must be an address such as Docket <no-reply@docket.example.org>")
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

fn namespace(text: &str) -> Result<String, &'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let right = (1..=24).contains(&text.len()) && text.chars().all(allowed);
    right.then(|| text.to_owned()).ok_or("must be 1 to 24 of a-z, 0-9 and _")
}

fn time_zone(text: &str) -> Result<TimeZone, NotAZone> {
    crate::zone::rules(text)
}

fn publishable_key(text: &str) -> Result<String, &'static str> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let right = text.len() > "pk_".len() && text.starts_with("pk_") && plain;
    right.then(|| text.to_owned()).ok_or("must be a publishable key of Stripe's, such as pk_test_… (never sk_…)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock as _;

    fn refused(flags: &[&str]) -> String {
        Settings::parse_flags(flags.iter().copied()).unwrap_err().to_string()
    }

    #[test]
    fn an_error_names_the_variable_and_what_is_right() {
        assert_eq!(
            refused(&["--namespace", "My Shop"]),
            "DOCKET_NAMESPACE (--namespace): must be 1 to 24 of a-z, 0-9 and _"
        );
        assert!(refused(&["--hold-seconds", "0"]).starts_with("HOLD_SECONDS (--hold-seconds): 0 is not in 1..=86400"));
        assert!(refused(&["--business-time-zone", "Mars/Base"]).starts_with("BUSINESS_TIME_ZONE"));
        assert!(refused(&["--public-url", "docket"]).starts_with("DOCKET_PUBLIC_URL"));
        assert!(refused(&["--http-addr", "8080"]).starts_with("DOCKET_HTTP_ADDR"));
        assert!(refused(&["--log", "a=b=c"]).starts_with("RUST_LOG"));
        assert!(refused(&["--ops-addr", "127.0.0.1:8080"]).starts_with("DOCKET_OPS_ADDR"));
    }

    #[test]
    fn a_stream_keeps_longer_than_any_hold_lasts() {
        assert!(
            refused(&["--stream-days", "1"]).starts_with("DOCKET_STREAM_DAYS (--stream-days): 1 is not in 2..=3650")
        );
        let settings = Settings::parse_flags(["--stream-days", "2", "--hold-seconds", "86400"]).unwrap();
        assert!(settings.stream_bounds().age > settings.hold());
        assert_eq!(Settings::default().stream_bounds().bytes, 512 * 1024 * 1024);
    }

    #[test]
    fn secrets_do_not_show() {
        let flags = ["--mongodb-uri", "mongodb://u:hunter2@db", "--stripe-webhook-secret", "whsec_hunter2,whsec_old"];
        let settings = Settings::parse_flags(flags).unwrap();
        assert_eq!(settings.stripe_webhook_secret.len(), 2);
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn addresses_follow_from_the_bound_port() {
        let settings = Settings::default_for_tests().bound_to("127.0.0.1:4711".parse().unwrap());
        assert_eq!(settings.jwks_url().as_str(), "http://127.0.0.1:4711/.well-known/jwks.json");
        assert_eq!(settings.public_url().as_str(), "http://127.0.0.1:4711/");
    }

    #[test]
    fn risky_combinations_warn() {
        assert_eq!(Settings::default().warnings(), Vec::<&str>::new());
        let settings =
            Settings::parse_flags(["--stripe-secret-key", "sk_test_1", "--http-addr", "0.0.0.0:80"]).unwrap();
        assert_eq!(settings.warnings().len(), 5);
    }

    #[test]
    fn a_publishable_key_is_public_and_of_the_same_mode() {
        assert!(refused(&["--stripe-publishable-key", "sk_test_1"]).starts_with("STRIPE_PUBLISHABLE_KEY"));
        assert!(refused(&["--stripe-publishable-key", "pk_"]).starts_with("STRIPE_PUBLISHABLE_KEY"));
        assert!(refused(&["--stripe-publishable-key", "pk_test_\"><script>"]).starts_with("STRIPE_PUBLISHABLE_KEY"));
        let keys = |publishable| {
            ["--stripe-secret-key", "sk_test_1", "--stripe-publishable-key", publishable].map(str::to_owned)
        };
        let parsed = |publishable| Settings::parse_flags(keys(publishable).iter().map(String::as_str));
        assert_eq!(parsed("pk_test_1").unwrap().stripe_publishable_key.as_deref(), Some("pk_test_1"));
        assert!(parsed("pk_live_1").unwrap_err().to_string().contains("test mode"));
    }

    #[test]
    fn a_business_has_a_zone_by_its_name() {
        assert_eq!(Settings::default().business_zone().name(), "UTC");
        let settings = Settings::parse_flags(["--business-time-zone", "europe/rome"]).unwrap();
        assert_eq!(settings.business_zone().name(), "Europe/Rome");
    }

    #[test]
    fn mails_are_shown_only_where_nobody_comes_from_elsewhere() {
        let previews = |flags: &[&str]| Settings::parse_flags(flags.iter().copied()).unwrap().previews_mail();
        assert!(previews(&[]) && previews(&["--public-url", "http://docket.localhost:3000"]));
        assert!(previews(&["--http-addr", "0.0.0.0:80", "--public-url", "http://[::1]/"]));
        assert!(!previews(&["--http-addr", "0.0.0.0:80"]));
        assert!(!previews(&["--public-url", "https://docket.example.org"]));
        assert!(!previews(&["--public-url", "http://localhost.example.org"]));
        assert!(!previews(&["--smtp-url", "smtp://127.0.0.1:1025"]));
    }

    #[test]
    fn a_mail_server_and_a_sender_are_checked_at_the_start() {
        let shown = refused(&["--smtp-url", "imap://user:hunter2@mail.example.org"]);
        assert!(shown.starts_with("SMTP_URL (--smtp-url): must be a mail server") && !shown.contains("hunter2"));
        assert!(refused(&["--mail-from", "Docket"]).starts_with("MAIL_FROM (--mail-from): must be an address"));
    }

    #[test]
    fn a_wrong_clock_is_told_loudly_and_never_goes_with_real_money() {
        let settings = Settings::parse_flags(["--clock-offset-ms", "-2500"]).unwrap();
        assert!(settings.warnings()[0].contains("WRONG CLOCK"));
        let (wrong, right) = (settings.clock().now(), SystemClock.now());
        assert!(right.since(wrong) > Duration::from_millis(2_000), "{wrong} is not 2.5 s before {right}");
        let live = ["--clock-offset-ms", "1", "--stripe-secret-key", "sk_live_1", "--stripe-webhook-secret", "whsec_1"];
        assert!(refused(&live).contains("real money"));
    }
}
