//! What several processes share, and how it is: shown at `/status`, and no reason to take a replica out of service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

/// How the shared things are that this process looks at.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<BTreeMap<&'static str, Shared>>>);

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Shared {
    well: bool,
    #[serde(flatten)]
    details: Value,
}

/// The answer of `/status`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    well: bool,
    shared: BTreeMap<&'static str, Shared>,
}

impl Status {
    /// Tells how one of them is. `details` is an object, of which `/status` shows the fields.
    pub fn set(&self, name: &'static str, well: bool, details: Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Shared { well, details });
    }

    pub(super) fn report(&self) -> Report {
        let shared = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Report { well: shared.values().all(|one| one.well), shared }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_is_well_when_each_is() {
        let status = Status::default();
        status.set("mongodb", true, json!({}));
        status.set("disk", true, json!({ "usedPercent": 40 }));
        let shown = |status: &Status| serde_json::to_value(status.report()).unwrap();
        let each = json!({ "mongodb": { "well": true }, "disk": { "well": true, "usedPercent": 40 } });
        assert_eq!(shown(&status), json!({ "well": true, "shared": each }));
        status.set("mongodb", false, json!({}));
        assert_eq!(shown(&status)["well"], false);
    }
}
