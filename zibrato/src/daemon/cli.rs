//! The command line: flag, then `ZIBRATO_…` variable, then configuration file, then default.
//!
//! Each long flag of a daemon gets a variable named after the program and the flag (`--flush` of
//! `zibrato-carbon` is `ZIBRATO_CARBON_FLUSH`) and a key of the same name as the flag in the TOML
//! file that `--config` names. The file is read into arguments that stand before those of the
//! command line, so that one parser checks all of them.

use super::exit::{Exit, Failure};
use super::logging::{LogFormat, init_logging};
use super::stderr;
use super::stdout::stdout_failure;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Args, Command, Parser};
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// The largest configuration file that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The flags that every daemon has.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
pub struct CommonFlags {
    /// Read flags from this TOML file; its keys are the long flags without the dashes
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Check flags, variables and file, say whether they are fine, and exit
    #[arg(long)]
    pub check: bool,

    /// Log lines of this level and above: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,

    /// How log lines are written
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    pub log_format: LogFormat,
}

impl CommonFlags {
    /// Sends log lines to standard error, as the flags want it. Does nothing if the process
    /// already logs somewhere.
    ///
    /// # Errors
    /// [`Failure`] with 78 when `--log-level` is no filter.
    pub fn init_logging(&self) -> Result<(), Failure> {
        let wrong = |why| Failure::new(Exit::Config, format!("--log-level: {why}"));
        init_logging(&self.log_level, self.log_format).map_err(wrong)
    }
}

/// Reads the command line, the variables and the configuration file of a program.
///
/// # Errors
/// How to exit, after help, version or what is wrong has been printed.
pub(super) fn parse<T: Parser>() -> Result<T, Exit> {
    let variable = |name: &str| std::env::var_os(name);
    let wrong = match parse_from::<T>(std::env::args_os().collect(), variable) {
        Ok(flags) => return Ok(flags),
        Err(wrong) => wrong,
    };
    let failure = match wrong {
        Wrong::Clap(error) if error.use_stderr() => {
            tell(&error);
            return Err(Exit::Usage);
        }
        // Help and version.
        Wrong::Clap(error) => {
            let printed = error.print().and_then(|()| io::stdout().flush());
            match printed.or_else(stdout_failure) {
                Ok(()) => return Err(Exit::Fine),
                Err(failure) => failure,
            }
        }
        Wrong::Config(message) => Failure::new(Exit::Config, message),
    };
    failure.report(T::command().get_name());
    Err(failure.exit)
}

/// Writes what is wrong with a command line on standard error, in colours if that is a terminal.
fn tell(error: &clap::Error) {
    if io::stderr().is_terminal() {
        // Where else could one tell of it?
        error.print().ok();
    } else {
        stderr::put(error.to_string().as_bytes());
    }
}

/// What may be wrong before a daemon starts.
#[derive(Debug)]
enum Wrong {
    Clap(clap::Error),
    Config(String),
}

fn parse_from<T: Parser>(
    args: Vec<OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<T, Wrong> {
    let mut command = with_variables(T::command()).args_override_self(true);
    let file = config_file(&command, &args, &variable);
    let mut whole = args.clone();
    if let Some(file) = &file {
        let keys = read_keys(file)?;
        let from_file = keys_to_args(&command, file, keys, &variable)?;
        let first = whole.len().min(1);
        whole.splice(first..first, from_file);
    }
    let matches = command.try_get_matches_from_mut(whole);
    let parsed = matches.and_then(|matches| T::from_arg_matches(&matches));
    parsed.map_err(|error| blame(&mut command, &args, file.as_deref(), &variable, error))
}

/// Says which variable or which key of the file has a wrong value. The parser knows flags only, and
/// nobody looks for a mistake in one that was not given.
fn blame(
    command: &mut Command,
    args: &[OsString],
    file: Option<&Path>,
    variable: &impl Fn(&str) -> Option<OsString>,
    error: clap::Error,
) -> Wrong {
    let Some((shown, flag)) = flag_with_wrong_value(&error) else { return Wrong::Clap(error) };
    let alone = command.try_get_matches_from_mut(args).err();
    let is_wrong_alone = alone.is_some_and(|alone| {
        flag_with_wrong_value(&alone).is_some_and(|(_, wrong_alone)| wrong_alone == flag)
    });
    let is_given = || {
        let names = args.iter().filter_map(|arg| arg.to_str()?.strip_prefix("--"));
        names.into_iter().any(|name| name.split('=').next() == Some(&*flag))
    };
    let origin = match file {
        Some(file) if !is_wrong_alone => format!("{}: {flag}", file.display()),
        _ if is_given() => return Wrong::Clap(error),
        _ => {
            let arg = command.get_arguments().find(|arg| arg.get_long() == Some(&*flag));
            let name = arg.and_then(Arg::get_env).and_then(OsStr::to_str);
            match name.filter(|name| variable(name).is_some()) {
                Some(name) => name.to_owned(),
                None => return Wrong::Clap(error),
            }
        }
    };
    let text = error.to_string();
    let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let what = what.replace(&format!(" for '{shown}'"), "");
    Wrong::Config(format!("{origin}: {}", what.split_whitespace().collect::<Vec<_>>().join(" ")))
}

/// The flag whose value is wrong, if that is what the error is about: as it is shown, and its name
/// without the dashes.
fn flag_with_wrong_value(error: &clap::Error) -> Option<(String, String)> {
    if !matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation) {
        return None;
    }
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return None };
    let flag = shown.split(' ').next()?.strip_prefix("--")?;
    Some((shown.clone(), flag.to_owned()))
}

