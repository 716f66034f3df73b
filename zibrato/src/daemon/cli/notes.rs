//! Warnings about probable mistakes, with which a program can still run. They are logged at its
//! start and reported by `--check`.

use super::variable::{is_given, variable_name};
use crate::daemon::nearest::nearest;
use clap::Command;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// Common levels, to which others are compared.
const COMMON_LEVELS: [&str; 16] = [
    "alert", "audit", "crit", "critical", "debug", "emerg", "err", "error", "fatal", "info",
    "notice", "trace", "verbose", "warn", "warning", "zibrato",
];

/// A probable mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Note {
    /// A variable for the state folder, ignored because its path is relative.
    Ignored { variable: &'static str, value: String },
    /// A level that differs from a common one only in case, or that contains several levels.
    Level { level: String, why: String },
    /// A file with a secret that other users can read. Some systems give secrets to programs so, and
    /// only `--check` reports it.
    Readable { flag: String, file: PathBuf },
    /// A secret on the command line.
    Secret { flag: String, instead: String },
    /// A variable that is named after the program but belongs to no flag.
    Variable { variable: String, nearest: Option<String> },
}

impl Note {
    pub(in super::super) const fn is_variable(&self) -> bool {
        matches!(self, Self::Ignored { .. } | Self::Variable { .. })
    }

    /// Logs it.
    pub(in super::super) fn log(&self) {
        match self {
            Self::Ignored { variable, value } => {
                tracing::warn!(event = "variable_ignored", variable, value, why = NOT_ABSOLUTE);
            }
            Self::Level { level, why } => {
                tracing::warn!(event = "doubtful_level", level, why);
            }
            Self::Readable { .. } => {}
            Self::Secret { flag, instead } => {
                let why = "every user of this machine can read a command line";
                tracing::warn!(event = "secret_on_command_line", flag, why, instead);
            }
            Self::Variable { variable, nearest } => {
                let why = "no flag has this variable";
                tracing::warn!(event = "unknown_variable", variable, nearest, why);
            }
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignored { variable, value } => {
                write!(f, "{variable}={value} is ignored: {NOT_ABSOLUTE}")
            }
            Self::Level { level, why } => write!(f, "level `{level}`: {why}"),
            Self::Readable { flag, file } => {
                let file = file.display();
                write!(
                    f,
                    "every user of this machine can read {file}, which contains the secret of {flag}; \
                     chmod o= {file}"
                )
            }
            Self::Secret { flag, instead } => write!(
                f,
                "{flag} is given on the command line, which every user of this machine can read; \
                 use {instead}"
            ),
            Self::Variable { variable, nearest: Some(nearest) } => {
                write!(f, "{variable}: no flag has this variable; did you mean {nearest}?")
            }
            Self::Variable { variable, nearest: None } => {
                write!(f, "{variable}: no flag has this variable; --help lists the variables")
            }
        }
    }
}

const NOT_ABSOLUTE: &str = "it must be an absolute path";

/// The variables for the state folder that are ignored because their path is relative.
pub(super) fn ignored(variable: impl Fn(&str) -> Option<OsString>) -> Vec<Note> {
    let ignored = |variable: &'static str, value: OsString| {
        let is_relative = !value.is_empty() && Path::new(&value).is_relative();
        let value = value.to_string_lossy().into_owned();
        is_relative.then_some(Note::Ignored { variable, value })
    };
    let names = ["STATE_DIRECTORY", "XDG_STATE_HOME"];
    names.into_iter().filter_map(|name| ignored(name, variable(name)?)).collect()
}

/// Environment variables that are named after the program, but belong to none of its flags.
pub(super) fn unknown_variables(
    command: &Command,
    names: impl IntoIterator<Item = OsString>,
) -> Vec<Note> {
    let name = variable_name(command.get_name());
    let prefix = format!("{name}_");
    let known: Vec<_> = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str()).collect();
    // `ZIBRATO_CARBON` alone is meant for a flag that is named like the program, `--carbon`.
    let last = name.rsplit('_').next().unwrap_or_default();
    let is_short = |given: &str| given == name && known.contains(&&*format!("{prefix}{last}"));
    let names = names.into_iter().map(|name| name.to_string_lossy().into_owned());
    let ours = names.filter(|name| name.starts_with(&prefix) || is_short(name));
    let unknown = ours.filter(|name| !known.contains(&&**name) && !is_service_link(name));
    let mut notes: Vec<_> = unknown
        .map(|variable| {
            let rest = variable.strip_prefix(&prefix).unwrap_or(last);
            let words = known.iter().filter_map(|name| name.strip_prefix(&prefix));
            let nearest = nearest(rest, words).map(|rest| format!("{prefix}{rest}"));
            Note::Variable { variable, nearest }
        })
        .collect();
    notes.sort_by_key(ToString::to_string);
    notes
}

