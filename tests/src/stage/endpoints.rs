//! Which pods stand behind each Service: those that are ready and shall not end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::Value;

use super::routing::Routing;

/// The addresses of ready pods, by Service.
pub(super) type Ready = BTreeMap<String, BTreeSet<String>>;

/// Keeps them, and tells the proxy of each change, as the endpoints controller does.
pub(super) struct Endpoints {
    ready: Mutex<Ready>,
    routing: Routing,
    file: PathBuf,
}

impl Endpoints {
    /// Nothing is ready yet. The proxy reads its configuration from `file`.
    pub(super) fn new(services: &[&str], routing: Routing, file: PathBuf) -> Self {
        let ready = services.iter().map(|service| ((*service).to_owned(), BTreeSet::new())).collect();
        let endpoints = Self { ready: Mutex::new(ready), routing, file };
        endpoints.tell(&endpoints.ready());
        endpoints
    }

    /// Takes an address in, or out.
    pub(super) fn set(&self, service: &str, address: &str, ready: bool) {
        let mut known = self.ready.lock().expect("nobody panics while holding it");
        let addresses = known.entry(service.to_owned()).or_default();
        let changed = if ready { addresses.insert(address.to_owned()) } else { addresses.remove(address) };
        if changed {
            self.tell(&known);
        }
    }

    /// Whether an address is in.
    pub(super) fn has(&self, service: &str, address: &str) -> bool {
        self.ready().get(service).is_some_and(|addresses| addresses.contains(address))
    }

    /// All of them.
    pub(super) fn ready(&self) -> Ready {
        self.ready.lock().expect("nobody panics while holding it").clone()
    }

    fn tell(&self, ready: &Ready) {
        let told: Value = self.routing.to(ready);
        let new = self.file.with_extension("new");
        // The proxy sees the whole file or the one before.
        let written = fs::write(&new, told.to_string()).and_then(|()| fs::rename(&new, &self.file));
        written.expect("the folder of the proxy can be written");
    }
}
