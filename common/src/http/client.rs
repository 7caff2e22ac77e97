//! The HTTP client for calls to others.

/// Makes rustls use ring, for all TLS of the process. Safe to call again.
pub fn install_tls_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// A client for calls to other servers. Its connections live in the runtime that first used them: make one per service.
pub fn client() -> reqwest::Client {
    install_tls_provider();
    let made = reqwest::Client::builder().build();
    // An image without root certificates can still call its neighbours in the cluster.
    made.or_else(|_| reqwest::Client::builder().tls_certs_only([]).build())
        .expect("a client without certificates needs nothing")
}
