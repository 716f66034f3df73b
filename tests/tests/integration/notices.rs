//! What a program reads about its measurements in its own log.

use std::process::Command;
use zibrato_tests::{DEADLINE, Ports, Running, Signal, wait_until};

/// A program that writes its log to standard error, with these settings in its code and these
/// variables.
fn configured(settings: &[&str], variables: &[(&str, &str)]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_configured"));
    command.args(settings).envs(variables.iter().copied());
    Running::start(&mut command)
}

/// Waits until the program has counted, and ends it. Returns what it printed at its end.
fn end(running: &mut Running) -> String {
    wait_until(DEADLINE, "the program to count", || running.output().contains("counted"));
    assert!(running.stop(Signal::TERM).success());
    running.output().lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_program_that_ends_without_a_broker_says_what_it_lost() {
    let port = Ports::take().at(0);
    let port_setting = format!("port={port}");
    let mut program = configured(&[&port_setting, "flush_deadline_ms=20"], &[]);
    let stats = end(&mut program);
    assert!(stats.contains("recorded: 2, delivered: 0"), "{stats}");
    let line = format!(
        "WARN zibrato: 2 measurements were lost when measuring ended: the broker at \
         tcp://127.0.0.1:{port} did not accept them within the flush deadline"
    );
    assert_eq!(program.log().lines().collect::<Vec<_>>(), [line]);
}
