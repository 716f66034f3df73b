//! A worker that is written outside the workers' crate has the same features as the others.

use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use zibrato::{Annotation, Zibrato};
use zibrato_tests::{Broker, DEADLINE, Running, Signal, program, wait_until};

const APPEND: &str = "zibrato-append";

fn run(folder: &TempDir, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(program(APPEND));
    let (status, output, log) = Running::run(command.args(args).current_dir(folder.path()));
    (status.code(), output, log)
}

#[test]
fn an_external_worker_has_the_flags_commands_and_checks_of_every_worker() {
    let (broker, folder) = (Broker::start(), TempDir::new().unwrap());
    let port = broker.publishing_port().to_string();
    let (code, help, _) = run(&folder, &["--help"]);
    assert_eq!(code, Some(0));
    let own = ["Appends the counters", "--file <FILE>", "ZIBRATO_APPEND_FILE", "Example:\n"];
    let shared = ["--flush <SECONDS>", "ZIBRATO_APPEND_FLUSH", "deadletter", "--log-level"];
    for part in own.iter().chain(&shared) {
        assert!(help.contains(part), "{part}: {help}");
    }
    let flags = ["--file", "counts", "--dead-letters", "letters", "--port", &port];
    let check = |more: &[&str]| run(&folder, &[&flags[..], &["--check"], more].concat());
    assert_eq!(check(&[]), (Some(0), "The configuration is valid\n".to_owned(), String::new()));
    for (more, expected, part) in [
        (["--file", "."], 78, "--file: . is a folder"),
        (["--file", "/dev/null/x"], 78, "--file: /dev/null cannot be written"),
        (["--flush", "x"], 64, "--flush 60"),
    ] {
        let (code, output, log) = check(&more);
        assert_eq!((code, &*output), (Some(expected), ""), "{more:?}: {log}");
        assert!(log.contains(part), "{more:?}: {log}");
    }
    let (code, completions, _) = run(&folder, &["completions", "bash"]);
    assert!(code == Some(0) && completions.contains("--file"), "{completions}");
    for command in [&[][..], &["run"], &["deadletter", "list"]] {
        let (code, _, log) = run(&folder, command);
        let part = "--file <FILE> is required; give it, or set ZIBRATO_APPEND_FILE";
        assert!(code == Some(64) && log.contains(part), "{command:?}: {log}");
    }
    let (code, letters, log) = run(&folder, &["deadletter", "list", "--file", "counts"]);
    assert!(code == Some(0) && letters.contains("dead letters in"), "{letters}{log}");
}

#[test]
fn windows_arrive_including_those_of_the_time_while_it_was_stopped() {
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal").display().to_string();
    let broker = Broker::start_with(&["--journal", &journal, "--keep-levels", "info"]);
    let file = folder.path().join("counts");
    let flags = ["--flush", "1", "--file", file.to_str().unwrap()];
    let z = Zibrato::builder().port(broker.port()).source("web-1");
    let z = z.interval(Duration::from_millis(50)).build().unwrap();
    let sum = || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let values = text.lines().filter_map(|line| line.split_once(" web-1 logins "));
        values.map(|(_, value)| value.parse::<f64>().unwrap()).sum::<f64>()
    };
    let mut worker = broker.worker(APPEND, &flags);
    worker.says(&["event=\"started\"", "program=\"zibrato-append\"", "counts"]);
    z.count("info", "logins", 3);
    wait_until(DEADLINE, "the window", || sum() == 3.0);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    z.count("info", "logins", 4);
    assert_eq!(z.flush(DEADLINE).delivered, 2);
    let mut worker = broker.worker(APPEND, &flags);
    wait_until(DEADLINE, "the window that it missed", || sum() == 7.0);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn annotations_arrive_once_including_those_of_the_time_while_the_broker_was_away() {
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("journal").display().to_string();
    let arguments = ["--journal", &journal, "--keep-levels", "info", "--settle", "0"];
    let mut broker = Broker::start_with(&arguments);
    let file = folder.path().join("counts");
    let flags = ["--flush", "1", "--file", file.to_str().unwrap()];
    let z = Zibrato::builder().port(broker.port()).source("web-1");
    let z = z.interval(Duration::from_millis(50)).build().unwrap();
    let annotate = |title| z.annotate("info", Annotation::new("deploys", title, 1).unwrap());
    let titles = || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once(" web-1 annotation deploys "));
        lines.map(|(_, title)| title.to_owned()).collect::<Vec<_>>()
    };
    let mut worker = broker.worker(APPEND, &flags);
    worker.says(&["event=\"started\"", "program=\"zibrato-append\""]);
    annotate("first | 1");
    wait_until(DEADLINE, "a window that has only an annotation", || titles() == ["first | 1"]);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    assert_eq!(z.flush(DEADLINE).delivered, 1);

    broker.stop(Signal::KILL);
    annotate("second");
    z.count("info", "logins", 3);
    let waiting = z.stats();
    assert!(waiting.balances() && waiting.pending == 2, "{waiting:?}");
    broker.restart();
    assert_eq!(z.flush(DEADLINE).delivered, 3);
    let mut worker = broker.worker(APPEND, &flags);
    wait_until(DEADLINE, "the window of the time", || titles().len() > 1);
    annotate("third");
    wait_until(DEADLINE, "the last annotation", || titles().last().unwrap() == "third");
    assert_eq!(titles(), ["first | 1", "second", "third"]);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));

    broker.stop(Signal::TERM);
    let mut dump = Command::new(program("zibrato-broker"));
    dump.args(["journal", "dump", "--lines", "--journal", &journal]);
    let (status, lines, log) = Running::run(&mut dump);
    assert!(status.success(), "{log}");
    let dumped: Vec<_> =
        lines.lines().filter_map(|line| line.split_once(": annotation of ")).collect();
    assert_eq!(
        dumped.iter().map(|(_, rest)| *rest).collect::<Vec<_>>(),
        ["deploys: first | 1", "deploys: second", "deploys: third",]
    );
}
