//! Schemas that derives cannot say, and what holds for all of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use utoipa::PartialSchema;
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOf, AnyOfBuilder, ArrayItems, Object, ObjectBuilder, OneOf, SchemaType, Type,
};
use utoipa::openapi::{Components, RefOr, Schema};

/// A text that says something, or a blank one, which is as good as none: forms send empty fields.
pub fn blank_or<T: PartialSchema>() -> Schema {
    let blank = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^\s*$"));
    AnyOfBuilder::new().item(T::schema()).item(blank.description(Some("Nothing is said."))).build().into()
}

/// The same in a body, where `null` says nothing too.
pub fn blank_or_null<T: PartialSchema>() -> Schema {
    nullable(blank_or::<T>())
}

/// A schema, or `null`.
pub fn nullable(schema: impl Into<RefOr<Schema>>) -> Schema {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    match schema.into() {
        RefOr::T(Schema::AnyOf(any)) => AnyOfBuilder::from(any).item(null).build().into(),
        schema => AnyOfBuilder::new().item(schema).item(null).build().into(),
    }
}

/// A text of a pattern.
pub fn text_like(pattern: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build()
}

/// Puts right what derives say too strictly or not at all. `answers` names the schemas that are answered, and `requests` those
/// that are read.
pub(super) fn put_right(components: &mut Components, requests: &BTreeSet<String>, answers: &BTreeSet<String>) {
    let (requests, answers) = (reached(requests, components), reached(answers, components));
    for (name, schema) in &mut components.schemas {
        let is_answered = answers.contains(name) && !requests.contains(name);
        walk(schema, &mut |schema| {
            any_of(schema);
            if let Schema::Object(object) = schema
                && is_answered
            {
                whole(object);
            }
        });
    }
}

/// Of the shapes that an untagged enum has, one may be a part of another, so a value may be of several.
fn any_of(schema: &mut Schema) {
    let Schema::OneOf(one_of) = schema else { return };
    let OneOf { items, schema_type, description, default, example, examples, discriminator, extensions, .. } =
        std::mem::take(one_of);
    let mut any = AnyOf::new();
    (any.items, any.schema_type, any.description, any.default) = (items, schema_type, description, default);
    (any.example, any.examples, any.discriminator, any.extensions) = (example, examples, discriminator, extensions);
    *schema = any.into();
}

/// An answer has all of its fields: those that have no value are `null`. What may be left out is never `null`, and its field says
/// `nullable = false`. Only an object that says how few of its fields it may have (`min_properties`) leaves out what it likes.
fn whole(object: &mut Object) {
    if object.min_properties.is_some() {
        return;
    }
    for (name, property) in &object.properties {
        if may_be_null(property) && !object.required.contains(name) {
            object.required.push(name.clone());
        }
    }
}

fn may_be_null(schema: &RefOr<Schema>) -> bool {
    let of_type = |of: &SchemaType| match of {
        SchemaType::Type(one) => *one == Type::Null,
        SchemaType::Array(several) => several.contains(&Type::Null),
        SchemaType::AnyValue => false,
    };
    match schema {
        RefOr::T(Schema::Object(object)) => of_type(&object.schema_type),
        RefOr::T(Schema::Array(array)) => of_type(&array.schema_type),
        RefOr::T(Schema::OneOf(one)) => one.items.iter().any(may_be_null),
        RefOr::T(Schema::AnyOf(any)) => any.items.iter().any(may_be_null),
        RefOr::T(_) | RefOr::Ref(_) => false,
    }
}

/// Goes through a schema, the innermost first.
pub(super) fn walk(schema: &mut RefOr<Schema>, change: &mut impl FnMut(&mut Schema)) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                walk(items, change);
            }
        }
        Schema::Object(object) => {
            object.properties.values_mut().for_each(|property| walk(property, change));
            if let Some(AdditionalProperties::RefOr(others)) = object.additional_properties.as_deref_mut() {
                walk(others, change);
            }
        }
        Schema::OneOf(one) => one.items.iter_mut().for_each(|item| walk(item, change)),
        Schema::AllOf(all) => all.items.iter_mut().for_each(|item| walk(item, change)),
        Schema::AnyOf(any) => any.items.iter_mut().for_each(|item| walk(item, change)),
        _ => {}
    }
    change(schema);
}

/// The schemas that are named, those that these name, and so on.
fn reached(named: &BTreeSet<String>, components: &Components) -> BTreeSet<String> {
    let of_each: BTreeMap<_, _> = components.schemas.iter().map(|(name, schema)| (name, names_in(schema))).collect();
    let mut reached = BTreeSet::new();
    let mut left: Vec<&String> = named.iter().collect();
    while let Some(name) = left.pop() {
        if reached.insert(name.clone()) {
            left.extend(of_each.get(name).into_iter().flatten());
        }
    }
    reached
}

/// The schemas that a part of the document names.
pub(super) fn names_in(part: &impl serde::Serialize) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect(&serde_json::to_value(part).unwrap_or_default(), &mut names);
    names
}

fn collect(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            let named = object.get("$ref").and_then(Value::as_str);
            names.extend(named.and_then(|at| at.strip_prefix("#/components/schemas/")).map(str::to_owned));
            object.values().for_each(|value| collect(value, names));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::Ref;
    use utoipa::openapi::schema::OneOfBuilder;

    use super::*;
    use crate::clock::Time;

    fn text_or_null() -> ObjectBuilder {
        ObjectBuilder::new().schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
    }

    fn put_right(name: &str, schema: Schema, requests: &[&str], answers: &[&str]) -> Value {
        let mut components = Components::new();
        components.schemas.insert(name.to_owned(), schema.into());
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        super::put_right(&mut components, &set(requests), &set(answers));
        serde_json::to_value(&components.schemas[name]).unwrap()
    }

    #[test]
    fn only_an_answer_has_all_of_its_fields() {
        let schema = || ObjectBuilder::new().property("name", text_or_null());
        assert_eq!(put_right("Told", schema().into(), &[], &["Told"])["required"], serde_json::json!(["name"]));
        assert!(
            put_right("Told", schema().into(), &["Told"], &["Told"])["required"].is_null(),
            "a request may leave it out"
        );
        let some = schema().min_properties(Some(1)).into();
        assert!(put_right("Told", some, &[], &["Told"])["required"].is_null(), "it says that it may leave out fields");
    }

    #[test]
    fn a_value_may_have_several_shapes() {
        let shapes = OneOfBuilder::new().item(Ref::from_schema_name("One")).item(Ref::from_schema_name("Other"));
        let schema = put_right("Seen", shapes.build().into(), &[], &["Seen"]);
        assert!(schema["oneOf"].is_null() && schema["anyOf"].as_array().is_some_and(|shapes| shapes.len() == 2));
    }

    #[test]
    fn a_blank_text_and_null_say_nothing() {
        let schema = serde_json::to_value(blank_or_null::<Time>()).unwrap();
        let shapes: Vec<_> = schema["anyOf"].as_array().unwrap().iter().map(|shape| &shape["type"]).collect();
        assert_eq!(shapes, ["string", "string", "null"]);
    }
}
