//! The configuration file: TOML, whose keys are the long flags without the dashes.

use super::variable::{Variable, Wrong};
use crate::bounded::read_bounded;
use crate::daemon::nearest::nearest;
use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Command};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::{Spanned, Value};

/// Maximum size of a configuration file.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The parts of a configuration file that are used.
#[derive(Debug, Default)]
pub(super) struct File {
    path: PathBuf,
    /// The keys and their line numbers.
    lines: BTreeMap<String, usize>,
    /// The keys and values, as flags.
    pub(super) args: Vec<OsString>,
}

impl File {
    /// Reads a file and converts its keys to arguments. Keys whose variable is set are omitted.
    pub(super) fn read(
        command: &Command,
        path: &Path,
        to_toml: fn(&Path, String) -> Result<String, String>,
        variable: &Variable<'_>,
    ) -> Result<Self, Wrong> {
        let wrong = |why: String| Wrong::Config(format!("--config {}: {why}", path.display()));
        let read = read_bounded(path, MAX_CONFIG_BYTES);
        let (bytes, _) = read.map_err(|error| wrong(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
        let text = to_toml(path, text).map_err(wrong)?;
        Self::parse(command, path, &text, variable).map_err(Wrong::Config)
    }

    /// Parses the text of a file.
    pub(super) fn parse(
        command: &Command,
        path: &Path,
        text: &str,
        variable: &Variable<'_>,
    ) -> Result<Self, String> {
        let mut file = Self { path: path.to_owned(), ..Self::default() };
        let keys = keys(command, text).map_err(|why| format!("{}: {why}", path.display()))?;
        for (key, value) in keys {
            let line = line_of(text, key.span().start);
            let (key, value) = (key.into_inner(), value.into_inner());
            let wrong = |why: String| format!("{}: {key}: {why} (line {line})", path.display());
            let arg = find(command, &key).ok_or_else(|| wrong(unknown(command, &key, &value)))?;
            if arg.get_env().and_then(OsStr::to_str).and_then(variable).is_none() {
                file.args.extend(to_args(arg, &key, value).map_err(wrong)?);
            }
            file.lines.insert(key, line);
        }
        Ok(file)
    }

    /// Omits the values of a flag that the command line gives.
    pub(super) fn omit(&mut self, key: &str) {
        let start = format!("--{key}=");
        self.args.retain(|arg| arg.to_str().is_none_or(|arg| !arg.starts_with(&start)));
        self.lines.remove(key);
    }

    /// The origin of a flag, if the file sets it: file and key, and a suffix with the line.
    pub(super) fn origin(&self, key: &str) -> Option<[String; 2]> {
        let line = self.lines.get(key)?;
        Some([format!("{}: {key}", self.path.display()), format!(" (line {line})")])
    }

    /// The file, if it sets a flag.
    pub(super) fn gives(&self, key: &str) -> Option<&Path> {
        self.lines.contains_key(key).then_some(&*self.path)
    }
}

fn keys(
    command: &Command,
    text: &str,
) -> Result<BTreeMap<Spanned<String>, Spanned<Value>>, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = line_of(text, at);
        let what = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        // The key whose value cannot be parsed, if the line has one.
        let source = text.lines().nth(line - 1).unwrap_or_default();
        let Some((key, value)) = source.split_once('=') else {
            return format!("{what} (line {line})");
        };
        let (key, value) = (key.trim(), value.trim());
        if what == "duplicate key" {
            return format!("{key}: {what} (line {line})");
        }
        let wanted = find(command, key).map(expected).unwrap_or_default();
        let is_text = wanted.contains("string");
        // The value is not shown: it may be a secret.
        if wanted.is_empty() {
            format!("{key}: {what} (line {line})")
        } else if is_text && value.starts_with(char::is_alphabetic) {
            format!("{key}: expected {wanted} in quotes: {key} = \"…\" (line {line})")
        } else if is_text && is_list_of_words(value) {
            format!("{key}: put each string in quotes: {key} = [\"…\", \"…\"] (line {line})")
        } else {
            format!("{key}: expected {wanted}: {what} (line {line})")
        }
    })
}

