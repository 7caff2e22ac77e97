//! Whether a pod is ready, found out as its readinessProbe says.

use std::time::Duration;

use docket_manifests::Object;
use serde_json::Value;
use tokio::net::TcpStream;

use super::HASTE;
use super::pod::Pod;

pub(super) struct Probe {
    asks: Asks,
    /// How often it asks.
    pub(super) period: Duration,
    timeout: Duration,
    /// After so many failures in a row, a pod is not ready any more.
    failures: u64,
}

enum Asks {
    Http(reqwest::Client, String),
    Tcp(String),
}

impl Probe {
    /// The readinessProbe of a workload's container, for one pod.
    pub(super) fn new(workload: &Object, container: &Value, pod: &Pod) -> Self {
        let probe = &container["readinessProbe"];
        let port = |by: &str| workload.port(&probe[by]["port"]).map(|port| pod.address(port));
        let asks = match (port("httpGet"), port("tcpSocket")) {
            (Some(address), _) => {
                let path = probe["httpGet"]["path"].as_str().unwrap_or("/");
                // As the kubelet does, each time over a connection of its own.
                let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build();
                Asks::Http(client.expect("a client without TLS roots can be made"), format!("http://{address}{path}"))
            }
            (None, Some(address)) => Asks::Tcp(address),
            (None, None) => panic!("{} has no readinessProbe that is known here", workload.title()),
        };
        // Where a manifest is silent, these are Kubernetes's.
        let number = |field: &str, usual| probe[field].as_u64().unwrap_or(usual);
        Self {
            asks,
            period: Duration::from_secs(number("periodSeconds", 10)) / HASTE,
            timeout: Duration::from_secs(number("timeoutSeconds", 1)),
            failures: number("failureThreshold", 3),
        }
    }

    /// Asks once.
    pub(super) async fn succeeds(&self) -> bool {
        let answer = async {
            match &self.asks {
                Asks::Http(client, url) => {
                    client.get(url).send().await.is_ok_and(|answer| answer.status().as_u16() < 400)
                }
                Asks::Tcp(address) => TcpStream::connect(address).await.is_ok(),
            }
        };
        tokio::time::timeout(self.timeout, answer).await.unwrap_or(false)
    }

    /// What so many failures in a row say of a pod; nothing, if they are neither none nor enough.
    pub(super) fn verdict(&self, failures: u64) -> Option<bool> {
        match failures {
            0 => Some(true),
            some => (some >= self.failures).then_some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_not_yet_a_verdict() {
        let asks = Asks::Tcp(String::new());
        let probe = Probe { asks, period: Duration::ZERO, timeout: Duration::ZERO, failures: 2 };
        assert_eq!([0, 1, 2, 3].map(|failures| probe.verdict(failures)), [Some(true), None, Some(false), Some(false)]);
    }
}
