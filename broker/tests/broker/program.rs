//! The program: its output and exit codes.

use crate::harness::{Bench, DEADLINE};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

pub(crate) fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zibrato-broker"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Where journals go that are given no folder: each test runs in a process of its own.
    let state = format!("{}/state-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    command.env_remove("STATE_DIRECTORY").env("XDG_STATE_HOME", state);
    // The free space on a test machine does not matter.
    command.env("ZIBRATO_BROKER_JOURNAL_MIN_FREE", "0");
    command
}

pub(crate) fn ended(args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = program(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A program that is killed if the test fails.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn wrong_flags_end_it_with_a_line_that_says_what_to_do() {
    for (args, code, part) in [
        (&["--port", "70000"][..], 64, "70000"),
        (&["--port", "65534"], 64, "65534"),
        (&["--prot", "1"], 64, "--prot"),
        (&["--http", "x"], 64, "off"),
        (&["--host", "0.0.0.0"], 78, "--insecure"),
        (&["--host", "host.invalid."], 78, "not known"),
        (&["--http", "0.0.0.0:1"], 78, "--insecure"),
        (&["--metricsd", "0.0.0.0:0"], 78, "--metricsd 0.0.0.0:0 can be reached"),
        (&["--statsd", "dogstatsd://[::]:0"], 78, "--statsd [::]:0 can be reached"),
        (&["--statsd", "127.0.0.1:0", "--statsd-level", "zibrato"], 64, "zibrato is reserved"),
        (&["--collectd", "127.0.0.1:0", "--collectd-level", "zibrato"], 64, "zibrato is reserved"),
        (&["--metricsd", "127.0.0.1:0", "--metricsd-level", "zibrato"], 64, "zibrato is reserved"),
        (&["--config", "/nowhere.toml"], 78, "/nowhere.toml"),
        (&["--log-level", "a=b=c", "--check"], 78, "--log-level"),
        (&["--log-level", "inof", "--check"], 78, "give error, warn, info"),
    ] {
        let (found, stdout, stderr) = ended(args);
        assert_eq!(found, code, "{args:?}: {stderr}");
        assert!(stderr.contains(part) && stdout.is_empty(), "{args:?}: {stderr}");
    }
}

#[test]
fn a_folder_without_a_journal_is_not_called_whole() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("notes.txt"), "text").unwrap();
    let places = [folder.to_owned(), folder.join("nowhere"), folder.join("notes.txt")];
    for (place, what) in places.iter().flat_map(|at| ["info", "verify", "dump"].map(|w| (at, w))) {
        let (code, stdout, stderr) =
            ended(&["journal", what, "--journal", place.to_str().unwrap()]);
        assert_eq!((code, &*stdout), (78, ""), "{what}: {stderr}");
        let expected = format!(
            "zibrato-broker: there is no journal in {}; give the folder of one with --journal\n",
            place.display()
        );
        assert_eq!(stderr, expected, "{what}");
    }
}

#[test]
fn the_help_of_each_subcommand_shows_examples_of_it() {
    for what in [
        "bucky-config",
        "cursors",
        "cursors list",
        "cursors reset",
        "cursors delete",
        "journal",
        "journal info",
        "journal dump",
        "journal verify",
        "keygen",
    ] {
        let args: Vec<_> = what.split(' ').chain(["--help"]).collect();
        let (code, stdout, _) = ended(&args);
        let example = format!("Examples:\n  zibrato-broker {what}");
        assert!(code == 0 && stdout.contains(&example), "{what}: {stdout}");
        // Help texts of flags for a broker that starts.
        for part in ["listen on", "Listen in", "takes any", "Encrypt, with"] {
            assert!(!stdout.contains(part), "{what}: {part}: {stdout}");
        }
    }
}

#[test]
fn keys_that_cannot_be_told_of_on_stdout_are_named_on_stderr() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("keys");
    let mut keygen = program(&["keygen", "--name", "web-1", "--out", out.to_str().unwrap()]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = keygen.stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(74), "{stderr}");
    for part in ["stdout", "keys/web-1.key", "keys/web-1.pub"] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert!(out.join("web-1.key").exists() && out.join("web-1.pub").exists());
}

