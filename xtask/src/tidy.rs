//! The repository's own rules, which no compiler knows.

mod code;
mod events;
pub(crate) mod files;
mod layers;
mod text;

use std::fmt;
use std::path::Path;

use crate::Result;
use files::File;

/// One place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Finding { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Holds every rule against every file, and prints what is found.
pub(crate) fn tidy() -> Result {
    let files = files::read(Path::new("."))?;
    let findings = findings(&files);
    findings.iter().for_each(|finding| eprintln!("{finding}"));
    eprintln!("{} files looked at", files.len());
    if findings.is_empty() { Ok(()) } else { Err(format!("{} findings", findings.len()).into()) }
}

fn findings(files: &[File]) -> Vec<Finding> {
    let rules = [text::findings, layers::findings, events::findings];
    rules.iter().flat_map(|rule| rule(files)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_like_a_compiler_message() {
        assert_eq!(Finding::new("src/lib.rs", 3, "too long").to_string(), "src/lib.rs:3: too long");
    }

    #[test]
    fn every_rule_is_held_against_the_files() {
        let files = [
            File::new("a.rs", "todo!()"),
            File::new("services/orders/src/order.rs", "use mongodb::Client;"),
            File::new("common/fixtures/orders/order_created/1.json", "{}"),
        ];
        assert_eq!(findings(&files).len(), 3);
    }
}
