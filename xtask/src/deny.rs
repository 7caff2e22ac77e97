//! Licences, bans and sources of the dependencies, as `deny.toml` has them.

use std::fs;
use std::process::Stdio;

use serde::Deserialize;
use spdx::{Expression, ParseMode};

use crate::Result;
use crate::run::{announce, cargo, run};

/// The public registry, as a lock file names it. In two parts, as no file but a lock file may name a registry's host.
const REGISTRY: &str = concat!("registry+https://github.com/rust-lang/crates", ".io-index");

/// `deny.toml`. An entry that is not understood here is an error: nothing in it may be without effect.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    #[expect(dead_code, reason = "see its fields")]
    sources: Sources,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Licenses {
    allow: Vec<String>,
    private: Private,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Private {
    ignore: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bans {
    #[expect(dead_code, reason = "there is one value, and it asks for nothing")]
    multiple_versions: Allow,
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    #[expect(dead_code, reason = "there is one value, and it is what source_fault does")]
    unknown_registry: Deny,
    #[expect(dead_code, reason = "there is one value, and it is what source_fault does")]
    unknown_git: Deny,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Allow {
    Allow,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Deny {
    Deny,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

/// Checks all dependencies, with cargo-deny where it is installed, else with the code below.
pub(crate) fn deny() -> Result {
    eprintln!("note: advisories are not checked, as their database is not at hand offline");
    if has_cargo_deny() {
        return run(cargo(&["deny", "--offline", "check", "licenses", "bans", "sources"]));
    }
    eprintln!("cargo-deny is not installed: licences, bans and sources are checked by xtask itself");
    let rules: Rules = toml::from_str(&fs::read_to_string("deny.toml")?)?;
    let packages = packages(&rules.graph.targets)?;
    let faults = faults(&rules, &packages);
    faults.iter().for_each(|fault| eprintln!("{fault}"));
    eprintln!("{} packages looked at", packages.len());
    if faults.is_empty() { Ok(()) } else { Err(format!("{} faults", faults.len()).into()) }
}

fn has_cargo_deny() -> bool {
    let mut probe = cargo(&["deny", "--version"]);
    probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn packages(targets: &[String]) -> Result<Vec<Package>> {
    let mut command = cargo(&["metadata", "--locked", "--format-version", "1"]);
    command.args(targets.iter().flat_map(|target| ["--filter-platform", target])).stderr(Stdio::inherit());
    let shown = announce(&command);
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{shown}: {}", output.status).into());
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    Ok(metadata.packages)
}

fn faults(rules: &Rules, packages: &[Package]) -> Vec<String> {
    let checks = [licence_fault, ban_fault, source_fault];
    let found = packages.iter().flat_map(|package| checks.iter().filter_map(|check| check(rules, package)));
    found.collect()
}

fn licence_fault(rules: &Rules, package: &Package) -> Option<String> {
    if package.source.is_none() && rules.licenses.private.ignore {
        return None;
    }
    let licence = package.license.as_deref().unwrap_or("none stated");
    let allowed = is_allowed(licence, &rules.licenses.allow);
    (!allowed).then(|| format!("{} {}: licence {licence} is not allowed", package.name, package.version))
}

fn is_allowed(licence: &str, allow: &[String]) -> bool {
    let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else { return false };
    expression.evaluate(|requirement| allow.contains(&requirement.to_string()))
}

fn ban_fault(rules: &Rules, package: &Package) -> Option<String> {
    let ban = rules.bans.deny.iter().find(|ban| ban.name == package.name)?;
    Some(format!("{} {}: banned, as {}", package.name, package.version, ban.reason))
}

fn source_fault(_: &Rules, package: &Package) -> Option<String> {
    let source = package.source.as_deref().filter(|source| *source != REGISTRY)?;
    Some(format!("{} {}: comes from {source}", package.name, package.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        toml::from_str(include_str!("../../deny.toml")).unwrap()
    }

    fn package(name: &str, license: Option<&str>, source: Option<&str>) -> Package {
        let text = |text: &str| text.to_owned();
        Package { name: text(name), version: text("1.0.0"), license: license.map(text), source: source.map(text) }
    }

    fn fault(package: Package) -> Vec<String> {
        faults(&rules(), &[package])
    }

    #[test]
    fn a_choice_of_licences_needs_one_that_is_allowed() {
        assert!(fault(package("a", Some("GPL-3.0-only OR MIT"), Some(REGISTRY))).is_empty());
        assert!(fault(package("a", Some("MIT/Apache-2.0"), Some(REGISTRY))).is_empty());
    }

    #[test]
    fn a_sum_of_licences_needs_all_of_them_allowed() {
        let found = fault(package("a", Some("MIT AND GPL-3.0-only"), Some(REGISTRY)));
        assert_eq!(found, ["a 1.0.0: licence MIT AND GPL-3.0-only is not allowed"]);
    }

    #[test]
    fn a_dependency_without_a_licence_is_a_fault() {
        assert_eq!(fault(package("a", None, Some(REGISTRY))), ["a 1.0.0: licence none stated is not allowed"]);
    }

    #[test]
    fn the_workspace_itself_may_have_any_licence() {
        assert!(fault(package("orders", Some("AGPL-3.0-or-later"), None)).is_empty());
    }

    #[test]
    fn bans_and_foreign_sources_are_faults() {
        let found = fault(package("native-tls", Some("MIT"), Some("git+https://example.com/native-tls")));
        assert_eq!(found[0], "native-tls 1.0.0: banned, as TLS is rustls");
        assert_eq!(found[1], "native-tls 1.0.0: comes from git+https://example.com/native-tls");
    }
}
