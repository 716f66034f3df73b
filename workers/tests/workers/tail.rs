//! `zibrato-tail` on a live stream.

use crate::program::Program;
use crate::publisher::{Publisher, until};
use std::process::{Command, Stdio};

const TAIL: &str = env!("CARGO_BIN_EXE_zibrato-tail");

#[test]
fn entries_are_printed_as_they_arrive() {
    let mut publisher = Publisher::bind();
    let port = publisher.port().to_string();
    let mut program = Program::start(TAIL, &["--port", &port, "--json", "--name", "log"]);
    assert_eq!(publisher.subscribed(2), ["zb!levels", "zb1|"]);
    publisher.heartbeat();
    publisher.count("info", "other", 1.0);
    publisher.frames(&[b"zb1|info|", b"hostile"]);
    publisher.count("billing", "logins", 3.0);
    let line = program.wait_for_stdout("\n");
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&object["level"], &object["name"]), (&"billing".into(), &"logins".into()));
    assert_eq!((&object["value"], &object["source"]), (&3.into(), &"web-1".into()));
    program.signal("INT");
    assert_eq!(program.end().code(), Some(0));
}

#[test]
fn it_exits_with_0_when_its_reader_closes_the_pipe() {
    let mut publisher = Publisher::bind();
    let port = publisher.port().to_string();
    let mut child = Command::new(TAIL)
        .args(["--port", &port])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    publisher.subscribed(2);
    drop(child.stdout.take());
    let status = until("the end", || {
        publisher.count("info", "n", 1.0);
        child.try_wait().unwrap()
    });
    let output = child.wait_with_output().unwrap();
    assert_eq!(status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_stalled_reader_does_not_delay_the_end() {
    let mut publisher = Publisher::bind();
    let port = publisher.port().to_string();
    let mut child =
        Command::new(TAIL).args(["--port", &port]).stdout(Stdio::piped()).spawn().unwrap();
    publisher.subscribed(2);
    // More than fits into a pipe, and no program reads it.
    for _ in 0..5000 {
        publisher.count("info", "n", 1.0);
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let status = until("the end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}
