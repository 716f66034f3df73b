//! The origins of flags that are not given on the command line.

use super::file::File;
use super::variable::{Variable, is_given, set_variable};
use clap::{Arg, Command};
use std::ffi::OsString;

/// Flags that were not given on the command line, and their origins.
#[derive(Debug, Default)]
pub(in super::super) struct Origins(Vec<(String, String)>);

impl Origins {
    pub(super) fn new(
        command: &Command,
        args: &[OsString],
        file: &File,
        variable: &Variable<'_>,
    ) -> Self {
        let origin = |arg: &Arg| {
            let long = arg.get_long().filter(|long| !is_given(args, long))?;
            let from_variable = set_variable(arg, variable);
            let from_file = || Some(file.gives(long)?.display().to_string());
            Some((format!("--{long}"), from_variable.or_else(from_file)?))
        };
        Self(command.get_arguments().filter_map(origin).collect())
    }

    /// Adds to a message the origins of the flags that it names, if they are not given on the
    /// command line.
    pub(in super::super) fn explain(&self, message: &str) -> String {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let words: Vec<_> = message.split(|c| !is_name(c)).collect();
        let named = self.0.iter().filter(|(flag, _)| words.contains(&&**flag));
        let said: Vec<_> =
            named.map(|(flag, origin)| format!("{flag} is set by {origin}")).collect();
        if said.is_empty() {
            message.to_owned()
        } else {
            format!("{message} ({})", said.join(", "))
        }
    }
}
