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
