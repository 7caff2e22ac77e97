//! The documents that are generated from code and committed: OpenAPI, AsyncAPI, and a JSON Schema for each event.

use std::fs;
use std::path::{Path, PathBuf};

use common::events::{EventSpec, compatible, registry};
use common::service::StartError;
use serde_json::{Value, json};

/// What to do with them.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Mode {
    /// Fail if a committed one is not what the code says
    #[arg(long)]
    check: bool,
    /// Write them
    #[arg(long)]
    write: bool,
}

/// The OpenAPI document of every service.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    let services = crate::services();
    let routes: Vec<_> =
        services.iter().flat_map(|service| service.routes().to_vec()).chain(common::service::frame_routes()).collect();
    common::http::openapi("Docket", &routes)
}

/// Writes or checks all documents, in the current folder.
pub(crate) fn documents(mode: &Mode) -> Result<(), StartError> {
    let mut stale = Vec::new();
    for (path, content) in all()? {
        if mode.write {
            unbroken(&path, &content)?;
            write(&path, &content).map_err(|error| StartError::other(format!("{}: {error}", path.display())))?;
        } else if fs::read_to_string(&path).ok().as_deref() != Some(&content) {
            stale.push(path.display().to_string());
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(StartError::other(format!("not up to date: {}; run `cargo xtask documents`", stale.join(", "))))
}

fn all() -> Result<Vec<(PathBuf, String)>, StartError> {
    let specs = registry();
    let mut documents = vec![
        (PathBuf::from("docs/openapi.json"), pretty(&openapi())?),
        (PathBuf::from("docs/asyncapi.json"), pretty(&asyncapi(&specs))?),
    ];
    for spec in &specs {
        documents.push((schema_path(spec), pretty(&spec.schema)?));
    }
    Ok(documents)
}

fn schema_path(spec: &EventSpec) -> PathBuf {
    PathBuf::from(format!("common/schemas/{}/{}/{}.json", spec.domain, spec.kind.name, spec.kind.version))
}

/// With sorted keys: some of them come from maps without an order.
fn pretty(document: &impl serde::Serialize) -> Result<String, StartError> {
    let sorted = serde_json::to_value(document).map_err(StartError::other)?;
    Ok(serde_json::to_string_pretty(&sorted).map_err(StartError::other)? + "\n")
}

/// A schema that was published is changed only in ways that break nobody.
fn unbroken(path: &Path, content: &str) -> Result<(), StartError> {
    let Ok(published) = fs::read_to_string(path) else { return Ok(()) };
    if !path.starts_with("common/schemas") {
        return Ok(());
    }
    let parse = |text: &str| serde_json::from_str::<Value>(text).map_err(StartError::other);
    compatible(&parse(&published)?, &parse(content)?)
        .map_err(|breaking| StartError::other(format!("{}: {breaking}; give the event a new version", path.display())))
}

fn write(path: &Path, content: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content)
}

/// The events as AsyncAPI 3 describes them: a channel for each domain.
pub(crate) fn asyncapi(specs: &[EventSpec]) -> Value {
    let mut channels = serde_json::Map::new();
    let mut operations = serde_json::Map::new();
    for spec in specs {
        let (domain, name) = (spec.domain, spec.kind.name);
        let channel = channels.entry(domain).or_insert_with(|| channel(domain));
        channel["messages"][name] = message(spec);
        let at = |name: &str| json!({ "$ref": format!("#/channels/{domain}/messages/{name}") });
        operations.insert(
            format!("publish {name}"),
            json!({ "action": "send", "channel": { "$ref": format!("#/channels/{domain}") }, "messages": [at(name)] }),
        );
    }
    let info = json!({ "title": "Docket events", "version": env!("CARGO_PKG_VERSION") });
    json!({ "asyncapi": "3.0.0", "info": info, "channels": channels, "operations": operations })
}

fn channel(domain: &str) -> Value {
    json!({
        "address": format!("{domain}.v1.{{aggregateId}}"),
        "parameters": { "aggregateId": { "description": "The id of the aggregate" } },
        "messages": {},
    })
}

fn message(spec: &EventSpec) -> Value {
    let versions = match spec.newest_says_all {
        _ if spec.is_snapshot => {
            "The aggregate's version whose state it tells; it stands for all events up to that one"
        }
        false => "The aggregate's version, without gaps from 1",
        true => "The aggregate's version, growing from 1; some may be missing, as the newest event says all",
    };
    let header = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "name": spec.kind.name,
        "summary": spec.description,
        "contentType": "application/json",
        "headers": { "type": "object", "properties": {
            "Docket-Type": header("The event's name"),
            "Docket-Schema": header("The version of the payload's schema"),
            "Docket-Version": header(versions),
            "Docket-Time": header("When it happened, RFC 3339"),
            "Docket-Actor": header("Who did it; absent if the system did"),
            "traceparent": header("W3C Trace Context; absent if it belongs to no trace"),
        } },
        "payload": spec.schema,
    })
}
