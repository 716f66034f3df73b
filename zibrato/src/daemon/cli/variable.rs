//! Variables and flags: whether they are given.

use clap::Arg;
use std::ffi::OsString;

/// Reads a variable: from the environment, except in tests.
pub(super) type Variable<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// The variable of a flag, if it is set.
pub(super) fn set_variable(arg: &Arg, variable: &Variable<'_>) -> Option<String> {
    let name = arg.get_env()?.to_str()?;
    variable(name).map(|_| name.to_owned())
}

/// Whether a flag is on a command line.
pub(super) fn is_given(args: &[OsString], long: &str) -> bool {
    let mut names = args.iter().filter_map(|arg| arg.to_str()?.strip_prefix("--"));
    names.any(|name| name.split('=').next() == Some(long))
}

/// The part of a variable's name for a program or a flag.
pub(super) fn variable_name(text: &str) -> String {
    text.replace('-', "_").to_uppercase()
}

/// Errors before a daemon starts.
#[derive(Debug)]
pub(super) enum Wrong {
    Clap(clap::Error),
    Config(String),
}
