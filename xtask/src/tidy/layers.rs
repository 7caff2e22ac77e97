//! Rules about what may depend on what.

use std::collections::BTreeSet;

use super::Finding;
use super::code::{code_only, lines_with};
use super::files::File;

/// The crate that puts all services into one process.
const COMPOSITION: &str = "docket";

/// The crate that serves pages and has no domain.
const PAGES: &str = "web";

const LONGEST_MAIN: usize = 12;

/// The driver of the database, and who calls it.
const DRIVER: &str = "mongodb";
const STORE: &str = "common/src/store/";

/// The modules of a service that know the outside; the rest is its domain. So do those whose name begins with `api`,
/// and what is in folders.
const OUTER: [&str; 6] = ["lib", "main", "listeners", "problems", "store", "jobs"];

/// What a domain knows nothing about.
const OUTSIDE: [&str; 2] = ["actix_web", "mongodb"];

pub(super) fn findings(files: &[File]) -> Vec<Finding> {
    let services: BTreeSet<&str> = files.iter().filter_map(service_of_manifest).collect();
    files
        .iter()
        .flat_map(|file| [imports(file, &services), driver(file), long_main(file), impure_domain(file)].concat())
        .collect()
}

/// A service's crate is named like its folder.
fn service_of_manifest(file: &File) -> Option<&str> {
    let (service, rest) = file.in_service()?;
    (rest == "Cargo.toml" && service != COMPOSITION).then_some(service)
}

/// No service knows another one.
fn imports(file: &File, services: &BTreeSet<&str>) -> Vec<Finding> {
    let Some(service) = service_of_manifest(file) else { return Vec::new() };
    let manifest: toml::Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![Finding::new(&file.path, 1, error.to_string())],
    };
    let others = dependencies(&manifest).into_iter().filter(|name| name != service && is_service(name, services));
    others
        .map(|other| Finding::new(&file.path, 1, format!("a service may not depend on the service {other}")))
        .collect()
}

/// Only the store calls MongoDB, as only its calls have limits.
fn driver(file: &File) -> Vec<Finding> {
    let says = || format!("only {STORE} calls {DRIVER}: its calls have limits");
    if service_of_manifest(file).is_some() {
        let depends = file.text.parse().is_ok_and(|manifest| dependencies(&manifest).iter().any(|name| name == DRIVER));
        return depends.then(|| Finding::new(&file.path, 1, says())).into_iter().collect();
    }
    if !file.path.starts_with("common/src/") || file.path.starts_with(STORE) || !file.path.ends_with(".rs") {
        return Vec::new();
    }
    lines_with(&code_only(&file.text), DRIVER).into_iter().map(|line| Finding::new(&file.path, line, says())).collect()
}

fn is_service(name: &str, services: &BTreeSet<&str>) -> bool {
    name == COMPOSITION || services.contains(name)
}

/// The names of all dependencies, also of those for one platform only.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values);
    let tables = platforms.filter_map(toml::Value::as_table).chain([manifest]);
    let kinds = tables.flat_map(|table| {
        ["dependencies", "dev-dependencies", "build-dependencies"].into_iter().filter_map(|kind| table.get(kind))
    });
    kinds.filter_map(toml::Value::as_table).flatten().map(package_name).collect()
}

fn package_name((name, dependency): (&String, &toml::Value)) -> String {
    dependency.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned()
}

fn long_main(file: &File) -> Vec<Finding> {
    let is_main = file.in_service().is_some_and(|(service, rest)| service != COMPOSITION && rest == "src/main.rs");
    let lines = file.text.lines().count();
    if !is_main || lines <= LONGEST_MAIN {
        return Vec::new();
    }
    vec![Finding::new(&file.path, lines, format!("a service's main has at most {LONGEST_MAIN} lines"))]
}

fn impure_domain(file: &File) -> Vec<Finding> {
    if !is_domain(file) {
        return Vec::new();
    }
    let code = code_only(&file.text);
    let found = OUTSIDE.iter().flat_map(|name| lines_with(&code, name).into_iter().map(move |line| (line, name)));
    found.map(|(line, name)| Finding::new(&file.path, line, format!("a domain knows nothing of {name}"))).collect()
}

fn is_domain(file: &File) -> bool {
    let Some((service, rest)) = file.in_service() else { return false };
    let Some(module) = rest.strip_prefix("src/").and_then(|rest| rest.strip_suffix(".rs")) else { return false };
    let is_outer = OUTER.contains(&module) || module.starts_with("api") || module.contains('/');
    !is_outer && ![COMPOSITION, PAGES].contains(&service)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<File> = files.iter().map(|(path, text)| File::new(*path, *text)).collect();
        findings(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_service_may_not_depend_on_another() {
        let orders = "[dependencies]\ncommon.workspace = true\n[dev-dependencies]\ntickets.workspace = true";
        let found = messages(&[("services/orders/Cargo.toml", orders), ("services/tickets/Cargo.toml", "")]);
        assert_eq!(found, ["services/orders/Cargo.toml:1: a service may not depend on the service tickets"]);
    }

    #[test]
    fn renaming_or_a_platform_does_not_hide_a_dependency() {
        let orders = "[target.'cfg(unix)'.dependencies]\nshop = { package = \"tickets\", path = \"../tickets\" }";
        let found = messages(&[("services/orders/Cargo.toml", orders), ("services/tickets/Cargo.toml", "")]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn only_the_composition_may_know_services() {
        let docket = "[dependencies]\ntickets.workspace = true";
        let tickets = "[dependencies]\ndocket.workspace = true";
        let found = messages(&[("services/docket/Cargo.toml", docket), ("services/tickets/Cargo.toml", tickets)]);
        assert_eq!(found, ["services/tickets/Cargo.toml:1: a service may not depend on the service docket"]);
    }

    #[test]
    fn only_the_store_calls_the_driver_of_the_database() {
        let manifest = "[dependencies]\nmongodb.workspace = true";
        let code = "/// Says mongodb.\nuse mongodb::Client;\nlet uri = settings.mongodb_uri;";
        let found = messages(&[
            ("services/orders/Cargo.toml", manifest),
            ("common/src/mail/letters.rs", code),
            ("common/src/store/database.rs", code),
            ("tests/Cargo.toml", manifest),
        ]);
        let said = "only common/src/store/ calls mongodb: its calls have limits";
        assert_eq!(
            found,
            [format!("services/orders/Cargo.toml:1: {said}"), format!("common/src/mail/letters.rs:2: {said}")]
        );
    }

    #[test]
    fn a_main_is_short() {
        let long = "\n".repeat(13);
        let found = messages(&[("services/orders/src/main.rs", &long), ("services/docket/src/main.rs", &long)]);
        assert_eq!(found, ["services/orders/src/main.rs:13: a service's main has at most 12 lines"]);
    }

    #[test]
    fn a_domain_knows_neither_http_nor_the_database() {
        let found = messages(&[("services/orders/src/order.rs", "use common::Money;\nuse actix_web::web;")]);
        assert_eq!(found, ["services/orders/src/order.rs:2: a domain knows nothing of actix_web"]);
    }

    #[test]
    fn outer_modules_know_the_outside() {
        let text = "use actix_web::web;\nuse mongodb::Client;";
        for module in
            ["lib.rs", "api.rs", "api/holds.rs", "api_admin.rs", "problems.rs", "store.rs", "store/holds.rs", "jobs.rs"]
        {
            assert!(messages(&[(&format!("services/orders/src/{module}"), text)]).is_empty(), "{module}");
        }
    }
}
