//! Flags take precedence over variables, the file and defaults, in this order; unknown keys are
//! errors.

use super::{
    CommonFlags, FileFormat, Note, Origins, Wrong, parse_from, with_subcommand_flags,
    with_variables,
};
use crate::daemon::whole_number;
use clap::{Command, CommandFactory, Parser};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

const TOML: FileFormat = FileFormat { default: None, to_toml: |_, text| Ok(text) };

#[derive(Debug, Parser)]
#[command(name = "zibrato-demo")]
struct Demo {
    #[arg(long, default_value_t = 60, value_parser = whole_number::<u64>("a whole number", 1..))]
    flush: u64,
    #[arg(long, value_delimiter = ',', default_value = "info")]
    levels: Vec<String>,
    #[arg(long)]
    insecure: bool,
    #[arg(long)]
    handler: Vec<String>,
    #[arg(long, hide_env_values = true)]
    token: Option<String>,
    #[arg(long)]
    token_file: Option<String>,
    #[command(flatten)]
    common: CommonFlags,
}

fn parse(args: &[&str], variables: &[(&str, &str)]) -> Result<Demo, Wrong> {
    parse_with_origins(args, variables).map(|(demo, _)| demo)
}

fn parse_with_origins(args: &[&str], variables: &[(&str, &str)]) -> Result<(Demo, Origins), Wrong> {
    parse_with_notes(args, variables).map(|(demo, origins, _)| (demo, origins))
}

fn parse_with_notes(
    args: &[&str],
    variables: &[(&str, &str)],
) -> Result<(Demo, Origins, Vec<Note>), Wrong> {
    let args = std::iter::once("zibrato-demo").chain(args.iter().copied()).map(OsString::from);
    parse_from(with_variables(Demo::command()), args.collect(), TOML, &|name: &str| {
        variables.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value))
    })
}

fn file(text: &str) -> (tempfile::NamedTempFile, String) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (file, path)
}

#[test]
fn flags_and_variables_take_precedence_over_the_file() {
    let (_keep, path) =
        file("flush = 10\nlevels = ['a', 'b']\ninsecure = true\nlog-level = 'warn'");
    let demo = parse(&["--config", &path], &[]).unwrap();
    assert_eq!((demo.flush, demo.levels.len(), demo.insecure), (10, 2, true));
    assert_eq!(demo.common.log_level, "warn");
    assert_eq!(parse(&[&format!("--config={path}"), "--flush", "5"], &[]).unwrap().flush, 5);
    // The variables of the process cannot be set here, but the test sees that the file's key is
    // omitted.
    let variables = [("ZIBRATO_DEMO_FLUSH", "7"), ("ZIBRATO_DEMO_CONFIG", &*path)];
    let demo = parse(&[], &variables).unwrap();
    assert_eq!((demo.flush, demo.levels.len()), (60, 2));
}

#[test]
fn a_second_file_is_refused_and_not_ignored() {
    let (_keep, path) = file("flush = 10");
    for args in [["--config", &*path, "--config", &path], ["--flush=1", "--config", &path, "-x"]] {
        let is_twice = |wrong: &Wrong| matches!(wrong, Wrong::Config(why) if why.contains("once"));
        assert_eq!(parse(&args, &[]).as_ref().is_err_and(is_twice), args[0] == "--config");
    }
}

#[test]
fn a_repeated_flag_is_a_list_in_the_file_and_the_command_line_replaces_it() {
    let (_keep, path) = file("handler = ['a{1,2}=1', '-b']");
    assert_eq!(parse(&["--config", &path], &[]).unwrap().handler, ["a{1,2}=1", "-b"]);
    let args = ["--config", &path, "--handler", "c", "--handler=d"];
    assert_eq!(parse(&args, &[]).unwrap().handler, ["c", "d"]);
    let (_keep, path) = file("handler = 'a,b'");
    assert_eq!(parse(&["--config", &path], &[]).unwrap().handler, ["a,b"]);
}

