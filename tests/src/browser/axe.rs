//! Accessibility, judged by axe-core.

use std::fmt;
use std::sync::OnceLock;

use serde_json::Value;

use super::Page;

/// A rule of axe-core that a page breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule, such as `image-alt`.
    pub rule: String,
    /// `serious` or `critical`.
    pub impact: String,
    /// What is asked for, in words.
    pub help: String,
    /// Selectors of the elements that break it.
    pub selectors: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.rule, self.impact, self.help)?;
        self.selectors.iter().try_for_each(|selector| write!(f, "\n    {selector}"))
    }
}

/// Only what is serious or critical, and not the whole DOM of it.
const RUN: &str = "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, impact, help, nodes }) => ({ id, impact, help, nodes: nodes.map(({ target }) => target.flat().join(' ')) })))";

/// The script of axe-core; `cargo xtask test` finds it among the packages of the pages.
fn source() -> &'static str {
    static SOURCE: OnceLock<String> = OnceLock::new();
    SOURCE.get_or_init(|| {
        let path = std::env::var("DOCKET_TEST_AXE").expect("DOCKET_TEST_AXE is not set: run `cargo xtask test`");
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    })
}

impl Page {
    /// The rules that the page as it is now breaks seriously or critically. It needs JavaScript.
    ///
    /// # Panics
    /// If axe-core cannot be run.
    pub async fn axe(&self) -> Vec<Violation> {
        if self.script("typeof axe").await == "undefined" {
            // Its last value cannot be copied out of the page.
            self.script(&format!("{}\n;0", source())).await;
        }
        let found = self.script(RUN).await;
        found.as_array().expect("axe-core answers with a list").iter().map(violation).collect()
    }

    /// Checks that it breaks none.
    ///
    /// # Panics
    /// If it does.
    pub async fn expect_accessible(&self) {
        let violations = self.axe().await;
        let list: Vec<String> = violations.iter().map(|violation| format!("\n  {violation}")).collect();
        assert!(violations.is_empty(), "{} is not accessible:{}", self.path().await, list.concat());
    }
}

fn violation(found: &Value) -> Violation {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Violation {
        rule: text(&found["id"]),
        impact: text(&found["impact"]),
        help: text(&found["help"]),
        selectors: found["nodes"].as_array().into_iter().flatten().map(text).collect(),
    }
}
