//! How often each call of the API was made, for a test to prove that something asks seldom.

use std::collections::BTreeMap;

use serde::Serialize;

/// The calls since the start, by method and route, such as `GET /v1/payment_intents/{id}`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Calls(BTreeMap<String, u64>);

impl Calls {
    pub(crate) fn count(&mut self, method: &str, route: &str) {
        *self.0.entry(format!("{method} {route}")).or_default() += 1;
    }
}
