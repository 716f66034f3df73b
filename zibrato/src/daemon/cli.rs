//! The command line: flag, then `ZIBRATO_…` variable, then configuration file, then default.
//!
//! Each long flag of a daemon gets a variable named after the program and the flag (`--flush` of
//! `zibrato-carbon` is `ZIBRATO_CARBON_FLUSH`) and a key of the same name as the flag in the TOML
//! file that `--config` names. The file is read into arguments that stand before those of the
//! command line, so that one parser checks all of them.

use super::exit::{Exit, Failure};
use super::logging::LogFormat;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Args, Command, Parser};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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

/// Reads the command line, the variables and the configuration file of a daemon.
///
/// # Errors
/// The code to exit with, after help, version or what is wrong has been printed.
pub fn parse<T: Parser>() -> Result<T, ExitCode> {
    let program = T::command().get_name().to_owned();
    let variable = |name: &str| std::env::var_os(name);
    match parse_from::<T>(std::env::args_os().collect(), variable) {
        Ok(flags) => Ok(flags),
        Err(Wrong::Clap(error)) => {
            // Nothing more can be said when stdout or stderr is closed.
            drop(error.print());
            Err(match error.kind() {
                ErrorKind::DisplayHelp
                | ErrorKind::DisplayVersion
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Exit::Fine.into(),
                _ => Exit::Usage.into(),
            })
        }
        Err(Wrong::Config(message)) => Err(Failure::new(Exit::Config, message).report(&program)),
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
    let command = with_variables(T::command()).args_override_self(true);
    let file = config_file(&command, &args, &variable);
    let args = match file {
        Some(file) => {
            let keys = read_keys(&file)?;
            let mut from_file = keys_to_args(&command, &file, keys, &variable)?;
            let mut all = args.into_iter();
            let mut whole: Vec<_> = all.next().into_iter().collect();
            whole.append(&mut from_file);
            whole.extend(all);
            whole
        }
        None => args,
    };
    let matches = command.try_get_matches_from(args).map_err(Wrong::Clap)?;
    T::from_arg_matches(&matches).map_err(Wrong::Clap)
}

/// Gives each long flag its variable, and takes `-1` for a value, which may be wrong but is no flag.
fn with_variables(command: Command) -> Command {
    let prefix = variable_name(command.get_name());
    command.mut_args(|arg| match arg.get_long() {
        Some(long) if !matches!(long, "help" | "version") => {
            let name = format!("{prefix}_{}", variable_name(long));
            let takes_values = arg.get_action().takes_values();
            arg.env(name).hide_env_values(true).allow_negative_numbers(takes_values)
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
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        wrong(format!("line {line}: {}", error.message()))
    })
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
