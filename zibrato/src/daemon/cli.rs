//! The command line: flag, then `ZIBRATO_…` variable, then configuration file, then default.
//!
//! Each long flag of a daemon has a variable named after the program and the flag (`--flush` of
//! `zibrato-carbon` is `ZIBRATO_CARBON_FLUSH`), and a key of the same name in the TOML file of
//! `--config`. The keys of the file become arguments before those of the command line, so one
//! parser checks all of them.

mod file;
mod generate;
mod notes;
mod origins;
mod others;
mod readable;
mod variable;

use super::exit::{Exit, Failure};
use super::logging::LogFormat;
use super::stderr;
use super::stdout::{self, stdout_failure};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Args, Command, Parser};
use file::{File, is_repeatable};
use others::{call_of, with_names, with_whole};
use readable::readable;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use variable::{Variable, Wrong, is_given, set_variable, variable_name};

pub(super) use notes::{Note, doubtful_levels};
pub(super) use origins::Origins;

/// The flags that every daemon has.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
pub struct CommonFlags {
    /// TOML file to read flags from. Its keys are the long flags without the dashes
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Check the configuration and everything that it names (folders, hosts, ports, keys), then exit
    #[arg(long)]
    pub check: bool,

    /// Minimum level of log lines: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,

    /// Format of log lines
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    pub log_format: LogFormat,
}

/// The configuration file of a program.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileFormat {
    /// The one that is read if none is given, and if it exists.
    pub(super) default: Option<&'static str>,
    /// Converts its text to TOML.
    pub(super) to_toml: fn(&Path, String) -> Result<String, String>,
}

/// The parsed command line.
#[derive(Debug)]
pub(super) struct Given<T> {
    pub(super) flags: T,
    pub(super) origins: Origins,
    pub(super) notes: Vec<Note>,
}

/// Reads the command line, the variables and the configuration file of a program.
/// `args` begins with the path of the program. `subcommand_flags` gives the flags that each subcommand
/// uses, and `subcommand_help` changes the help of each. `others` are commands that another program
/// parses.
///
/// # Errors
/// The exit code, after help, the version, a generated text or an error has been printed.
pub(super) fn parse<T: Parser>(
    args: Vec<OsString>,
    format: FileFormat,
    subcommand_flags: &dyn Fn(&str) -> Option<Vec<String>>,
    subcommand_help: &dyn Fn(&str, Command) -> Command,
    others: Vec<Command>,
) -> Result<Given<T>, Exit> {
    let variable = |name: &str| std::env::var_os(name);
    let used = |path: &str| match generate::is_generator(path) {
        true => Some(Vec::new()),
        false => subcommand_flags(path),
    };
    let alone = whole(generate::add_commands(T::command()), &used, subcommand_help);
    let command = with_names(alone.clone(), &others);
    let all = || with_whole(alone, others);
    if let Some(text) = generate::text(T::command, &args, all) {
        let printed = text.or_else(|error| stdout_failure(error).map(|()| Vec::new()));
        let printed = printed.and_then(|text| stdout::print_bytes(&text));
        let Err(failure) = printed else { return Err(Exit::Fine) };
        failure.report(command.get_name());
        return Err(failure.exit);
    }
    let wrong = match parse_from::<T>(command.clone(), args.clone(), format, &variable) {
        Ok((flags, origins, readable)) => {
            let names = std::env::vars_os().map(|(name, _)| name);
            let mut notes = notes::unknown_variables(&command, names);
            notes.extend(readable);
            notes.extend(notes::secrets(&T::command(), &args));
            notes.extend(notes::ignored(variable));
            return Ok(Given { flags, origins, notes });
        }
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
    failure.report(command.get_name());
    Err(failure.exit)
}

/// Writes an error of the command line to standard error, with colours if that is a terminal.
fn tell(error: &clap::Error) {
    if io::stderr().is_terminal() {
        // There is no other place to report a failure.
        error.print().ok();
    } else {
        stderr::put(error.to_string().as_bytes());
    }
}

fn parse_from<T: Parser>(
    mut command: Command,
    args: Vec<OsString>,
    format: FileFormat,
    variable: &Variable<'_>,
) -> Result<(T, Origins, Vec<Note>), Wrong> {
    let path = config_file(&command, &args, variable)?;
    let path = path.or_else(|| format.default.map(PathBuf::from).filter(|path| path.exists()));
    let file =
        path.map(|path| File::read(&command, &path, format.to_toml, variable)).transpose()?;
    let mut file = file.unwrap_or_default();
    // Repeated flags would add up.
    for arg in command.get_arguments().filter(|arg| is_repeatable(arg)) {
        let long = arg.get_long().unwrap_or_default();
        if is_given(&args, long) {
            file.omit(long);
        }
    }
    let mut whole = args.clone();
    let first = whole.len().min(1);
    whole.splice(first..first, file.args.iter().cloned());
    let matches = command.try_get_matches_from_mut(whole);
    let parsed = matches.and_then(|matches| {
        if let Some(name) = call_of(&command, &matches) {
            let program = command.get_name();
            let why = format!("the command {name} must be the first argument: {program} {name} …");
            return Err(command.error(ErrorKind::InvalidSubcommand, why));
        }
        require(&T::command(), &mut command, &matches)?;
        let readable = readable(&T::command(), &matches, &file);
        T::from_arg_matches(&matches).map(|flags| (flags, readable))
    });
    match parsed {
        Ok((flags, readable)) => {
            Ok((flags, Origins::new(&command, &args, &file, variable), readable))
        }
        Err(error) => Err(blame(&mut command, &args, &file, variable, error)),
    }
}

/// Reads the variable of a switch.
fn switch(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("expected true or false (or 1 or 0)"),
    }
}