/// Whether Kubernetes sets a variable of this name for a service with the name of the program:
/// `…_SERVICE_HOST`, `…_SERVICE_PORT_…`, `…_PORT_5550_TCP_…`.
fn is_service_link(name: &str) -> bool {
    let has_port = |rest: &str| {
        let (port, protocol) = rest.split_once('_').unwrap_or((rest, ""));
        port.parse::<u16>().is_ok()
            && ["TCP", "UDP", "SCTP"].iter().any(|p| protocol.starts_with(p))
    };
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.split("_PORT_").skip(1).any(has_port)
}

/// Secrets on the command line. `raw` is the command without variables; flags for secrets hide
/// their values in it.
pub(super) fn secrets(raw: &Command, args: &[OsString]) -> Vec<Note> {
    let prefix = variable_name(raw.get_name());
    let flags = raw.get_arguments().filter_map(|arg| Some((arg, arg.get_long()?)));
    let given = flags.filter(|(arg, long)| {
        let value = value_of(args, long).unwrap_or_default();
        let is_secret = arg.is_hide_env_values_set() && !value.is_empty();
        is_given(args, long) && (is_secret || value.starts_with("secret:"))
    });
    let has = |long: &str| raw.get_arguments().any(|arg| arg.get_long() == Some(long));
    given
        .map(|(_, long)| {
            let name = format!("{prefix}_{}", variable_name(long));
            let file = format!("{long}-file");
            let instead = if has(&file) {
                format!("--{file} or {name}")
            } else {
                "the file that contains it".into()
            };
            Note::Secret { flag: format!("--{long}"), instead }
        })
        .collect()
}

fn value_of(args: &[OsString], long: &str) -> Option<String> {
    let flag = format!("--{long}");
    let at = args
        .iter()
        .rposition(|arg| arg.to_str().is_some_and(|arg| arg.split('=').next() == Some(&*flag)))?;
    match args[at].to_string_lossy().split_once('=') {
        Some((_, value)) => Some(value.to_owned()),
        None => args.get(at + 1).map(|value| value.to_string_lossy().into_owned()),
    }
}

/// Levels that are probably mistakes.
pub(in super::super) fn doubtful_levels(levels: &[String]) -> Vec<Note> {
    let doubt = |level: &String| {
        let common = COMMON_LEVELS.iter().find(|common| common.eq_ignore_ascii_case(level));
        let why = match common {
            Some(common) if common != level => {
                format!(
                    "differs from the common level `{common}` only in case; levels are \
                         case-sensitive"
                )
            }
            _ if level.contains(';') => "contains a `;`; separate levels by commas".into(),
            _ if level.contains(char::is_whitespace) => {
                "contains a space; separate levels by commas".into()
            }
            _ => return None,
        };
        Some(Note::Level { level: level.clone(), why })
    };
    levels.iter().filter_map(doubt).collect()
}

#[cfg(test)]
mod tests {
    use super::{Note, doubtful_levels, ignored, secrets, unknown_variables};
    use clap::{Arg, ArgAction, Command};
    use std::ffi::OsString;

    fn command() -> Command {
        let flag = |name: &'static str| Arg::new(name).long(name);
        let env = |name: &'static str, env: &'static str| flag(name).env(env);
        Command::new("zibrato-demo")
            .arg(env("flush", "ZIBRATO_DEMO_FLUSH"))
            .arg(env("token", "ZIBRATO_DEMO_TOKEN").hide_env_values(true))
            .arg(env("token-file", "ZIBRATO_DEMO_TOKEN_FILE"))
            .arg(env("curve-key", "ZIBRATO_DEMO_CURVE_KEY"))
            .arg(env("live", "ZIBRATO_DEMO_LIVE").action(ArgAction::SetTrue))
    }

