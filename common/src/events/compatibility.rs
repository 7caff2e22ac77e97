//! What may change in a schema without a new version: optional properties may come, and so may values of an open enum, because
//! each build keeps those that it does not know (see [`crate::open_enum`]). A closed enum may become open.

use std::collections::BTreeSet;

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
    /// An enum lost a value, is open no more, or has a new value that builds with the closed one cannot read.
    #[error("the values of {0} changed")]
    Values(String),
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
        } else if let (Some(before), Some(now)) = (Values::of(before), Values::of(now)) {
            before.stays_readable(&now).map_err(|()| Breaking::Values(name.clone()))?;
        } else if without_prose(before) != without_prose(now) {
            return Err(Breaking::Changed(name.clone()));
        }
    }
    Ok(())
}

/// The values of an enum.
struct Values<'s> {
    known: BTreeSet<&'s str>,
    /// Whether any other text is allowed too.
    open: bool,
}

impl<'s> Values<'s> {
    /// Those of a schema; none if it is no enum.
    fn of(schema: &'s Value) -> Option<Self> {
        let arms = ["oneOf", "anyOf"].iter().find_map(|keyword| schema[keyword].as_array());
        let known = arms.into_iter().flatten().filter_map(|arm| arm["const"].as_str());
        let listed = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let known: BTreeSet<_> = known.chain(listed).collect();
        let is_open = |arm: &Value| arm["type"] == "string" && arm.get("const").is_none();
        let open = arms.is_some_and(|arms| arms.iter().any(is_open));
        (!known.is_empty()).then_some(Self { known, open })
    }

    fn stays_readable(&self, now: &Self) -> Result<(), ()> {
        let new_values_are_read = self.open || self.known.is_superset(&now.known);
        let is_kept = self.known.is_subset(&now.known) && (now.open || !self.open);
        if is_kept && new_values_are_read { Ok(()) } else { Err(()) }
    }
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

    fn with_values(keyword: &str, texts: &[&str], open: bool) -> Value {
        let known = texts.iter().map(|text| json!({ "const": text, "type": "string", "description": text.len() }));
        let arms: Vec<Value> = known.chain(open.then(|| json!({ "type": "string" }))).collect();
        json!({ "$defs": { "Colour": { keyword: arms } }, "properties": {} })
    }

    #[test]
    fn an_open_enum_may_have_more_values() {
        let closed = with_values("oneOf", &["red"], false);
        let (open, more) = (with_values("anyOf", &["red"], true), with_values("anyOf", &["red", "blue"], true));
        assert_eq!(compatible(&closed, &open), Ok(()), "a closed one becomes open");
        assert_eq!(compatible(&open, &more), Ok(()));
    }

    #[test]
    fn a_closed_enum_may_not_and_none_may_lose_one() {
        let closed = with_values("oneOf", &["red"], false);
        let (open, more) = (with_values("anyOf", &["red"], true), with_values("anyOf", &["red", "blue"], true));
        let broken = Err(Breaking::Values("Colour".into()));
        assert_eq!(compatible(&closed, &more), broken, "a closed one gets another value");
        assert_eq!(compatible(&closed, &with_values("oneOf", &["red", "blue"], false)), broken);
        assert_eq!(compatible(&more, &open), broken, "a value is gone");
        assert_eq!(compatible(&open, &closed), broken, "it is open no more");
    }
}
