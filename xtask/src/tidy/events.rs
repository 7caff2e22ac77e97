//! Every version of an event has a committed schema and a fixture that must still decode.

use std::collections::BTreeSet;

use super::Finding;
use super::files::File;

const SCHEMAS: &str = "common/schemas/";
const FIXTURES: &str = "common/fixtures/";

pub(super) fn findings(files: &[File]) -> Vec<Finding> {
    let (schemas, fixtures) = (below(SCHEMAS, files), below(FIXTURES, files));
    let misplaced = schemas.union(&fixtures).filter(|path| !is_version(path)).map(|path| misplaced(path));
    let no_fixture = schemas.difference(&fixtures).map(|path| lacks(SCHEMAS, path, "fixture"));
    let no_schema = fixtures.difference(&schemas).map(|path| lacks(FIXTURES, path, "schema"));
    misplaced.chain(no_fixture).chain(no_schema).collect()
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
}
