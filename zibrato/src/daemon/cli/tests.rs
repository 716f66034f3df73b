//! Flag beats variable beats file beats default, and unknown keys are errors.

use super::{CommonFlags, Wrong, parse_from};
use clap::Parser;
use std::ffi::OsString;
use std::io::Write;

#[derive(Debug, Parser)]
#[command(name = "zibrato-demo")]
struct Demo {
    #[arg(long, default_value_t = 60)]
    flush: u64,
    #[arg(long, value_delimiter = ',', default_value = "info")]
    levels: Vec<String>,
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    common: CommonFlags,
}

fn parse(args: &[&str], variables: &[(&str, &str)]) -> Result<Demo, Wrong> {
    let args = std::iter::once("zibrato-demo").chain(args.iter().copied()).map(OsString::from);
    parse_from(args.collect(), |name| {
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
fn the_file_is_overruled_by_flags_and_by_variables() {
    let (_keep, path) =
        file("flush = 10\nlevels = ['a', 'b']\ninsecure = true\nlog-level = 'warn'");
    let demo = parse(&["--config", &path], &[]).unwrap();
    assert_eq!((demo.flush, demo.levels.len(), demo.insecure), (10, 2, true));
    assert_eq!(demo.common.log_level, "warn");
    assert_eq!(parse(&[&format!("--config={path}"), "--flush", "5"], &[]).unwrap().flush, 5);
    // The process's own variables cannot be set here; that the file's key gives way can be seen.
    let variables = [("ZIBRATO_DEMO_FLUSH", "7"), ("ZIBRATO_DEMO_CONFIG", &*path)];
    let demo = parse(&[], &variables).unwrap();
    assert_eq!((demo.flush, demo.levels.len()), (60, 2));
}

#[test]
fn what_is_wrong_in_the_file_names_the_file_and_the_key() {
    for (text, part) in [
        ("flsh = 1", "flsh: no such key"),
        ("flush = true", "flush: takes a text, a number"),
        ("insecure = 1", "insecure: takes true or false"),
        ("\nflush = ", "line 2: "),
        ("config = 'x'", "config: no such key"),
        ("flush = 'soon'", "flush: invalid value 'soon': invalid digit"),
        ("log-format = 'jsn'", "log-format: invalid value 'jsn' [possible values: json, text]"),
    ] {
        let (_keep, path) = file(text);
        let Err(Wrong::Config(message)) = parse(&["--config", &path], &[]) else {
            panic!("{text}: accepted")
        };
        assert!(message.starts_with(&path) && message.contains(part), "{message}");
    }
    assert!(matches!(parse(&["--config", "/nowhere/x.toml"], &[]), Err(Wrong::Config(_))));
    let (_keep, path) = file("flush = 10");
    let wrong = parse(&["--config", &path, "--flush", "soon"], &[]);
    assert!(matches!(wrong, Err(Wrong::Clap(_))));
}

#[test]
fn a_number_below_zero_is_a_wrong_value_and_not_a_flag() {
    let Err(Wrong::Clap(error)) = parse(&["--flush", "-1"], &[]) else { panic!("accepted") };
    let message = error.to_string();
    assert!(message.contains("invalid value '-1' for '--flush <FLUSH>'"), "{message}");
}

/// A daemon with things to do other than running.
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
fn flags_stand_before_and_after_a_subcommand() {
    let (_keep, path) = file("flush = 10");
    let parse = |args: &[&str]| {
        let args = std::iter::once("zibrato-more").chain(args.iter().copied()).map(OsString::from);
        let more = parse_from::<More>(args.collect(), |_| None).unwrap();
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
