//! What the value of a setting may be.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, Tokio1Executor};
use secrecy::SecretString;
use url::{Host, Url};

use crate::store::Client;
use crate::zone::NotAZone;

const SECRET_KEY: &str = "must be a secret key of Stripe's, such as sk_test_… or rk_live_…";

/// A key that is pasted with a line's end would be refused by Stripe, which does not say why.
pub(super) fn secret_key(text: &str) -> Result<SecretString, String> {
    if text.starts_with("pk_") {
        return Err(format!("{SECRET_KEY}; this is a publishable one, which goes into STRIPE_PUBLISHABLE_KEY"));
    }
    if text.contains(char::is_whitespace) {
        return Err(format!("{SECRET_KEY}, without white space in it or around it"));
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let right = plain && ["sk_", "rk_"].iter().any(|begin| text.starts_with(begin) && text.len() > begin.len());
    right.then(|| text.into()).ok_or_else(|| SECRET_KEY.to_owned())
}

/// One of those between the commas. An empty one would take everybody's webhooks for Stripe's.
pub(super) fn webhook_secret(text: &str) -> Result<SecretString, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err("has an empty secret in it: must be secrets such as whsec_…, with one comma between two");
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    let right = plain && text.starts_with("whsec_") && text.len() > "whsec_".len();
    right.then(|| text.into()).ok_or("must be the signing secret of a webhook of Stripe's, such as whsec_…")
}

pub(super) fn nats_url(text: &str) -> Result<SecretString, &'static str> {
    let mut servers = text.split(',').map(str::trim);
    let right = servers.all(|server| {
        let address = server.parse::<async_nats::ServerAddr>();
        !server.is_empty() && address.is_ok_and(|address| NATS_SCHEMES.contains(&address.scheme()))
    });
    right.then(|| text.into()).ok_or("must be NATS servers such as nats://user:password@nats:4222, separated by commas")
}

/// What the client speaks.
const NATS_SCHEMES: [&str; 2] = ["nats", "tls"];

/// A network of proxies, or the address of one.
pub(super) fn network(text: &str) -> Result<IpNet, &'static str> {
    let text = text.trim();
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network.ok_or("must be networks such as 10.0.0.0/8 or 2001:db8::/32, separated by commas")
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("{error}; right would be info or info,orders=debug"))
}

/// The address of the pages: people type it, and mails lead there.
pub(super) fn public_address(text: &str) -> Result<Url, &'static str> {
    let url = web_address(text)?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let somewhere = match url.host() {
        Some(Host::Ipv4(ip)) => !ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => !ip.is_unspecified(),
        _ => true,
    };
    (plain && somewhere).then_some(url).ok_or(WEB_ADDRESS)
}

const WEB_ADDRESS: &str = "must be a web address such as https://docket.example.org";

pub(super) fn api_url(text: &str) -> Result<String, &'static str> {
    let named = text.replace("{service}", "service");
    web_address(&named).map(|_| text.to_owned())
}

pub(super) fn mongodb_uri(text: &str) -> Result<SecretString, &'static str> {
    let right = Client::can_read(text);
    right.then(|| text.into()).ok_or("must begin with mongodb:// or mongodb+srv:// and name a server, as mongodb://mongodb:27017/?replicaSet=docket does")
}

pub(super) fn web_address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or(WEB_ADDRESS)
}

pub(super) fn smtp_url(text: &str) -> Result<SecretString, &'static str> {
    let right = AsyncSmtpTransport::<Tokio1Executor>::from_url(text).is_ok();
    right.then(|| text.into()).ok_or("must be a mail server such as smtps://user:password@mail.example.org")
}

pub(super) fn mail_from(text: &str) -> Result<Mailbox, &'static str> {
    text.parse().map_err(|_| "must be an address such as Docket <no-reply@docket.example.org>")
}

pub(super) fn namespace(text: &str) -> Result<String, &'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let right = (1..=24).contains(&text.len()) && text.chars().all(allowed);
    right.then(|| text.to_owned()).ok_or("must be 1 to 24 of a-z, 0-9 and _")
}

pub(super) fn time_zone(text: &str) -> Result<TimeZone, NotAZone> {
    crate::zone::rules(text)
}

pub(super) fn publishable_key(text: &str) -> Result<String, &'static str> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let right = text.len() > "pk_".len() && text.starts_with("pk_") && plain;
    right.then(|| text.to_owned()).ok_or("must be a publishable key of Stripe's, such as pk_test_… (never sk_…)")
}
