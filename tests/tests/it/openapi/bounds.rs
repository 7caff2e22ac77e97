//! The bounds of the document, one by one: what is a step beyond is refused, and the field named; what is at the bound is not.

use docket_tests::{Answer, App, Person};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::document;

/// What fits no pattern, no enum and no format of the document.
const NOTHING_LIKE_IT: &str = "§§";

/// Something to send in a field or a parameter.
struct Try {
    value: Value,
    is_right: bool,
}

/// One operation, at things that there are.
struct Operation<'a> {
    document: &'a Value,
    said: &'a Value,
    method: Method,
    path: String,
}

#[tokio::test]
async fn what_is_one_step_beyond_a_bound_is_refused_and_its_field_named() {
    let app = App::with(|settings| settings.posts_per_second = 0).await;
    let admin = app.admin().await;
    let ticket = admin.sell(10).await;
    let order = app.sign_up().await.buy(&ticket, 1).await;
    let document = document();
    let mut tried = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let of_ticket = ["/api/tickets", "/api/orders/sales"].iter().any(|area| path.starts_with(area));
        let id = if of_ticket { &ticket["id"] } else { &order["id"] };
        for (method, said) in operations.as_object().unwrap() {
            let path = path.replace("{id}", id.as_str().unwrap()).replace("{service}", "orders");
            let method = method.to_uppercase().parse().unwrap();
            let operation = Operation { document: &document, said, method, path };
            tried += operation.try_fields(&admin).await + operation.try_parameters(&admin).await;
        }
    }
    assert!(tried > 100, "only {tried} bounds were found");
    app.stop().await;
}

#[tokio::test]
async fn an_id_that_is_none_names_nothing() {
    let app = App::start().await;
    let admin = app.admin().await;
    for (path, operations) in document()["paths"].as_object().unwrap().iter().filter(|(path, _)| path.contains("{id}"))
    {
        let path = path.replace("{id}", "ID").replace("{service}", "orders");
        for method in
            operations.as_object().unwrap().keys().filter(|method| matches!(method.as_str(), "get" | "delete"))
        {
            admin.send(method.to_uppercase().parse().unwrap(), &path, &[], Value::Null).await.problem(404, "not_found");
        }
    }
    app.stop().await;
}