/// Gives each long flag its variable, and takes `-1` for a value, which may be wrong but is no flag.
/// The flags of a daemon with subcommands may stand before and after the word.
fn with_variables(command: Command) -> Command {
    let prefix = variable_name(command.get_name());
    let global = command.has_subcommands();
    command.mut_args(|arg| match arg.get_long() {
        Some(long) if !matches!(long, "help" | "version") => {
            let name = format!("{prefix}_{}", variable_name(long));
            let takes_values = arg.get_action().takes_values();
            let arg = arg.env(name).hide_env_values(true).global(global);
            arg.allow_negative_numbers(takes_values)
        }
        _ => arg,
    })
}

fn variable_name(text: &str) -> String {
    text.replace('-', "_").to_uppercase()
}

/// The file that `--config` or its variable names. Everything else that may be wrong with the
/// command line is left to the real parse.
fn config_file(
    command: &Command,
    args: &[OsString],
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    let mut from_flag = None;
    let mut rest = args.iter().skip(1);
    while let Some(arg) = rest.next() {
        if arg == "--config" {
            from_flag = rest.next().cloned();
        } else if let Some(file) = arg.to_str().and_then(|arg| arg.strip_prefix("--config=")) {
            from_flag = Some(OsString::from(file));
        }
    }
    let name = command.get_arguments().find(|arg| arg.get_long() == Some("config"))?.get_env()?;
    from_flag.or_else(|| variable(name.to_str()?)).map(PathBuf::from)
}

fn read_keys(file: &Path) -> Result<toml::Table, Wrong> {
    let wrong = |why: String| Wrong::Config(format!("{}: {why}", file.display()));
    let length = std::fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
    if length > MAX_CONFIG_BYTES {
        return Err(wrong(format!("is larger than {MAX_CONFIG_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    parse_keys(&text).map_err(wrong)
}

fn parse_keys(text: &str) -> Result<toml::Table, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let what = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        format!("line {line}: {what}")
    })
}

/// Checks the text of a configuration file, for the fuzz target.
///
/// # Errors
/// What is wrong with it, in one line.
#[doc(hidden)]
pub fn check_configuration<T: Parser>(text: &str) -> Result<(), String> {
    let mut command = with_variables(T::command()).args_override_self(true);
    let keys = parse_keys(text)?;
    let args = keys_to_args(&command, Path::new("file"), keys, &|_: &str| None);
    let args = args.map_err(|wrong| match wrong {
        Wrong::Config(message) => message,
        Wrong::Clap(error) => error.kind().to_string(),
    })?;
    let program = OsString::from(command.get_name());
    let matches = command.try_get_matches_from_mut(std::iter::once(program).chain(args));
    matches.map(drop).map_err(|error| error.kind().to_string())
}

/// Turns the keys into arguments, leaving out those whose variable is set.
fn keys_to_args(
    command: &Command,
    file: &Path,
    keys: toml::Table,
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<OsString>, Wrong> {
    let mut args = Vec::new();
    for (key, value) in keys {
        let wrong = |why: &str| Wrong::Config(format!("{}: {key}: {why}", file.display()));
        let known = |arg: &&Arg| {
            arg.get_long() == Some(&key) && !matches!(&*key, "config" | "help" | "version")
        };
        let arg = command.get_arguments().find(known).ok_or_else(|| {
            wrong("no such key; the keys are the long flags of --help, without the dashes")
        })?;
        let overruled = arg.get_env().and_then(OsStr::to_str).and_then(variable);
        if overruled.is_some() {
            continue;
        }
        let is_switch = matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse);
        let text = match value {
            toml::Value::Boolean(on) if is_switch => {
                if on {
                    args.push(format!("--{key}").into());
                }
                continue;
            }
            _ if is_switch => return Err(wrong("takes true or false")),
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Array(items) => {
                let texts: Option<Vec<_>> = items.iter().map(toml::Value::as_str).collect();
                texts.ok_or_else(|| wrong("takes a text or a list of texts"))?.join(",")
            }
            toml::Value::Boolean(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => {
                return Err(wrong("takes a text, a number or a list of texts"));
            }
        };
        args.push(format!("--{key}={text}").into());
    }
    Ok(args)
}

#[cfg(test)]
mod tests;
