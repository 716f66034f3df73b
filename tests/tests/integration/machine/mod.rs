//! Faults of the machine: each daemon under each fault.
//!
//! Under each fault, the daemon does not abort, does not lose data that the broker has
//! acknowledged, logs only a few lines, and continues by itself once the fault is repaired. If the
//! fault exists at its start, it may refuse to start, with one line and the right exit code.

mod backend;
mod large;
mod stage;

use rustix::io::Errno;
use stage::{Daemon, Outcome, Stage};
use zibrato_tests::{DEADLINE, Signal, wait_until};

/// The signals that stop a daemon.
const STOPS: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::QUIT];

/// A test for each daemon and fault, named `machine::<daemon>::<fault>`.
macro_rules! matrix {
    ($($daemon:ident: $which:expr => $($fault:ident)*;)*) => {$(
        mod $daemon {
            $(#[test] fn $fault() { super::$fault($which) })*
        }
    )*};
}

matrix! {
    broker: super::Daemon::Broker =>
        stderr_is_full stderr_has_no_reader stderr_is_closed stdout_is_full stdout_is_closed
        the_log_disk_fills_up the_folder_is_deleted the_folder_is_moved_away the_folder_is_read_only
        the_folder_gives_io_errors few_descriptors descriptors_run_out little_memory no_home
        signals_are_blocked signals_are_ignored;
    carbon: super::Daemon::Carbon =>
        stderr_is_full stderr_has_no_reader stderr_is_closed stdout_is_full stdout_is_closed
        the_log_disk_fills_up the_folder_is_deleted the_folder_is_read_only the_folder_gives_io_errors
        few_descriptors descriptors_run_out little_memory no_home signals_are_blocked
        signals_are_ignored;
    librato: super::Daemon::Librato =>
        stderr_is_full stderr_has_no_reader stderr_is_closed stdout_is_full stdout_is_closed
        the_log_disk_fills_up the_folder_is_deleted the_folder_is_read_only the_folder_gives_io_errors
        few_descriptors descriptors_run_out little_memory no_home signals_are_blocked
        signals_are_ignored;
    slack: super::Daemon::Slack =>
        stderr_is_full stderr_has_no_reader stderr_is_closed stdout_is_full stdout_is_closed
        the_log_disk_fills_up the_folder_is_deleted the_folder_is_read_only the_folder_gives_io_errors
        few_descriptors descriptors_run_out little_memory no_home signals_are_blocked
        signals_are_ignored;
    tail: super::Daemon::Tail =>
        stderr_is_full stderr_has_no_reader stderr_is_closed few_descriptors descriptors_run_out
        little_memory signals_are_blocked signals_are_ignored;
}

fn stderr_is_full(daemon: Daemon) {
    works_under(daemon, r#"exec "$@" 2>/dev/full"#, &[Signal::TERM]);
}

fn stderr_has_no_reader(daemon: Daemon) {
    works_under(daemon, r#"exec "$@" 2> >(exec true)"#, &[Signal::TERM]);
}

fn stderr_is_closed(daemon: Daemon) {
    works_under(daemon, r#"exec "$@" 2>&-"#, &[Signal::TERM]);
}

fn stdout_is_full(daemon: Daemon) {
    works_under(daemon, r#"exec "$@" >/dev/full"#, &[Signal::TERM]);
}

fn stdout_is_closed(daemon: Daemon) {
    works_under(daemon, r#"exec "$@" >&-"#, &[Signal::TERM]);
}

/// The parent has blocked the signals that stop the daemon.
fn signals_are_blocked(daemon: Daemon) {
    works_under(daemon, r#"exec env --block-signal=TERM,INT,QUIT,HUP,PIPE "$@""#, &STOPS);
}

fn signals_are_ignored(daemon: Daemon) {
    works_under(daemon, r#"exec env --ignore-signal=TERM,INT,QUIT,PIPE "$@""#, &STOPS);
}

/// The daemon starts and works as usual, and ends successfully with each of these signals.
#[track_caller]
fn works_under(daemon: Daemon, script: &str, stops: &[Signal]) {
    for signal in stops {
        let mut stage = Stage::new(daemon);
        assert_eq!(stage.start(script), Outcome::Works);
        stage.delivers();
        stage.ends_well(*signal);
    }
}

/// The log goes to a file, on a disk that is full for a while.
fn the_log_disk_fills_up(daemon: Daemon) {
    let mut stage = Stage::new(daemon);
    let log = stage.folder().join("state/log");
    let script = format!(r#"exec "$@" 2>>{}"#, log.display());
    assert_eq!(stage.start(&script), Outcome::Works);
    stage.delivers();
    stage.disk().fail(Errno::NOSPC);
    stage.trouble();
    stage.disk().mend();
    stage.recovers();
    stage.ends_well(Signal::TERM);
    let log = std::fs::read_to_string(log).unwrap();
    // Lines after the fault are in the log again.
    assert!(log.contains("event=\"stopp"), "{log}");
}

fn the_folder_is_deleted(daemon: Daemon) {
    while_it_runs(
        daemon,
        Stage::trouble,
        |stage| {
            // The daemon may write into the folder meanwhile, or not have created it yet.
            std::fs::create_dir_all(stage.state()).unwrap();
            wait_until(DEADLINE, "the folder to go", || {
                std::fs::remove_dir_all(stage.state()).is_ok()
            });
        },
        // If the broker has not created it again by itself, an operator does.
        |stage| std::fs::create_dir_all(stage.state()).unwrap(),
    );
}

fn the_folder_is_moved_away(daemon: Daemon) {
    let away = |stage: &Stage| stage.folder().join("away");
    while_it_runs(
        daemon,
        Stage::fault_is_reported,
        |stage| std::fs::rename(stage.state(), away(stage)).unwrap(),
        |stage| std::fs::rename(away(stage), stage.state()).unwrap(),
    );
}

fn the_folder_is_read_only(daemon: Daemon) {
    the_disk_fails(daemon, Errno::ROFS);
}

fn the_folder_gives_io_errors(daemon: Daemon) {
    the_disk_fails(daemon, Errno::IO);
}

fn the_disk_fails(daemon: Daemon, error: Errno) {
    // Carbon rejects nothing, so its worker needs no dead letters.
    let trouble = if daemon == Daemon::Carbon { Stage::trouble } else { Stage::fault_is_reported };
    while_it_runs(daemon, trouble, |stage| stage.disk().fail(error), |stage| stage.disk().mend());
}

/// The daemon has a limit of 20 more descriptors, all of which are in use, so it cannot open
/// another one.
fn descriptors_run_out(daemon: Daemon) {
    while_it_runs(
        daemon,
        Stage::trouble,
        |stage| stage.limit_descriptors(Some(20)),
        |stage| stage.limit_descriptors(None),
    );
}

/// A fault that begins while the daemon works, and ends.
#[track_caller]
fn while_it_runs(
    daemon: Daemon,
    trouble: impl Fn(&mut Stage),
    begin: impl Fn(&Stage),
    mend: impl Fn(&Stage),
) {
    let mut stage = Stage::new(daemon);
    assert_eq!(stage.start(r#"exec "$@""#), Outcome::Works);
    stage.delivers();
    begin(&stage);
    trouble(&mut stage);
    mend(&stage);
    stage.recovers();
    stage.logs_little();
    stage.is_killed();
    stage.ends_well(Signal::TERM);
}

fn few_descriptors(daemon: Daemon) {
    for limit in [4, 6, 8, 10, 12, 16, 20, 24, 32] {
        starts_or_refuses(
            daemon,
            &format!(r#"ulimit -n {limit}; exec "$@""#),
            &["descriptor", "open files"],
        );
    }
}

/// Every limit of the address space with which libzmq could abort later is refused. The lowest
/// accepted limit is sufficient for large messages.
fn little_memory(daemon: Daemon) {
    let script = |mebibytes: u64| format!(r#"ulimit -v {}; exec "$@""#, mebibytes * 1024);
    let refusal = |limit| match Stage::new(daemon).start(&script(limit)) {
        Outcome::Refuses { code, line } => (code, line),
        Outcome::Works => panic!("it started with {limit} MiB"),
    };
    // The system cannot load the largest program, the broker without optimizations, with much less
    // than 32 MiB.
    for limit in [32, 40, 48, 64] {
        let (code, line) = refusal(limit);
        // 127: the dynamic loader could not start the program.
        assert!([69, 127].contains(&code), "{limit}: {code}: {line}");
        let is_reported = ["memory", "shared object"].iter().any(|word| line.contains(word));
        assert!(is_reported, "{limit}: {code}: {line}");
    }
    let (code, line) = refusal(128);
    let needed = line.split_once("too little memory: ").and_then(|(_, rest)| rest.split_once(' '));
    let needed: u64 = needed.unwrap_or_else(|| panic!("{line}")).0.parse().unwrap();
    for limit in [128, 160, 256, 320, 384, needed - 1] {
        let expected = format!(
            "too little memory: {needed} MiB of address space are needed, and ulimit -v allows \
             {limit} MiB"
        );
        let (code, line) = if limit == 128 { (code, line.clone()) } else { refusal(limit) };
        assert_eq!(code, 69, "{limit}: {line}");
        assert_eq!(line.lines().count(), 1, "{limit}: {line}");
        assert!(line.contains(&expected), "{limit}: {line}");
    }
    let mut stage = Stage::new(daemon);
    assert_eq!(stage.start(&script(needed)), Outcome::Works);
    stage.sends_large_messages();
    stage.delivers();
    stage.ends_well(Signal::TERM);
}

/// The daemon works, or reports in one line a problem with one of these words.
#[track_caller]
fn starts_or_refuses(daemon: Daemon, script: &str, words: &[&str]) {
    let mut stage = Stage::new(daemon);
    match stage.start(script) {
        Outcome::Works => {
            stage.delivers();
            stage.ends_well(Signal::TERM);
        }
        Outcome::Refuses { code, line } => {
            // 127: the dynamic loader could not start the program.
            assert!([69, 74, 78, 127].contains(&code), "{script}: {code}: {line}");
            assert!(words.iter().any(|word| line.contains(word)), "{script}: {code}: {line}");
        }
    }
}

/// Without a home, the daemon cannot find its state folder, and names the flag that sets it.
fn no_home(daemon: Daemon) {
    let flag = if daemon == Daemon::Broker { "--journal" } else { "--dead-letters" };
    for home in
        ["env -u HOME", "env HOME=", "env HOME=/", "env HOME=here", "env HOME=/nowhere/at/all"]
    {
        // An unknown user, so that there is no entry in the password database.
        let script = format!(r#"exec {home} setpriv --reuid 54321 --clear-groups "$@""#);
        let mut stage = Stage::new(daemon);
        stage.keep_state_by_default();
        match stage.start(&script) {
            Outcome::Refuses { code: 78, line } => assert!(line.contains(flag), "{home}: {line}"),
            // The home directory may exist; it cannot be created.
            Outcome::Refuses { code: 69 | 74, line } if home.contains("nowhere") => {
                assert!(line.contains(flag), "{home}: {line}");
            }
            other => panic!("{home}: {other:?}"),
        }
    }
}