/// Whether a text is a list of words, some of them without quotes.
fn is_list_of_words(text: &str) -> bool {
    let Some(items) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
        return false;
    };
    let mut items = items.split(',').map(str::trim).filter(|item| !item.is_empty()).peekable();
    let is_word = |item: &str| {
        let bare = item.trim_matches(['"', '\'']);
        !bare.is_empty() && bare.chars().all(|c| c.is_alphanumeric() || "._-*".contains(c))
    };
    items.peek().is_some() && items.all(is_word)
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

fn is_key(key: &str) -> bool {
    !matches!(key, "config" | "help" | "version")
}

fn find<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(key) && is_key(key))
}

/// The message for an unknown key.
fn unknown(command: &Command, key: &str, value: &Value) -> String {
    if matches!(value, Value::Table(_)) {
        return format!("no such key; {}", no_sections(key));
    }
    let keys = command.get_arguments().filter_map(Arg::get_long).filter(|key| is_key(key));
    match nearest(key, keys) {
        Some(meant) => format!("no such key; did you mean `{meant}`?"),
        None => "no such key; the keys are the long flags of --help, without the dashes".into(),
    }
}

fn no_sections(key: &str) -> String {
    format!("the file has no sections, all keys are at the top level; remove the line `[{key}]`")
}

/// A value as arguments: one, or one for each item of a list if the flag may be repeated.
fn to_args(arg: &Arg, key: &str, value: Value) -> Result<Vec<OsString>, String> {
    let found = value.type_str();
    let wrong = || Err(format!("expected {}, found {}", expected(arg), article(found)));
    let text = match value {
        Value::Boolean(true) if is_switch(arg) => return Ok(vec![format!("--{key}").into()]),
        Value::Boolean(false) if is_switch(arg) => return Ok(Vec::new()),
        Value::Table(_) => return Err(no_sections(key)),
        _ if is_switch(arg) => return wrong(),
        Value::String(text) => text,
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Array(items) if !is_number(arg) => {
            let texts: Option<Vec<_>> = items.iter().map(Value::as_str).collect();
            match texts {
                Some(texts) if is_repeatable(arg) => {
                    return Ok(texts.iter().map(|text| format!("--{key}={text}").into()).collect());
                }
                Some(texts) => texts.join(","),
                None => {
                    return Err(format!(
                        "expected a list of strings; put each item in quotes: {key} = [\"…\", \"…\"]"
                    ));
                }
            }
        }
        _ => return wrong(),
    };
    Ok(vec![format!("--{key}={text}").into()])
}

/// Whether the flag may be given several times, with a value each.
pub(super) fn is_repeatable(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append) && arg.get_value_delimiter().is_none()
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse)
}

fn is_number(arg: &Arg) -> bool {
    let numbers = [
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<f64>(),
        TypeId::of::<Duration>(),
    ];
    let parsed = arg.get_value_parser().type_id();
    numbers.iter().any(|number| parsed == *number)
}

/// The type of a key, and the placeholder of its value in `--help`.
fn expected(arg: &Arg) -> String {
    let choice: Vec<_> = arg.get_possible_values();
    let placeholder = arg.get_value_names().and_then(|names| names.first());
    let placeholder = placeholder.map(|name| format!(" ({name})")).unwrap_or_default();
    if is_switch(arg) {
        "true or false".to_owned()
    } else if !choice.is_empty() {
        let names: Vec<_> = choice.iter().map(PossibleValue::get_name).collect();
        format!("one of the strings {}", names.join(", "))
    } else if is_number(arg) {
        format!("a number{placeholder}")
    } else {
        format!("a string{placeholder}")
    }
}

fn article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}
