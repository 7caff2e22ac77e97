//! Rendered manifests: what would be on the cluster.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::ManifestError;

static NOTHING: Value = Value::Null;

/// One object.
#[derive(Debug)]
pub struct Object(Value);

/// All that an overlay applies.
#[derive(Debug)]
pub struct Cluster(Vec<Object>);

impl Object {
    /// `Deployment`, for one.
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// Its name among its kind.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// `Deployment orders`, for messages.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind(), self.name())
    }

    /// What is at a JSON pointer; `null` if nothing is.
    pub fn at(&self, pointer: &str) -> &Value {
        at(&self.0, pointer)
    }

    /// The text at a JSON pointer; empty if there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    /// The pod of a Deployment or a StatefulSet.
    pub fn pod(&self) -> &Value {
        self.at("/spec/template/spec")
    }

    /// The containers that run as long as the pod does.
    pub fn containers(&self) -> &[Value] {
        list(self.pod(), "/containers")
    }

    /// The labels of its pods.
    pub fn labels(&self) -> BTreeMap<&str, &str> {
        texts(self.at("/spec/template/metadata/labels"))
    }

    /// Whether its pods are a service of Docket.
    pub fn is_service(&self) -> bool {
        self.kind() == "Deployment" && self.labels().get("app.kubernetes.io/component") == Some(&"service")
    }

    /// What a ConfigMap or a Secret holds, by name. What is no text is left out.
    pub fn data(&self) -> BTreeMap<String, String> {
        let entries = texts(self.at("/data")).into_iter();
        let decoded = entries.filter_map(|(name, value)| {
            let value = if self.kind() == "Secret" { decoded(value)? } else { value.to_owned() };
            Some((name.to_owned(), value))
        });
        decoded.collect()
    }

    /// The number of a port that is given by name or by number.
    pub fn port(&self, port: &Value) -> Option<u64> {
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
    /// Reads what was rendered.
    ///
    /// # Errors
    /// If it is not YAML.
    pub fn parse(yaml: &str) -> Result<Self, ManifestError> {
        let objects: Vec<Value> = serde_saphyr::from_multiple(yaml)?;
        Ok(Self(objects.into_iter().map(Object).collect()))
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of a kind.
    pub fn of<'c>(&'c self, kind: &'c str) -> impl Iterator<Item = &'c Object> {
        self.0.iter().filter(move |object| object.kind() == kind)
    }

    /// The one of a kind that has a name.
    pub fn find(&self, kind: &str, name: &str) -> Option<&Object> {
        self.0.iter().find(|object| object.kind() == kind && object.name() == name)
    }

    /// What has pods.
    pub fn workloads(&self) -> impl Iterator<Item = &Object> {
        self.of("Deployment").chain(self.of("StatefulSet"))
    }

    /// The services of Docket.
    pub fn services(&self) -> impl Iterator<Item = &Object> {
        self.of("Deployment").filter(|deployment| deployment.is_service())
    }

    /// What the selector's labels choose.
    pub fn selected<'c>(&'c self, selector: &'c Value) -> impl Iterator<Item = &'c Object> {
        self.workloads().filter(|workload| selects(selector, &workload.labels()))
    }
}

/// Whether a label selector chooses pods with these labels. An empty one chooses all.
pub fn selects(selector: &Value, labels: &BTreeMap<&str, &str>) -> bool {
    let plain = if selector["matchLabels"].is_object() { &selector["matchLabels"] } else { &NOTHING };
    let equal = texts(plain).iter().all(|(name, value)| labels.get(name) == Some(value));
    equal && list(selector, "/matchExpressions").iter().all(|expression| holds(expression, labels))
}

/// kubectl writes long values in several lines.
fn decoded(base64: &str) -> Option<String> {
    let base64: String = base64.split_whitespace().collect();
    String::from_utf8(STANDARD.decode(base64).ok()?).ok()
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
pub fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&NOTHING)
}

/// The list at a JSON pointer; empty if there is none.
pub fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    at(value, pointer).as_array().map_or(&[], Vec::as_slice)
}

/// The texts of a map, by name.
pub fn texts(map: &Value) -> BTreeMap<&str, &str> {
    let entries = map.as_object().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
}
