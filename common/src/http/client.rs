//! The HTTP client for calls to others.

use std::time::Duration;

/// How long a connection may take to be made: whoever does not answer by then is away.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Makes rustls use ring, for all TLS of the process. Safe to call again.
pub fn install_tls_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// A client for calls to what belongs to this installation: no proxy stands in between, whatever the environment names. Its
/// connections live in the runtime that first used them: make one per service.
pub fn client() -> reqwest::Client {
    made(|| reqwest::Client::builder().no_proxy())
}

/// A client for calls to the world outside, through the proxy that `HTTPS_PROXY` names, if it does. As with [`client`], make
/// one per service.
pub fn client_to_the_outside() -> reqwest::Client {
    made(reqwest::Client::builder)
}

fn made(builder: impl Fn() -> reqwest::ClientBuilder) -> reqwest::Client {
    install_tls_provider();
    // An image without root certificates can still call its neighbours in the cluster.
    let builder = || builder().connect_timeout(CONNECT_LIMIT);
    let made = builder().build().or_else(|_| builder().tls_certs_only([]).build());
    made.expect("a client without certificates needs nothing")
}
