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
    assert!(refused(&["--stream-days", "1"]).starts_with("DOCKET_STREAM_DAYS (--stream-days): 1 is not in 2..=3650"));
    let settings = Settings::parse_flags(["--stream-days", "2", "--hold-seconds", "86400"]).unwrap();
    assert!(settings.stream_bounds().age > settings.hold());
    assert_eq!(Settings::default().stream_bounds().bytes, 512 * 1024 * 1024);
}

#[test]
fn all_that_is_wrong_is_told_once_and_the_rest_is_read() {
    let flags = ["--hold-seconds", "0", "--namespace=My Shop", "--http-addr", "127.0.0.1:9090", "--log", "a=b=c"];
    let told = refused(&flags);
    assert!(told.starts_with("4 settings are wrong:\n  "), "{told}");
    for variable in ["HOLD_SECONDS", "DOCKET_NAMESPACE", "RUST_LOG", "DOCKET_OPS_ADDR"] {
        assert_eq!(told.matches(&format!("  {variable}")).count(), 1, "{variable}: {told}");
    }
    assert!(refused(&["--no-such-flag", "1"]).contains("--no-such-flag"));
}

#[test]
fn a_webhook_has_secrets_and_none_of_them_is_empty() {
    let secrets = |given: &str| {
        let settings = Settings::parse_flags(["--stripe-webhook-secret", given]);
        settings.map(|settings| settings.stripe_webhook_secret.len()).map_err(|error| error.to_string())
    };
    for both in ["whsec_new,whsec_old", "whsec_new, whsec_old", " whsec_new , whsec_old "] {
        assert_eq!(secrets(both), Ok(2), "{both:?}");
    }
    for wrong in ["whsec_a,", ",", " ", "whsec_a,,whsec_b", "whsec_", "whsec_a b", "sk_test_1"] {
        assert!(secrets(wrong).unwrap_err().starts_with("STRIPE_WEBHOOK_SECRET"), "{wrong:?}");
    }
}

#[test]
fn proxies_are_networks_or_single_addresses() {
    let settings = Settings::parse_flags(["--trusted-proxies", "10.0.0.0/8, 2001:db8::/32,203.0.113.7"]).unwrap();
    let shown: Vec<String> = settings.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.0.0.0/8", "2001:db8::/32", "203.0.113.7/32"]);
    assert!(refused(&["--trusted-proxies", "10.0.0.0/8,proxy"]).starts_with("DOCKET_TRUSTED_PROXIES"));
}

#[test]
fn secrets_do_not_show() {
    let flags = ["--mongodb-uri", "mongodb://u:hunter2@db", "--stripe-webhook-secret", "whsec_hunter2,whsec_old"];
    let settings = Settings::parse_flags(flags).unwrap();
    assert_eq!(settings.stripe_webhook_secret.len(), 2);
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn an_address_of_mongodb_can_be_read() {
    assert!(Settings::parse_flags(["--mongodb-uri", "mongodb://a:1,b:2/?replicaSet=docket"]).is_ok());
    for wrong in ["db:27017", "mongodb://", "mongodb://db:99999", "mongodb://db/?replicaSet"] {
        assert!(refused(&["--mongodb-uri", wrong]).starts_with("MONGODB_URI"), "{wrong}");
    }
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
    let settings = Settings::parse_flags(["--stripe-secret-key", "sk_test_1", "--http-addr", "0.0.0.0:80"]).unwrap();
    assert_eq!(settings.warnings().len(), 4);
}

#[test]
fn a_publishable_key_is_public_and_of_the_same_mode() {
    assert!(refused(&["--stripe-publishable-key", "sk_test_1"]).starts_with("STRIPE_PUBLISHABLE_KEY"));
    assert!(refused(&["--stripe-publishable-key", "pk_"]).starts_with("STRIPE_PUBLISHABLE_KEY"));
    assert!(refused(&["--stripe-publishable-key", "pk_test_\"><script>"]).starts_with("STRIPE_PUBLISHABLE_KEY"));
    let keys =
        |publishable| ["--stripe-secret-key", "sk_test_1", "--stripe-publishable-key", publishable].map(str::to_owned);
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