    #[test]
    fn a_variable_without_a_flag_is_reported_with_the_nearest_one() {
        for (name, expected) in [
            ("ZIBRATO_DEMO_FLSH", Some(Some("ZIBRATO_DEMO_FLUSH"))),
            ("ZIBRATO_DEMO_TOKENFILE", Some(Some("ZIBRATO_DEMO_TOKEN_FILE"))),
            ("ZIBRATO_DEMO_COLOUR", Some(None)),
            ("ZIBRATO_DEMO_FLUSH", None),
            ("ZIBRATO_DEMO", None),
            ("ZIBRATO_OTHER_FLSH", None),
            // Kubernetes sets them for a service called zibrato-demo.
            ("ZIBRATO_DEMO_SERVICE_HOST", None),
            ("ZIBRATO_DEMO_SERVICE_PORT_HTTP", None),
            ("ZIBRATO_DEMO_PORT_5550_TCP_ADDR", None),
        ] {
            let notes = unknown_variables(&command(), [OsString::from(name)]);
            let expected = expected.map(|nearest| Note::Variable {
                variable: name.to_owned(),
                nearest: nearest.map(str::to_owned),
            });
            assert_eq!(notes, Vec::from_iter(expected), "{name}");
        }
        let with_flag = command().arg(Arg::new("demo").long("demo").env("ZIBRATO_DEMO_DEMO"));
        let [note] = &*unknown_variables(&with_flag, [OsString::from("ZIBRATO_DEMO")]) else {
            panic!("expected one note");
        };
        let expected = "ZIBRATO_DEMO: no flag has this variable; did you mean ZIBRATO_DEMO_DEMO?";
        assert_eq!(note.to_string(), expected);
    }

    #[test]
    fn a_relative_path_for_state_is_reported() {
        let notes = |name: &str, value: &str| {
            ignored(|asked| (asked == name).then(|| OsString::from(value)))
        };
        for (name, value, is_told) in [
            ("STATE_DIRECTORY", "state", true),
            ("STATE_DIRECTORY", "/s:t", false),
            ("STATE_DIRECTORY", "", false),
            ("XDG_STATE_HOME", "./x", true),
            ("XDG_STATE_HOME", "/x", false),
        ] {
            let said: Vec<_> = notes(name, value).iter().map(ToString::to_string).collect();
            let expected = format!("{name}={value} is ignored: it must be an absolute path");
            assert_eq!(said, Vec::from_iter(is_told.then_some(expected)));
        }
    }

    #[test]
    fn a_secret_on_the_command_line_is_reported_and_never_shown() {
        for (args, flag) in [
            (&["--token", "hunter2"][..], Some("--token")),
            (&["--token=hunter2"], Some("--token")),
            (&["--curve-key", "secret:hunter2"], Some("--curve-key")),
            (&["--curve-key", "hunter2.key"], None),
            (&["--token-file", "hunter2"], None),
            (&["--token", ""], None),
            (&[], None),
        ] {
            let args: Vec<_> = ["zibrato-demo"].iter().chain(args).map(OsString::from).collect();
            let notes = secrets(&command(), &args);
            let said = notes.first().map(ToString::to_string);
            assert_eq!(said.is_some(), flag.is_some(), "{args:?}");
            if let Some((said, flag)) = said.zip(flag) {
                assert!(said.starts_with(flag) && !said.contains("hunter2"), "{said}");
            }
        }
    }

    #[test]
    fn doubtful_levels_are_reported() {
        for (level, part) in [
            ("INFO", Some("`info` only in case")),
            ("Crit", Some("`crit` only in case")),
            ("info;warn", Some("`;`")),
            ("info warn", Some("space")),
            ("info", None),
            ("billing", None),
            ("*", None),
        ] {
            let notes = doubtful_levels(&[level.to_owned()]);
            let said = notes.first().map(ToString::to_string).unwrap_or_default();
            assert_eq!(notes.len(), usize::from(part.is_some()), "{level}");
            assert!(said.contains(part.unwrap_or_default()), "{said}");
        }
    }
}