/// Refuses a command line without a flag that `original` requires. In `command` it is not required,
/// because it may stand before and after a subcommand.
fn require(
    original: &Command,
    command: &mut Command,
    matches: &ArgMatches,
) -> Result<(), clap::Error> {
    let required = original.get_arguments().filter(|arg| arg.is_required_set());
    let missing = required
        .filter(|arg| !arg.is_positional() && !matches.contains_id(arg.get_id().as_str()))
        .find_map(|arg| command.get_arguments().find(|known| known.get_id() == arg.get_id()));
    if let Some(arg) = missing {
        let variable = arg.get_env().unwrap_or_default().display();
        let why = format!("{arg} is required; give it, or set {variable}");
        return Err(command.error(ErrorKind::MissingRequiredArgument, why));
    }
    Ok(())
}

/// Names the variable or the key of the file that has the wrong value. The parser knows only flags,
/// and users do not look for a mistake in a flag that they have not given.
fn blame(
    command: &mut Command,
    args: &[OsString],
    file: &File,
    variable: &Variable<'_>,
    error: clap::Error,
) -> Wrong {
    if error.kind() == ErrorKind::InvalidUtf8
        && let Some(name) = not_unicode(command, variable)
    {
        return Wrong::Config(format!("{name}: invalid UTF-8"));
    }
    let Some((shown, flag)) = flag_with_wrong_value(&error) else { return Wrong::Clap(error) };
    let alone = command.try_get_matches_from_mut(args).err();
    let is_wrong_alone = alone.is_some_and(|alone| {
        flag_with_wrong_value(&alone).is_some_and(|(_, wrong_alone)| wrong_alone == flag)
    });
    let [origin, line] = match file.origin(&flag) {
        Some(origin) if !is_wrong_alone => origin,
        _ if is_given(args, &flag) => return Wrong::Clap(error),
        _ => {
            let arg = command.get_arguments().find(|arg| arg.get_long() == Some(&*flag));
            match arg.and_then(|arg| set_variable(arg, variable)) {
                Some(name) => [name, String::new()],
                None => return Wrong::Clap(error),
            }
        }
    };
    let text = error.to_string();
    let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let what = what.replace(&format!(" for '{shown}'"), "");
    let mut what = what.split_whitespace().collect::<Vec<_>>().join(" ");
    if what.contains("'tcp://") && flag == "port" {
        what += "; Kubernetes sets this variable for a service of that name, unless the pod has \
                 `enableServiceLinks: false`";
    }
    Wrong::Config(format!("{origin}: {what}{line}"))
}

/// The first variable of a flag that is not UTF-8.
fn not_unicode(command: &Command, variable: &Variable<'_>) -> Option<String> {
    let names = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
    let mut wrong =
        names.filter(|name| variable(name).is_some_and(|value| value.to_str().is_none()));
    wrong.next().map(str::to_owned)
}

/// The flag with a wrong value, if the error is about one: as it is displayed, and its name without
/// the dashes.
fn flag_with_wrong_value(error: &clap::Error) -> Option<(String, String)> {
    if !matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation) {
        return None;
    }
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return None };
    let flag = shown.split(' ').next()?.strip_prefix("--")?;
    Some((shown.clone(), flag.to_owned()))
}

