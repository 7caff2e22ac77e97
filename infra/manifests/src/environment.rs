//! The environment of a container, as Kubernetes makes it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cluster::{Cluster, list};

impl Cluster {
    /// The environment of a container in the pod of this name, as far as the cluster has what it is made of: secrets that
    /// an operator makes are not among the manifests.
    pub fn environment(&self, container: &Value, pod: &str) -> BTreeMap<String, String> {
        let mut known: BTreeMap<String, String> =
            list(container, "/envFrom").iter().flat_map(|from| self.all_of(from)).collect();
        for variable in list(container, "/env") {
            let name = variable["name"].as_str().unwrap_or_default().to_owned();
            match self.value(variable, pod) {
                Some(value) => known.insert(name, expanded(&value, &known)),
                None => known.remove(&name),
            };
        }
        known
    }

    fn all_of(&self, from: &Value) -> BTreeMap<String, String> {
        let prefix = from["prefix"].as_str().unwrap_or_default();
        let named = |reference: &str, kind| self.find(kind, from[reference]["name"].as_str()?);
        let object = named("configMapRef", "ConfigMap").or_else(|| named("secretRef", "Secret"));
        let data = object.into_iter().flat_map(|object| object.data());
        data.map(|(name, value)| (format!("{prefix}{name}"), value)).collect()
    }

    fn value(&self, variable: &Value, pod: &str) -> Option<String> {
        if let Some(value) = variable["value"].as_str() {
            return Some(value.to_owned());
        }
        let from = &variable["valueFrom"];
        match from["fieldRef"]["fieldPath"].as_str() {
            Some("metadata.name") => return Some(pod.to_owned()),
            Some("metadata.namespace") => {
                return self.of("Namespace").next().map(|namespace| namespace.name().to_owned());
            }
            _ => {}
        }
        let keyed = |reference: &str, kind| {
            let key = &from[reference];
            self.find(kind, key["name"].as_str()?)?.data().remove(key["key"].as_str()?)
        };
        keyed("configMapKeyRef", "ConfigMap").or_else(|| keyed("secretKeyRef", "Secret"))
    }
}

/// Kubernetes replaces `$(NAME)` if it knows the name, and leaves it otherwise.
fn expanded(value: &str, known: &BTreeMap<String, String>) -> String {
    known.iter().fold(value.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "kind: ConfigMap
metadata: { name: settings }
data: { HOSTS: db }
---
kind: Namespace
metadata: { name: shop }
---
kind: Secret
metadata: { name: users }
data:
  orders: |
    c2Vj
    cmV0";

    const CONTAINER: &str = "
envFrom:
  - configMapRef: { name: settings }
  - { prefix: PASSWORD_, secretRef: { name: users } }
env:
  - { name: SELF, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
  - { name: SPACE, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
  - { name: PASSWORD, valueFrom: { secretKeyRef: { name: users, key: orders } } }
  - { name: LATER, value: $(URL) }
  - { name: URL, value: orders:$(PASSWORD)@$(HOSTS) }
  - { name: MAIL, valueFrom: { secretKeyRef: { name: mail, key: url, optional: true } } }";

    #[test]
    fn it_is_made_of_values_maps_secrets_and_of_what_was_named_before() {
        let cluster = Cluster::parse(CLUSTER).unwrap();
        let found = cluster.environment(&serde_saphyr::from_str(CONTAINER).unwrap(), "orders-0");
        let expected = [
            ("HOSTS", "db"),
            ("LATER", "$(URL)"),
            ("PASSWORD", "secret"),
            ("PASSWORD_orders", "secret"),
            ("SELF", "orders-0"),
            ("SPACE", "shop"),
            ("URL", "orders:secret@db"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}
