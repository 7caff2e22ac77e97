//! What may change in a schema without a new version: only the arrival of optional properties.

use serde_json::{Map, Value};

/// A change that old readers or old messages would not survive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Breaking {
    /// A property is gone.
    #[error("property {0} was removed")]
    Removed(String),
    /// A property has another type or meaning.
    #[error("property {0} has another schema")]
    Changed(String),
    /// A property that old messages lack is required, or one that old readers need is not.
    #[error("property {0} changed between required and optional")]
    Requirement(String),
}

/// Whether messages and readers of `old` and `new` understand each other both ways.
///
/// # Errors
/// The first change that breaks them.
pub fn compatible(old: &Value, new: &Value) -> Result<(), Breaking> {
    same_required(old, new)?;
    keeps_all("properties", old, new)?;
    keeps_all("$defs", old, new)
}

fn same_required(old: &Value, new: &Value) -> Result<(), Breaking> {
    let (before, after) = (required(old), required(new));
    let differing =
        before.iter().find(|name| !after.contains(name)).or_else(|| after.iter().find(|name| !before.contains(name)));
    differing.map_or(Ok(()), |name| Err(Breaking::Requirement((*name).to_owned())))
}

fn required(schema: &Value) -> Vec<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn keeps_all(section: &str, old: &Value, new: &Value) -> Result<(), Breaking> {
    let empty = Map::new();
    let after = new[section].as_object().unwrap_or(&empty);
    for (name, before) in old[section].as_object().unwrap_or(&empty) {
        let Some(now) = after.get(name) else { return Err(Breaking::Removed(name.clone())) };
        if before.get("properties").is_some() {
            compatible(before, now)?;
        } else if without_prose(before) != without_prose(now) {
            return Err(Breaking::Changed(name.clone()));
        }
    }
    Ok(())
}

fn without_prose(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(object) = schema.as_object_mut() {
        object.remove("description");
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn base() -> Value {
        json!({ "properties": { "id": { "type": "string" } }, "required": ["id"] })
    }

    #[test]
    fn an_optional_property_may_come() {
        let new =
            json!({ "properties": { "id": { "type": "string" }, "note": { "type": "string" } }, "required": ["id"] });
        assert_eq!(compatible(&base(), &new), Ok(()));
    }

    #[test]
    fn nothing_else_may() {
        let removed = json!({ "properties": {}, "required": ["id"] });
        assert_eq!(compatible(&base(), &removed), Err(Breaking::Removed("id".into())));
        let changed = json!({ "properties": { "id": { "type": "integer" } }, "required": ["id"] });
        assert_eq!(compatible(&base(), &changed), Err(Breaking::Changed("id".into())));
        let optional = json!({ "properties": { "id": { "type": "string" } } });
        assert_eq!(compatible(&base(), &optional), Err(Breaking::Requirement("id".into())));
    }
}