#[test]
fn errors_in_the_file_name_the_file_and_the_key() {
    for (text, part) in [
        ("flsh = 1", "flsh: no such key; did you mean `flush`? (line 1)"),
        ("colour = 1", "colour: no such key; the keys are the long flags"),
        ("[worker]\nflush = 1", "worker: no such key; the file has no sections"),
        ("[flush]\nlevels = 'a'", "flush: the file has no sections, all keys are at the top level"),
        ("\nflush = true", "flush: expected a number (FLUSH), found a boolean (line 2)"),
        ("flush = [1]", "flush: expected a number (FLUSH), found an array"),
        ("insecure = 1", "insecure: expected true or false, found an integer"),
        (
            "levels = [1]",
            "levels: expected a list of strings; put each item in quotes: levels = [\"…",
        ),
        ("levels = 1979-05-27", "levels: expected a string (LEVELS), found a datetime"),
        (
            "log-format = true",
            "log-format: expected one of the strings json, text, found a boolean",
        ),
        ("\nflush = ", "flush: expected a number (FLUSH): "),
        ("levels = 'a'\nlevels = 'b'", "levels: duplicate key (line 2)"),
        ("levels = info", "levels: expected a string (LEVELS) in quotes: levels = \"…\" (line 1)"),
        (
            "levels = [info, warn]",
            "levels: put each string in quotes: levels = [\"…\", \"…\"] (line 1)",
        ),
        (
            "\nlevels = ['info', warn]",
            "levels: put each string in quotes: levels = [\"…\", \"…\"] (line 2)",
        ),
        ("levels = [info, a b]", "levels: expected a string (LEVELS): "),
        ("flush = 1O", "flush: expected a number (FLUSH): "),
        ("flush = 1\nflush = 2", "flush: duplicate key (line 2)"),
        ("config = 'x'", "config: no such key"),
        (
            "flush = 'soon'",
            "flush: invalid value 'soon': expected a whole number, at least 1 (line 1)",
        ),
        ("log-format = 'jsn'", "log-format: invalid value 'jsn' [possible values: json, text]"),
    ] {
        let (_keep, path) = file(text);
        let Err(Wrong::Config(message)) = parse(&["--config", &path], &[]) else {
            panic!("{text}: accepted")
        };
        assert!(message.starts_with(&path) && message.contains(part), "{message}");
    }
    let Err(Wrong::Config(message)) = parse(&["--config", "/nowhere/x.toml"], &[]) else {
        panic!("accepted")
    };
    assert!(message.starts_with("--config /nowhere/x.toml: No such file"), "{message}");
    let (_keep, path) = file("flush = 10");
    let wrong = parse(&["--config", &path, "--flush", "soon"], &[]);
    assert!(matches!(wrong, Err(Wrong::Clap(_))));
}

#[test]
fn no_error_about_the_file_shows_a_value_that_may_be_a_secret() {
    for text in [
        "levels = hunter2",
        "levels = [hunter2, hunter2]",
        "levels = \"hunter2",
        "levels = \"hunter2\" x",
        "levels = 0hunter2",
        "levels = { hunter2 = 1",
        "levels hunter2",
        "levels: hunter2",
        "levels = \"\\hunter2\"",
    ] {
        let (_keep, path) = file(text);
        let Err(Wrong::Config(message)) = parse(&["--config", &path], &[]) else {
            panic!("{text}: accepted")
        };
        assert!(!message.contains("unter2"), "{message}");
    }
}

#[test]
fn a_negative_number_is_a_value_and_not_a_flag() {
    let Err(Wrong::Clap(error)) = parse(&["--flush", "-1"], &[]) else { panic!("accepted") };
    let message = error.to_string();
    assert!(message.contains("invalid value '-1' for '--flush <FLUSH>'"), "{message}");
}

/// A daemon with subcommands.
#[derive(Debug, Parser)]
#[command(name = "zibrato-more")]
struct More {
    #[command(subcommand)]
    action: Option<Action>,
    #[arg(long, default_value_t = 60)]
    flush: u64,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Clone, PartialEq, clap::Subcommand)]
enum Action {
    Drop {
        files: Vec<String>,
        #[arg(long)]
        all: bool,
    },
    Run,
}