/// The command line with the variables of flags, and with the flags of each subcommand.
pub(super) fn whole(
    command: Command,
    used: &dyn Fn(&str) -> Option<Vec<String>>,
    help: &dyn Fn(&str, Command) -> Command,
) -> Command {
    with_subcommand_flags(with_variables(command), used, help)
}

/// Gives each long flag its variable, and parses `-1` as a value, not as a flag. The flags of a
/// daemon with subcommands can be given before and after the subcommand.
fn with_variables(command: Command) -> Command {
    let prefix = variable_name(command.get_name());
    let global = command.has_subcommands();
    command.args_override_self(true).mut_args(|arg| match arg.get_long() {
        Some(long) if !matches!(long, "help" | "version") => {
            let name = format!("{prefix}_{}", variable_name(long));
            let takes_values = arg.get_action().takes_values();
            let required = arg.is_required_set() && !global;
            let arg = arg.env(name).hide_env_values(true).global(global).required(required);
            let arg = if takes_values { arg } else { arg.value_parser(switch) };
            arg.allow_negative_numbers(takes_values)
        }
        _ => arg,
    })
}

/// Gives each subcommand the flags of the program, so that they can also be given after it. Its
/// help lists the flags that `used` names for it, or all; then `help` changes it.
fn with_subcommand_flags(
    command: Command,
    used: &dyn Fn(&str) -> Option<Vec<String>>,
    help: &dyn Fn(&str, Command) -> Command,
) -> Command {
    let flags: Vec<_> =
        command.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    with_flags(command, "", &flags, used, help)
}

fn with_flags(
    mut command: Command,
    path: &str,
    flags: &[Arg],
    used: &dyn Fn(&str) -> Option<Vec<String>>,
    help: &dyn Fn(&str, Command) -> Command,
) -> Command {
    let names: Vec<_> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        let path = format!("{path} {name}").trim_start().to_owned();
        let listed = used(&path);
        let is_listed = |arg: &Arg| {
            listed.as_ref().is_none_or(|used| used.iter().any(|name| arg.get_long() == Some(name)))
        };
        command = command.mut_subcommand(name, |sub| {
            let has = |flag: &&Arg| sub.get_arguments().any(|arg| arg.get_id() == flag.get_id());
            let more: Vec<_> = flags.iter().filter(|flag| !has(flag)).cloned().collect();
            let sub = sub.args(more.into_iter().map(|flag| {
                let is_listed = is_listed(&flag);
                flag.hide(!is_listed)
            }));
            with_flags(help(&path, sub), &path, flags, used, help)
        });
    }
    command
}

/// The file of `--config` or its variable. All other errors of the command line are left to the
/// real parser.
fn config_file(
    command: &Command,
    args: &[OsString],
    variable: &Variable<'_>,
) -> Result<Option<PathBuf>, Wrong> {
    let config = command.get_arguments().find(|arg| arg.get_long() == Some("config"));
    let short = config.and_then(Arg::get_short).map(|short| format!("-{short}"));
    let mut from_flag = None;
    let mut rest = args.iter().skip(1);
    while let Some(arg) = rest.next() {
        let text = arg.to_str().unwrap_or_default();
        let file = if arg == "--config" || short.as_deref() == Some(text) {
            rest.next().cloned()
        } else {
            let attached = || text.strip_prefix(short.as_deref()?);
            text.strip_prefix("--config=").or_else(attached).map(OsString::from)
        };
        if from_flag.is_some() && file.is_some() {
            let why = "--config is given more than once; write all keys into one file";
            return Err(Wrong::Config(why.to_owned()));
        }
        from_flag = from_flag.or(file);
    }
    let name = || config?.get_env()?.to_str();
    Ok(from_flag.or_else(|| variable(name()?)).map(PathBuf::from))
}

/// Checks the text of a configuration file that another program writes.
///
/// # Errors
/// The error of the flag, in one line.
#[doc(hidden)]
pub fn check_configuration<T: Parser>(text: &str) -> Result<(), String> {
    let mut command = with_variables(T::command());
    let file = File::parse(&command, Path::new("file"), text, &|_: &str| None)?;
    let program = OsString::from(command.get_name());
    let matches = command.try_get_matches_from_mut(std::iter::once(program).chain(file.args));
    matches.map(drop).map_err(|error| {
        // The other paragraphs are about help.
        let text = error.to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ")
    })
}

#[cfg(test)]
mod tests;
