//! What a program reads about its measurements in its own log.

use std::process::Command;
use zibrato_tests::{DEADLINE, Ports, Running, Signal, wait_until};

/// A program with these settings in its code and these variables, which writes its log to standard
/// error.
pub(super) fn configured(settings: &[&str], variables: &[(&str, &str)]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_configured"));
    command.args(settings).envs(variables.iter().copied());
    Running::start(&mut command)
}

pub(super) fn counts(program: &Running) {
    wait_until(DEADLINE, "the program to count", || program.output().contains("counted"));
}

/// Ends a program after it has counted. Returns its last statistics.
pub(super) fn statistics(program: &mut Running) -> String {
    counts(program);
    assert!(program.stop(Signal::TERM).success());
    program.output().lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_program_that_ends_without_a_broker_says_what_it_lost() {
    let port = Ports::take().at(0);
    let port_setting = format!("port={port}");
    let mut program = configured(&[&port_setting, "flush_deadline_ms=20"], &[]);
    let stats = statistics(&mut program);
    assert!(stats.contains("recorded: 2, delivered: 0"), "{stats}");
    let line = format!(
        "WARN zibrato: 2 measurements were lost when measuring ended: the broker at \
         tcp://127.0.0.1:{port} did not accept them within the flush deadline"
    );
    assert_eq!(program.log().lines().collect::<Vec<_>>(), [line]);
}