#[test]
fn flags_can_be_given_before_and_after_a_subcommand() {
    let (_keep, path) = file("flush = 10");
    let command = with_subcommand_flags(with_variables(More::command()), &used, &helped);
    let parse = |args: &[&str]| {
        let args = std::iter::once("zibrato-more").chain(args.iter().copied()).map(OsString::from);
        let (more, ..) =
            parse_from::<More>(command.clone(), args.collect(), TOML, &|_: &str| None).unwrap();
        (more.action, more.flush, more.common.check)
    };
    let drop = || Some(Action::Drop { files: vec!["a".to_owned()], all: false });
    for (args, expected) in [
        (&[][..], (None, 60, false)),
        (&["run"], (Some(Action::Run), 60, false)),
        (&["run", "--flush", "5", "--check"], (Some(Action::Run), 5, true)),
        (&["--flush", "5", "--check", "run"], (Some(Action::Run), 5, true)),
        (&["--config", &path], (None, 10, false)),
        (&["--config", &path, "run"], (Some(Action::Run), 10, false)),
        (&["run", "--config", &path], (Some(Action::Run), 10, false)),
        (&["run", "--config", &path, "--flush", "5"], (Some(Action::Run), 5, false)),
        (&["--flush", "5", "drop", "a"], (drop(), 5, false)),
        (&["drop", "a", "--flush=5"], (drop(), 5, false)),
        (&["drop", "--config", &path, "a"], (drop(), 10, false)),
    ] {
        assert_eq!(parse(args), expected, "{args:?}");
    }
}

fn used(path: &str) -> Option<Vec<String>> {
    (path == "drop").then(|| vec!["flush".to_owned()])
}

fn helped(path: &str, command: Command) -> Command {
    if path != "drop" {
        return command;
    }
    command.mut_arg("flush", |flag| flag.help("Of the dropped")).after_help("Examples of drop")
}

#[test]
fn the_help_of_a_subcommand_lists_the_flags_that_it_uses() {
    let mut command = with_subcommand_flags(with_variables(More::command()), &used, &helped);
    let mut help = |args: &[&str]| {
        let args = ["zibrato-more"].iter().chain(args);
        command.try_get_matches_from_mut(args).unwrap_err().to_string()
    };
    let drop = help(&["drop", "--help"]);
    assert!(drop.contains("--flush") && drop.contains("--all"), "{drop}");
    assert!(drop.contains("Of the dropped") && drop.contains("Examples of drop"), "{drop}");
    assert!(!drop.contains("--config") && !drop.contains("--log-level"), "{drop}");
    for all in [help(&["run", "--help"]), help(&["--help"])] {
        assert!(!all.contains("Of the dropped"), "{all}");
        assert!(all.contains("--flush") && all.contains("--log-level"), "{all}");
    }
}

#[test]
fn a_message_names_the_origins_of_flags() {
    let (_keep, path) = file("log-level = 'warn'\nflush = 5");
    // The variables of the process cannot be set here, but a closure says which are set.
    let variables = [("ZIBRATO_DEMO_LEVELS", "a")];
    let args = ["--config", &*path, "--flush", "7"];
    let (_, origins) = parse_with_origins(&args, &variables).unwrap();
    let expected = format!("--log-level: no (--log-level is set by {path})");
    assert_eq!(origins.explain("--log-level: no"), expected);
    let expected = "give --levels (--levels is set by ZIBRATO_DEMO_LEVELS)";
    assert_eq!(origins.explain("give --levels"), expected);
    for message in ["--flush: no", "--level: no", "--levels-x", "none"] {
        assert_eq!(origins.explain(message), message);
    }
}

#[test]
fn a_secret_in_a_file_that_everybody_can_read_is_reported() {
    let (secret, path) = file("token = 'hunter2'\nflush = 10");
    let (other, harmless) = file("flush = 10");
    let notes = |args: &[&str]| {
        let (_, _, notes) = parse_with_notes(args, &[]).unwrap();
        notes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for mode in [0o600, 0o640, 0o644] {
        for file in [&secret, &other] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), mode).unwrap();
        }
        let expected = format!(
            "every user of this machine can read {path}, which contains the secret of --token; \
             chmod o= {path}"
        );
        let expected = Vec::from_iter((mode == 0o644).then_some(expected));
        assert_eq!(notes(&["--config", &path]), expected);
        assert_eq!(notes(&["--token-file", &path]), expected);
        assert_eq!(notes(&["--config", &harmless]), [""; 0]);
    }
}