#[test]
fn a_port_in_use_ends_it_with_one_line_that_names_the_port() {
    let bench = Bench::start();
    let port = bench.broker.port().to_string();
    let (code, _, stderr) = ended(&["--port", &port, "--http", "off"]);
    assert_eq!(code, 69, "{stderr}");
    assert!(stderr.contains(&format!("port {port}")) && stderr.contains("--port"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn another_port_of_the_broker_is_recognized_by_cursors() {
    let bench = Bench::start();
    let base = bench.broker.port();
    for (place, does) in [
        (1, "publishes"),
        (2, "serves the journal"),
        (3, "serves publishers of Python Zibrato 0.2"),
    ] {
        let wrong = base + place;
        let (code, _, stderr) = ended(&["cursors", "list", "--port", &wrong.to_string()]);
        let advice =
            format!("the broker {does} on port {wrong}: give --port {base} instead of {wrong}");
        assert!(code == 69 && stderr.contains(&advice), "{stderr}");
    }
}

#[test]
fn check_help_and_version_start_nothing() {
    // The default ports may be in use.
    let ports = ["--port", "0", "--http", "127.0.0.1:0"];
    let (code, stdout, _) = ended(&[&["--check", "--host", "localhost"], &ports[..]].concat());
    assert_eq!((code, &*stdout), (0, "The configuration is valid\n"));
    let (code, stdout, _) = ended(&["--help"]);
    assert!(code == 0 && stdout.contains("Examples:") && stdout.contains("--high-water-mark"));
    let (code, stdout, _) = ended(&["--version"]);
    assert_eq!((code, stdout), (0, format!("zibrato-broker {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn flags_can_stand_in_a_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "host = '0.0.0.0'").unwrap();
    let path = file.path().to_str().unwrap();
    let (code, _, stderr) = ended(&["--config", path, "--check"]);
    assert!(code == 78 && stderr.contains("0.0.0.0"), "{stderr}");
    let ports = ["--port", "0", "--http", "127.0.0.1:0"];
    let args = ["--config", path, "--check", "--host", "127.0.0.1"];
    let (code, ..) = ended(&[&args[..], &ports].concat());
    assert_eq!(code, 0);
}

#[test]
fn a_wrong_variable_or_key_is_named() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "port = 70000").unwrap();
    let path = file.path().to_str().unwrap();
    let with = |variables: &[(&str, &str)], args: &[&str]| {
        let output = program(args).envs(variables.iter().copied()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (port, config) = (("ZIBRATO_BROKER_PORT", "abc"), ("ZIBRATO_BROKER_CONFIG", path));
    let insecure = ("ZIBRATO_BROKER_INSECURE", "yes");
    for (variables, args, code, part) in [
        (&[port][..], &[][..], 78, "ZIBRATO_BROKER_PORT: invalid value 'abc'"),
        (&[port, config], &[], 78, "ZIBRATO_BROKER_PORT: invalid value 'abc'"),
        (
            &[insecure],
            &[],
            78,
            "ZIBRATO_BROKER_INSECURE: invalid value 'yes': expected true or false",
        ),
        (&[config], &[], 78, &format!("{path}: port: invalid value '70000'")),
        (&[], &["--config", path], 78, &format!("{path}: port: invalid value '70000'")),
        (&[], &["--config", path, "--port", "0"], 78, &format!("{path}: port: ")),
        (&[port], &["--port", "def"], 64, "'def' for '--port <PORT>'"),
        (&[port], &["--port=def"], 64, "'def' for '--port <PORT>'"),
    ] {
        let (found, stderr) = with(variables, &[args, &["--check"]].concat());
        assert_eq!(found, code, "{variables:?} {args:?}: {stderr}");
        assert!(stderr.contains(part), "{variables:?} {args:?}: {stderr}");
        assert!(code == 64 || stderr.lines().count() == 1, "{stderr}");
    }
}

#[test]
fn term_ends_it_cleanly_and_the_log_says_what_it_did() {
    let child = program(&["--port", "0", "--http", "off", "--log-format", "json"]).spawn().unwrap();
    let mut running = Running(child);
    let mut log = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let line = log.next().unwrap().unwrap();
    assert!(line.contains("\"event\":\"journal_opened\""), "{line}");
    let line = log.next().unwrap().unwrap();
    assert!(line.contains("\"event\":\"listening\""), "{line}");
    let after = line.split("\"publishers\":\"").nth(1).unwrap();
    let endpoint = after.split('"').next().unwrap();
    let context = zmq::Context::new();
    let push = context.socket(zmq::PUSH).unwrap();
    push.connect(endpoint).unwrap();
    push.send("info|c|n|1|1|s", 0).unwrap();
    // A connection alone means nothing: messages sent before TERM are accepted during the drain.
    let connected = Instant::now();
    while push.poll(zmq::POLLOUT, 0).unwrap() == 0 {
        assert!(connected.elapsed() < DEADLINE);
    }
    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let rest: Vec<_> = log.map_while(Result::ok).collect();
    assert_eq!(running.0.wait().unwrap().code(), Some(0), "{rest:?}");
    let last = rest.last().unwrap();
    assert!(last.contains("\"event\":\"stopped\""), "{rest:?}");
}

#[test]
fn the_log_says_who_sent_what_is_dropped_and_shows_it_at_a_bounded_rate() {
    let child = program(&["--port", "0", "--http", "off", "--settle", "0"]).spawn().unwrap();
    let mut running = Running(child);
    let mut log = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let line = log.find(|line| line.as_ref().is_ok_and(|line| line.contains("listening")));
    let line = line.unwrap().unwrap();
    let endpoint = line.split("publishers=\"").nth(1).unwrap().split('"').next().unwrap();
    let context = zmq::Context::new();
    let push = context.socket(zmq::PUSH).unwrap();
    push.connect(endpoint).unwrap();
    // In one message, so that both are acknowledged at the same time.
    for _ in 0..1_000 {
        push.send(&b"info|c|\xff\ninfo|c|nonsense"[..], 0).unwrap();
    }
    let mut dropped: Vec<String> = Vec::new();
    let is_of = |line: &String, reason: &str| line.contains(&format!("reason=\"{reason}\""));
    while !dropped.iter().any(|line| is_of(line, "fields")) {
        let line = log.next().unwrap().unwrap();
        dropped.extend(line.contains("event=\"dropped\"").then_some(line));
    }
    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    dropped.extend(log.map_while(Result::ok).filter(|line| line.contains("event=\"dropped\"")));
    for (reason, sample) in [("fields", "info|c|nonsense"), ("encoding", r"info|c|\\xff")] {
        let shown = [format!("sample=\"{sample}\""), "peer=\"127.0.0.1\"".to_owned()];
        let lines: Vec<_> = dropped.iter().filter(|line| is_of(line, reason)).collect();
        assert_eq!(lines.len(), 1, "{dropped:?}");
        assert!(shown.iter().all(|part| lines[0].contains(part)), "{dropped:?}");
    }
}

#[test]
fn the_log_says_how_many_batches_are_lost_only_when_that_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().to_str().unwrap();
    let args = ["--port", "0", "--http", "off", "--keep-levels", "*", "--journal-min-free", "0"];
    let child = program(&[&args[..], &["--journal", journal]].concat()).spawn().unwrap();
    let mut running = Running(child);
    let mut log = BufReader::new(running.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut lost = || log.find(|line| line.contains("segments_lost")).unwrap();
    // The last segment and its bytes, once the broker's own numbers have come into it twice: they come
    // every second, and the first are safe then.
    let grown = || {
        let (begun, mut seen) = (Instant::now(), Vec::<(PathBuf, u64)>::new());
        while seen.len() < 3 {
            assert!(begun.elapsed() < DEADLINE, "{seen:?}");
            let files = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
            let last = files.filter(|path| path.extension().is_some_and(|e| e == "zbj")).max();
            let bytes = last.as_ref().map_or(0, |path| fs::metadata(path).unwrap().len());
            if bytes > seen.last().map_or(0, |(_, bytes)| *bytes) {
                seen.extend(last.map(|path| (path, bytes)));
            }
            std::thread::yield_now();
        }
        seen.remove(0).0
    };
    let first = grown();
    fs::File::options().write(true).open(&first).unwrap().set_len(10).unwrap();
    let line = lost();
    assert!(line.contains("files=1") && !line.contains("batches="), "{line}");
    fs::remove_file(&first).unwrap();
    let line = lost();
    assert!(line.contains("files=1") && line.contains("batches="), "{line}");
}
