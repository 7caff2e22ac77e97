//! What is wrong with the settings.

use std::fmt;

/// Settings are wrong; each text names its variable and says what would be right.
#[derive(Debug, Default)]
pub struct SettingsError {
    wrong: Vec<Wrong>,
}

#[derive(Debug)]
struct Wrong {
    /// Empty if the command line itself cannot be understood.
    variable: String,
    text: String,
}

impl SettingsError {
    /// A setting that a process cannot do without is missing.
    pub(crate) fn missing(variable: &str) -> Self {
        let mut missing = Self::default();
        missing.tell(variable, "is not set");
        missing
    }

    /// Tells what is wrong with a variable, unless something about it is told already: what came of its default says nothing.
    pub fn tell(&mut self, variable: &str, reason: impl fmt::Display) {
        if !self.is_about(variable) {
            self.add(variable, format!("{variable}: {reason}"));
        }
    }

    /// Tells what another one tells too.
    pub fn tell_all(&mut self, others: Self) {
        let new = others.wrong.into_iter().filter(|wrong| !self.is_about(&wrong.variable));
        let new: Vec<Wrong> = new.collect();
        self.wrong.extend(new);
    }

    /// All that is wrong, each by its variable.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.wrong.iter().map(|wrong| wrong.text.as_str())
    }

    /// Nothing is wrong, or this is.
    ///
    /// # Errors
    /// What was told.
    pub fn into_result(self) -> Result<(), Self> {
        if self.wrong.is_empty() { Ok(()) } else { Err(self) }
    }

    pub(super) fn add(&mut self, variable: &str, text: String) {
        self.wrong.push(Wrong { variable: variable.to_owned(), text });
    }

    pub(super) fn is_about(&self, variable: &str) -> bool {
        self.wrong.iter().any(|wrong| wrong.variable == variable)
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = self.wrong.as_slice() {
            return f.write_str(&one.text);
        }
        write!(f, "{} settings are wrong:", self.wrong.len())?;
        self.wrong.iter().try_for_each(|wrong| write!(f, "\n  {}", wrong.text))
    }
}

impl std::error::Error for SettingsError {}
