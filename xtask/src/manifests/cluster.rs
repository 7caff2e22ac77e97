//! Rendered manifests: what would be on the cluster.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Result;

static NOTHING: Value = Value::Null;

/// One object.
#[derive(Debug)]
pub(super) struct Object(Value);

/// All that an overlay applies.
#[derive(Debug)]
pub(super) struct Cluster(Vec<Object>);

impl Object {
    pub(super) fn kind(&self) -> &str {
        self.text("/kind")
    }

    pub(super) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// `Deployment orders`, for messages.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.kind(), self.name())
    }

    /// What is at a JSON pointer; `null` if nothing is.
    pub(super) fn at(&self, pointer: &str) -> &Value {
        at(&self.0, pointer)
    }

    pub(super) fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    /// The pod of a Deployment or a StatefulSet.
    pub(super) fn pod(&self) -> &Value {
        self.at("/spec/template/spec")
    }

    /// The containers that run as long as the pod does.
    pub(super) fn containers(&self) -> &[Value] {
        list(self.pod(), "/containers")
    }

    /// The labels of its pods.
    pub(super) fn labels(&self) -> BTreeMap<&str, &str> {
        texts(self.at("/spec/template/metadata/labels"))
    }

    /// Whether its pods are a service of Docket.
    pub(super) fn is_service(&self) -> bool {
        self.kind() == "Deployment" && self.labels().get("app.kubernetes.io/component") == Some(&"service")
    }

    /// The number of a port that is given by name or by number.
    pub(super) fn port(&self, port: &Value) -> Option<u64> {
        match port {
            Value::String(name) => {
                let mut ports = self.containers().iter().flat_map(|container| list(container, "/ports"));
                ports.find(|port| port["name"] == *name)?["containerPort"].as_u64()
            }
            number => number.as_u64(),
        }
    }
}

impl Cluster {
    /// # Errors
    /// If it is not YAML.
    pub(super) fn parse(yaml: &str) -> Result<Self> {
        let objects: Vec<Value> = serde_saphyr::from_multiple(yaml)?;
        Ok(Self(objects.into_iter().map(Object).collect()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn of<'c>(&'c self, kind: &'c str) -> impl Iterator<Item = &'c Object> {
        self.0.iter().filter(move |object| object.kind() == kind)
    }

    pub(super) fn find(&self, kind: &str, name: &str) -> Option<&Object> {
        self.0.iter().find(|object| object.kind() == kind && object.name() == name)
    }

    /// What has pods.
    pub(super) fn workloads(&self) -> impl Iterator<Item = &Object> {
        self.of("Deployment").chain(self.of("StatefulSet"))
    }

    /// The services of Docket.
    pub(super) fn services(&self) -> impl Iterator<Item = &Object> {
        self.of("Deployment").filter(|deployment| deployment.is_service())
    }

    /// What the selector's labels choose.
    pub(super) fn selected<'c>(&'c self, selector: &'c Value) -> impl Iterator<Item = &'c Object> {
        self.workloads().filter(|workload| selects(selector, &workload.labels()))
    }

    /// A container's environment, as far as it is no secret.
    pub(super) fn environment(&self, container: &Value) -> BTreeMap<String, String> {
        let maps = list(container, "/envFrom").iter().filter_map(|from| from["configMapRef"]["name"].as_str());
        let maps = maps.filter_map(|name| self.find("ConfigMap", name));
        let mut known: BTreeMap<String, String> = maps
            .flat_map(|map| texts(map.at("/data")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for variable in list(container, "/env") {
            let name = variable["name"].as_str().unwrap_or_default().to_owned();
            match self.value(variable) {
                Some(value) => known.insert(name, expanded(value, &known)),
                None => known.remove(&name),
            };
        }
        known
    }

    fn value<'c>(&'c self, variable: &'c Value) -> Option<&'c str> {
        if let Some(value) = variable["value"].as_str() {
            return Some(value);
        }
        let key = &variable["valueFrom"]["configMapKeyRef"];
        self.find("ConfigMap", key["name"].as_str()?)?.at("/data")[key["key"].as_str()?].as_str()
    }
}

/// Kubernetes replaces `$(NAME)` if it knows the name, and leaves it otherwise.
fn expanded(value: &str, known: &BTreeMap<String, String>) -> String {
    known.iter().fold(value.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value))
}

/// Whether a label selector chooses pods with these labels. An empty one chooses all.
pub(super) fn selects(selector: &Value, labels: &BTreeMap<&str, &str>) -> bool {
    let plain = if selector["matchLabels"].is_object() { &selector["matchLabels"] } else { &NOTHING };
    let equal = texts(plain).iter().all(|(name, value)| labels.get(name) == Some(value));
    equal && list(selector, "/matchExpressions").iter().all(|expression| holds(expression, labels))
}

fn holds(expression: &Value, labels: &BTreeMap<&str, &str>) -> bool {
    let label = expression["key"].as_str().and_then(|key| labels.get(key));
    let named = label.is_some_and(|label| list(expression, "/values").iter().any(|value| value == label));
    match expression["operator"].as_str() {
        Some("In") => named,
        Some("NotIn") => !named,
        Some("Exists") => label.is_some(),
        Some("DoesNotExist") => label.is_none(),
        _ => false,
    }
}

/// What is at a JSON pointer; `null` if nothing is.
pub(super) fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&NOTHING)
}

/// The list at a JSON pointer; empty if there is none.
pub(super) fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    at(value, pointer).as_array().map_or(&[], Vec::as_slice)
}

/// The texts of a map, by name.
pub(super) fn texts(map: &Value) -> BTreeMap<&str, &str> {
    let entries = map.as_object().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
}
