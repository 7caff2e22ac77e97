//! Every version of an event has a committed schema and a fixture that must still decode, and what is read from another build
//! has no closed enums: `common::open_enum!` declares them.

use std::collections::BTreeSet;

use super::Finding;
use super::code::{code_only, lines_with};
use super::files::File;

const SCHEMAS: &str = "common/schemas/";
const FIXTURES: &str = "common/fixtures/";

/// Where types are read from what another build has written: events, and the answers of the APIs.
const READ_FROM_OTHERS: [&str; 2] = ["common/src/events/", "services/web/src/"];

pub(super) fn findings(files: &[File]) -> Vec<Finding> {
    let (schemas, fixtures) = (below(SCHEMAS, files), below(FIXTURES, files));
    let misplaced = schemas.union(&fixtures).filter(|path| !is_version(path)).map(|path| misplaced(path));
    let no_fixture = schemas.difference(&fixtures).map(|path| lacks(SCHEMAS, path, "fixture"));
    let no_schema = fixtures.difference(&schemas).map(|path| lacks(FIXTURES, path, "schema"));
    misplaced.chain(no_fixture).chain(no_schema).chain(files.iter().flat_map(closed_enums)).collect()
}

/// Enums that derive `Deserialize`, and so break at a value that a newer build brings.
fn closed_enums(file: &File) -> Vec<Finding> {
    if !file.is_rust() || !READ_FROM_OTHERS.iter().any(|folder| file.path.starts_with(folder)) {
        return Vec::new();
    }
    let code = code_only(&file.text);
    let lines: Vec<&str> = code.lines().collect();
    let derives = |number: &usize| {
        let before = lines[..number - 1].iter().rev().take_while(|line| !line.trim_end().ends_with(['}', ';', '{']));
        before.into_iter().any(|line| line.contains("Deserialize"))
    };
    let closed = lines_with(&code, "enum").into_iter().filter(derives);
    closed
        .map(|line| Finding::new(&file.path, line, "declare it with `open_enum!`, so that newer values are kept"))
        .collect()
}

fn below<'a>(folder: &str, files: &'a [File]) -> BTreeSet<&'a str> {
    files.iter().filter_map(|file| file.path.strip_prefix(folder)).filter(|path| path.ends_with(".json")).collect()
}

/// `<domain>/<event>/<version>.json`
fn is_version(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts[..], [_, _, version] if version.trim_end_matches(".json").parse::<u32>().is_ok())
}

fn misplaced(path: &str) -> Finding {
    Finding::new(path, 1, "schemas and fixtures are named <domain>/<event>/<version>.json")
}

fn lacks(folder: &str, path: &str, what: &str) -> Finding {
    Finding::new(&format!("{folder}{path}"), 1, format!("this version of an event has no {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(paths: &[&str]) -> Vec<String> {
        let files: Vec<File> = paths.iter().map(|path| File::new(*path, "{}")).collect();
        findings(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_schema_and_its_fixture_belong_together() {
        assert!(
            messages(&["common/schemas/orders/created/1.json", "common/fixtures/orders/created/1.json"]).is_empty()
        );
    }

    #[test]
    fn one_without_the_other_is_found() {
        let found = messages(&["common/schemas/orders/created/2.json", "common/fixtures/orders/created/1.json"]);
        assert_eq!(
            found,
            [
                "common/schemas/orders/created/2.json:1: this version of an event has no fixture",
                "common/fixtures/orders/created/1.json:1: this version of an event has no schema",
            ]
        );
    }

    #[test]
    fn a_file_elsewhere_is_found() {
        let found = messages(&["common/schemas/orders.json", "common/fixtures/orders.json"]);
        assert_eq!(found, ["orders.json:1: schemas and fixtures are named <domain>/<event>/<version>.json"]);
    }

    #[test]
    fn a_closed_enum_in_what_others_write_is_found() {
        let closed =
            "use serde::Deserialize;\n\n/// A colour.\n#[derive(Debug, Deserialize)]\npub enum Colour {\n    Red,\n}\n";
        let found =
            |path: &str, text: &str| findings(&[File::new(path, text)]).iter().map(|f| f.line).collect::<Vec<_>>();
        assert_eq!(found("common/src/events/orders.rs", closed), [5]);
        assert_eq!(found("services/web/src/model.rs", closed), [5]);
        assert!(found("services/orders/src/order.rs", closed).is_empty());
        let open = "#[derive(Deserialize)]\nstruct A {\n    b: C,\n}\n\nopen_enum! {\n    pub enum C {\n        D = \"d\",\n    }\n}\n";
        let plain = "use serde::Deserialize;\n#[derive(Debug)]\nenum Sent {\n    Name,\n}\n";
        assert!(found("services/web/src/model.rs", open).is_empty());
        assert!(found("services/web/src/pages/a.rs", plain).is_empty());
    }
}
