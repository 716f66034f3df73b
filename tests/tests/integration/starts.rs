//! A start that fails: its exit code is that of `--check`, and it leaves nothing behind.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use zibrato_tests::{Broker, Running, program};

/// Flags with the credentials for the worker for Librato.
const ACCOUNT: [&str; 4] = ["--username", "a", "--apitoken-file", "token"];

/// Runs a program in its own folder. Returns its code and its standard error.
fn run(command: &mut Command) -> (Option<i32>, String) {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("token"), "tok123\n").unwrap();
    std::fs::write(folder.path().join("bad.key"), "no key\n").unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let (status, _, log) = Running::run(command.current_dir(folder.path()));
    (status.code(), log)
}

/// A program with flags, and with a state folder that may be writable or not.
fn command(name: &str, flags: &[&str], state: &Path) -> Command {
    let mut command = Command::new(program(name));
    command.args(flags).env("STATE_DIRECTORY", state);
    command
}

#[test]
fn a_check_and_a_start_exit_with_the_same_code() {
    let state = TempDir::new().unwrap();
    let journal = state.path().join("used").display().to_string();
    let broker = Broker::start_with(&["--journal", &journal]);
    let base = broker.port().to_string();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let http = taken.local_addr().unwrap().to_string();
    let (fine, bad) = (state.path(), Path::new("/dev/null"));
    let bad_keys = ["--curve-key", "bad.key", "--allowed-keys", "file"];
    let bad_pair = ["--curve-key", "bad.key", "--server-key", "bad.key"];
    let account = |more: &[&'static str]| [&ACCOUNT, more].concat();
    let (at_http, at_port) = (["--port", "0", "--http", &http], ["--port", &base, "--http", "off"]);
    for (name, flags, state, expected) in [
        ("zibrato-broker", &at_port[..], fine, 69),
        ("zibrato-broker", &at_http, fine, 69),
        ("zibrato-broker", &["--port", "0", "--http", "192.0.2.1:80", "--insecure"], fine, 69),
        ("zibrato-broker", &["--port", "0", "--journal", "/dev/null/x"], fine, 69),
        ("zibrato-broker", &["--port", "0", "--journal", "file"], fine, 69),
        ("zibrato-broker", &["--port", "0", "--journal", &journal], fine, 69),
        ("zibrato-broker", &["--port", "0"], bad, 78),
        ("zibrato-broker", &["--port", "0", "--host", "nowhere.invalid"], fine, 78),
        ("zibrato-broker", &["--port", "0", "--host", "192.0.2.1", "--insecure"], fine, 78),
        ("zibrato-broker", &["--port", "0", "--ipc", "file"], fine, 78),
        ("zibrato-broker", &bad_keys, fine, 78),
        ("zibrato-broker", &[&bad_keys[..], &at_port].concat(), fine, 78),
        ("zibrato-carbon", &["--http", &http], fine, 69),
        ("zibrato-carbon", &["--http", &http, "--dead-letters", "file"], fine, 69),
        ("zibrato-carbon", &["--http", &http], bad, 78),
        ("zibrato-carbon", &["--host", "no host"], fine, 78),
        ("zibrato-carbon", &bad_pair, fine, 78),
        ("zibrato-carbon", &["--flush", "0.5"], fine, 78),
        ("zibrato-librato", &account(&["--ca-file", "bad.key"]), fine, 78),
        ("zibrato-librato", &["--username", "a", "--apitoken-file", "no"], fine, 78),
        ("zibrato-slack", &["--webhook-url-file", "bad.key"], fine, 78),
        ("zibrato-tail", &bad_pair, fine, 78),
        ("zibrato-tail", &["--host", "no host"], fine, 78),
    ] {
        let (started, log) = run(&mut command(name, flags, state));
        assert_eq!(started, Some(expected), "{name} {flags:?}: {log}");
        let (checked, log) = run(command(name, flags, state).arg("--check"));
        assert_eq!(checked, Some(expected), "{name} {flags:?} --check: {log}");
    }
}

#[test]
fn a_worker_that_cannot_serve_its_pages_creates_no_cursor() {
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal").display().to_string();
    let broker = Broker::start_with(&["--journal", &journal]);
    let [base, port] = [broker.port(), broker.publishing_port()].map(|port| port.to_string());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let http = taken.local_addr().unwrap().to_string();
    let flags = ["--port", &*port, "--http", &http];
    let (code, log) = run(&mut command("zibrato-carbon", &flags, folder.path()));
    assert_eq!(code, Some(69), "{log}");
    let mut list = Command::new(program("zibrato-broker"));
    let (_, cursors, log) = Running::run(list.args(["cursors", "list", "--port", &base]));
    assert_eq!(cursors.lines().count(), 1, "{cursors}{log}");
}
