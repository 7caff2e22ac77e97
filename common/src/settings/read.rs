//! Reading flags and variables. A value that cannot be read is left out and read past, so that all that is wrong is told in one
//! answer.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, FromArgMatches, Id};

use super::SettingsError;

/// Reads this process's flags and variables for a command line of which [`super::Settings`] are a part, and tells all that is
/// wrong. There is nothing to go on with if the command line itself cannot be understood; else what is wrong has its default.
/// `--help` and `--version` print and exit.
pub fn read_from_env<C: CommandFactory + FromArgMatches>() -> (Option<C>, SettingsError) {
    read(without_empty_variables(C::command()), std::env::args_os().collect())
}

/// The same of these `arguments`, with the variables of `command`.
pub(super) fn read<C: CommandFactory + FromArgMatches>(
    mut command: Command,
    mut arguments: Vec<OsString>,
) -> (Option<C>, SettingsError) {
    // Not `command` itself, which may have lost its variables.
    let known = C::command();
    let mut wrong = SettingsError::default();
    loop {
        let matches = command.clone().try_get_matches_from(&arguments);
        let error = match matches.and_then(|matches| C::from_arg_matches(&matches)) {
            Ok(read) => return (Some(read), wrong),
            Err(error) => error,
        };
        let Some(blamed) = blamed(&known, &error).filter(|blamed| !wrong.is_about(blamed.variable)) else {
            wrong.add("", plain(&error));
            return (None, wrong);
        };
        wrong.add(blamed.variable, blamed.explained(&error));
        command = command.mut_arg(blamed.id.clone(), |arg| arg.env(None));
        arguments = without(&arguments, blamed.long);
    }
}

/// A variable with nothing but white space in it is as good as none.
fn without_empty_variables(command: Command) -> Command {
    command.mut_args(|arg| {
        let blank = |value: OsString| value.to_str().is_some_and(|value| value.trim().is_empty());
        let empty = arg.get_env().and_then(std::env::var_os).is_some_and(blank);
        if empty { arg.env(None) } else { arg }
    })
}

/// A setting whose value cannot be read.
struct Blamed<'c> {
    id: &'c Id,
    /// Its flag, without the dashes.
    long: &'c str,
    variable: &'c str,
}

fn blamed<'c>(known: &'c Command, error: &clap::Error) -> Option<Blamed<'c>> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        error.exit();
    }
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let long = flag.split_whitespace().next()?.strip_prefix("--")?;
    let arg = known.get_arguments().find(|arg| arg.get_long() == Some(long))?;
    Some(Blamed { id: arg.get_id(), long: arg.get_long()?, variable: arg.get_env().and_then(OsStr::to_str)? })
}

impl Blamed<'_> {
    /// Says the same as clap, but names the variable: who set it in a manifest has never seen the flag.
    fn explained(&self, error: &clap::Error) -> String {
        let reason = std::error::Error::source(error).map_or_else(|| first_line(error), ToString::to_string);
        format!("{} (--{}): {reason}", self.variable, self.long)
    }
}

fn plain(error: &clap::Error) -> String {
    error.to_string().trim_start_matches("error: ").trim_end().to_owned()
}

fn first_line(error: &clap::Error) -> String {
    plain(error).lines().next().unwrap_or_default().to_owned()
}

fn without(arguments: &[OsString], long: &str) -> Vec<OsString> {
    let (flag, begins) = (format!("--{long}"), format!("--{long}="));
    let mut left = Vec::new();
    let mut given = arguments.iter();
    while let Some(argument) = given.next() {
        if *argument == *flag {
            given.next();
        } else if !argument.to_str().is_some_and(|argument| argument.starts_with(&begins)) {
            left.push(argument.clone());
        }
    }
    left
}
