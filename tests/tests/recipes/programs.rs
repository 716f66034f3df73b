//! Programs that end by themselves.

use super::{Stage, recipe};
use std::collections::BTreeSet;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::net::TcpListener;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};
use zibrato_tests::{Ports, Received, Running, program};

/// Runs a recipe to its end: its output, its log, and what was delivered.
#[track_caller]
fn run(name: &str, args: &[&str], input: &str) -> (String, String, Received) {
    let (status, output, log, received) = end(name, args, input);
    assert_eq!(status.code(), Some(0), "{log}");
    (output, log, received)
}

fn end(name: &str, args: &[&str], input: &str) -> (ExitStatus, String, String, Received) {
    let stage = Stage::set();
    let (status, output, log) = Running::run_with(stage.recipe(name).args(args), input);
    (status, output, log, stage.received())
}

/// A file with five words.
fn five_words() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "to be or not\nto").unwrap();
    file
}

#[test]
fn a_pool_measures_its_queue_and_its_jobs() {
    let (_, log, received) = run("worker-pool", &[], "");
    let jobs = [("info jobs.run outcome=err", 50.0), ("info jobs.run outcome=ok", 450.0)];
    assert_eq!(received.counts(), jobs.into());
    assert_eq!(log.lines().count(), 50);
    let queued = received.gauge("info jobs.queued");
    assert!(queued.count == 500 && queued.min >= 0.0 && queued.max <= 100.0, "{queued:?}");
    assert_eq!(received.gauge("info jobs.run.in_flight").last, 0.0);
}

#[test]
fn each_tenant_is_billed() {
    let (_, log, received) = run("billing", &[], "acme 100\ninitech 7\nacme 23\n");
    let expected =
        [("billing api.bytes tenant=acme", 123.0), ("billing api.bytes tenant=initech", 7.0)];
    assert_eq!((received.counts(), &*log), (expected.into(), ""));
}

#[test]
fn tenants_beyond_the_maximum_are_billed_together_and_reported() {
    let input: String = (0..5_003).map(|tenant| format!("t{tenant} 2\n")).collect();
    let (_, log, received) = run("billing", &[], &input);
    let counts = received.counts();
    assert_eq!((counts.len(), counts.values().sum::<f64>()), (5_001, 2.0 * 5_003.0));
    assert_eq!(counts["billing api.bytes tenant=_overflow"], 6.0);
    assert_eq!(
        log,
        "api.bytes has more tenants than max_series; the others are billed as _overflow\n"
    );
}

#[test]
fn a_line_that_cannot_be_billed_ends_the_program_but_not_the_bill() {
    let (status, _, log, received) = end("billing", &[], "acme 100\nacme\n");
    assert_eq!((status.code(), &*log), (Some(1), "Error: \"a line without a space\"\n"));
    assert_eq!(received.counts(), [("billing api.bytes tenant=acme", 100.0)].into());
}

#[test]
fn a_job_delivers_everything_before_it_ends() {
    let (_, log, received) = run("batch-job", &[], "1\n2\nx\n4\n");
    let expected = [
        ("info import outcome=ok", 1.0),
        ("info import.rows outcome=err", 1.0),
        ("info import.rows outcome=ok", 3.0),
    ];
    assert_eq!(received.counts(), expected.into());
    assert_eq!(received.gauge("info import.sum").last, 7.0);
    assert_eq!(log, "skipped a row: invalid digit found in string\n");
}

#[test]
fn a_command_is_measured_also_when_it_fails() {
    let file = five_words();
    let (output, log, received) = run("command", &[file.path().to_str().unwrap()], "");
    assert_eq!((&*output, &*log), ("5\n", ""));
    let expected = [("info words.calls outcome=ok", 1.0), ("info words.count", 1.0)];
    assert_eq!(received.counts(), expected.into());

    let (status, output, _, received) = end("command", &["/nowhere"], "");
    assert_eq!((status.code(), &*output), (Some(1), ""));
    let expected = [("info words.calls outcome=err", 1.0), ("info words.count", 1.0)];
    assert_eq!(received.counts(), expected.into());
}

#[test]
fn a_command_works_without_a_broker_and_ends_soon() {
    let (ports, file) = (Ports::take(), five_words());
    let begun = Instant::now();
    let (status, output, _) = Running::run(recipe("command", ports.at(0)).arg(file.path()));
    assert_eq!((status.code(), &*output), (Some(0), "5\n"));
    // It waits a tenth of a second for the broker; a busy machine needs the rest.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_plugin_has_its_own_instrument_and_can_be_unloaded() {
    let beside = program("plugin-host");
    let file = format!("deps/{DLL_PREFIX}zibrato_example_plugin{DLL_SUFFIX}");
    let plugin = beside.parent().unwrap().join(file);
    let (output, log, received) = run("plugin-host", &[plugin.to_str().unwrap()], "");
    assert_eq!((&*output, &*log), ("385\n", ""));
    let expected = [("info host.call", 10.0), ("info plugin.square", 10.0)];
    assert_eq!(received.counts(), expected.into());
    assert_eq!(received.sources.iter().collect::<Vec<_>>(), ["host", "plugin"]);
    let publishers: BTreeSet<_> = received.publishers.values().collect();
    assert_eq!(publishers.len(), 2);
}

#[test]
fn a_library_measures_with_the_instrument_of_the_application() {
    let (output, log, received) = run("library-user", &["--measure"], "");
    assert_eq!((&*output, &*log), ("4 new words\ntrue\n", ""));
    let expected = [
        ("debug textindex.Index.add", 1.0),
        ("debug textindex.Index.contains", 1.0),
        ("info textindex.words", 4.0),
    ];
    assert_eq!(received.counts(), expected.into());
    assert_eq!(received.sources.iter().collect::<Vec<_>>(), ["app"]);
}

#[test]
fn a_library_of_an_application_without_an_instrument_does_nothing_else() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut command: Command = recipe("library-user", port);
    let (status, output, log) = Running::run(&mut command);
    assert_eq!((status.code(), &*output, &*log), (Some(0), "4 new words\ntrue\n", ""));
    let connected = listener.accept().map(|_| ());
    assert_eq!(connected.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