impl Operation<'_> {
    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        pointer.map_or(schema, |pointer| self.document.pointer(pointer).unwrap())
    }

    async fn try_fields(&self, person: &Person) -> usize {
        let schema = self.resolved(&self.said["requestBody"]["content"]["application/json"]["schema"]);
        let schema = schema["anyOf"].get(0).or_else(|| schema["oneOf"].get(0)).unwrap_or(schema);
        let schema = self.resolved(schema);
        let Some(fields) = schema["properties"].as_object() else { return 0 };
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let base: Map<_, _> = required.iter().map(|name| ((*name).to_owned(), self.sample(&fields[*name]))).collect();
        let mut tried = 0;
        for name in &required {
            let mut body = base.clone();
            body.remove(*name);
            self.check(&self.send(person, &[], "", body.into()).await, name, false, "nothing");
            tried += 1;
        }
        let mut more = base.clone();
        more.insert("isAdmin".to_owned(), true.into());
        self.check(&self.send(person, &[], "", more.into()).await, "isAdmin", false, "an unknown field");
        for (name, schema) in fields {
            for Try { value, is_right } in self.tries(schema) {
                let mut body = base.clone();
                body.insert(name.clone(), value.clone());
                self.check(&self.send(person, &[], "", body.into()).await, name, is_right, &value.to_string());
                tried += 1;
            }
        }
        tried
    }

    async fn try_parameters(&self, person: &Person) -> usize {
        let mut tried = 0;
        for parameter in self.said["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            // What stands in `If-None-Match` is compared, whatever it is.
            if parameter["in"] == "path" || matches!(name, "If-None-Match" | "Stripe-Signature") {
                continue;
            }
            for Try { value, is_right } in self.tries(&parameter["schema"]) {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let answer = if parameter["in"] == "query" {
                    self.send(person, &[], &format!("?{name}={text}"), Value::Null).await
                } else {
                    self.send(person, &[(name, &text)], "", json!({})).await
                };
                self.check(&answer, name, is_right, &text);
                tried += 1;
            }
        }
        tried
    }

    async fn send(&self, person: &Person, headers: &[(&str, &str)], query: &str, body: Value) -> Answer {
        person.send(self.method.clone(), &format!("{}{query}", self.path), headers, body).await
    }

    #[track_caller]
    fn check(&self, answer: &Answer, field: &str, is_right: bool, sent: &str) {
        let errors = answer.body["errors"].as_array().into_iter().flatten().filter_map(|error| error["field"].as_str());
        let named = errors.into_iter().any(|named| named == field || named.starts_with(&format!("{field}[")));
        let sent = sent.chars().take(60).collect::<String>();
        let told = format!("{} {} with {sent} as {field}: {} {}", self.method, self.path, answer.status, answer.body);
        assert!(answer.status < 500, "{told}");
        assert_eq!(answer.status == 400 && named, !is_right, "{told}");
    }

    /// What is at the bounds of a schema, and a step beyond them.
    fn tries(&self, schema: &Value) -> Vec<Try> {
        let schema = self.resolved(schema);
        let wrong = |value: Value| Try { value, is_right: false };
        let right = |value: Value| Try { value, is_right: true };
        if let Some(several) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
            return several.iter().flat_map(|one| self.tries(one)).filter(|one| !one.is_right).collect();
        }
        let mut tries = Vec::new();
        let bound = |name: &str| schema[name].as_i64();
        tries.extend(bound("maximum").into_iter().flat_map(|most| [right(most.into()), wrong((most + 1).into())]));
        tries.extend(bound("minimum").into_iter().flat_map(|least| [right(least.into()), wrong((least - 1).into())]));
        let is_plain = schema["pattern"].is_null() && schema["format"].is_null();
        if let Some(most) = bound("maxLength") {
            let text = |length: i64| Value::String(self.text(schema, usize::try_from(length).unwrap()));
            tries.push(wrong(text(most + 1)));
            tries.extend(is_plain.then(|| right(text(most))));
        }
        tries.extend(bound("minLength").map(|least| wrong("a".repeat(usize::try_from(least - 1).unwrap()).into())));
        let closed = !schema["enum"].is_null() || !schema["pattern"].is_null() || schema["format"] == "date-time";
        tries.extend(closed.then(|| wrong(NOTHING_LIKE_IT.into())));
        if let Some(most) = bound("maxItems") {
            let items = vec![self.sample(&schema["items"]); usize::try_from(most).unwrap() + 1];
            tries.extend([wrong(items.into()), wrong(json!([])), wrong(json!([NOTHING_LIKE_IT]))]);
        }
        // A blank text says nothing, where that may be.
        tries.retain(|one| one.value != NOTHING_LIKE_IT || schema["pattern"] != r"^\s*$");
        tries
    }

    fn text(&self, schema: &Value, length: usize) -> String {
        let (before, after) = match schema["format"].as_str() {
            Some("uri") => ("http://example.org/", ""),
            Some("email") => ("", "@example.org"),
            _ if schema["pattern"] == "@" => ("", "@example.org"),
            _ => ("", ""),
        };
        format!("{before}{}{after}", "a".repeat(length - before.len() - after.len()))
    }

    /// Something that the schema takes.
    fn sample(&self, schema: &Value) -> Value {
        let schema = self.resolved(schema);
        if let Some(several) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
            return self.sample(&several[0]);
        }
        match (schema["type"].as_str(), schema["format"].as_str()) {
            _ if schema["enum"][0].is_string() => schema["enum"][0].clone(),
            (Some("integer"), _) => schema["minimum"].clone(),
            (Some("array"), _) => json!([self.sample(&schema["items"])]),
            (_, Some("uuid")) => "01a22ccd-ada3-7911-bf15-d6f010b485a6".into(),
            (_, Some("date-time")) => "2026-11-21T20:00:00Z".into(),
            (_, Some("email")) => "ana@example.org".into(),
            _ if !schema["pattern"].is_null() => "1".into(),
            _ => "a".repeat(usize::try_from(schema["minLength"].as_u64().unwrap_or(1)).unwrap()).into(),
        }
    }
}
