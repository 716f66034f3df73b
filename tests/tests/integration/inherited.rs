//! Properties that a program inherits from its parent: blocked or ignored signals, and limits.

use crate::daemons::Daemons;
use std::ffi::OsStr;
use std::process::Command;
use tempfile::TempDir;
use zibrato_tests::{DEADLINE, Running, Signal, program, python, wait_until};

/// Runs a program with a signal blocked or ignored: the method, the signal's number, the program.
const INHERIT: &str = "\
import os, signal, sys
how, which, *command = sys.argv[1:]
if how == 'blocked':
    signal.pthread_sigmask(signal.SIG_BLOCK, [int(which)])
else:
    signal.signal(int(which), signal.SIG_IGN)
os.execv(command[0], command)
";

/// Every daemon, with flags that let it start without affecting others.
fn daemons() -> Daemons {
    Daemons::with(
        &["--no-journal", "--http", "off", "--port", "0"],
        &["--dead-letters", "letters", "--port", "1"],
    )
    .and_tail(&["--port", "1"])
}

struct Started {
    running: Running,
    _folder: TempDir,
}

impl Started {
    fn start(how: &str, signal: Signal, name: &str, args: &[impl AsRef<OsStr>]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new(python());
        command.args(["-c", INHERIT, how, &signal.as_raw().to_string()]);
        command.arg(program(name)).args(args).current_dir(folder.path());
        Self { running: Running::start(&mut command), _folder: folder }
    }

    /// Whether a signal is in a set of `/proc/…/status`: `SigBlk`, `SigIgn`, `SigCgt`.
    fn has(&self, set: &str, signal: Signal) -> bool {
        let status = format!("/proc/{}/status", self.running.id());
        let status = std::fs::read_to_string(status).unwrap_or_default();
        let bits = status.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(":\t"));
        let bits = bits.and_then(|bits| u64::from_str_radix(bits, 16).ok()).unwrap_or_default();
        bits & (1 << (signal.as_raw() - 1)) != 0
    }

    /// Whether the program is already running, instead of Python.
    fn runs(&self, name: &str) -> bool {
        let file = format!("/proc/{}/comm", self.running.id());
        std::fs::read_to_string(file).is_ok_and(|running| running.trim_end() == name)
    }

    fn handles(&self, name: &str, signal: Signal) {
        wait_until(DEADLINE, "a handler", || self.runs(name) && self.has("SigCgt", signal));
    }
}

#[test]
fn a_daemon_handles_signals_that_its_parent_has_blocked_or_ignored() {
    for (name, args) in daemons().iter() {
        for how in ["blocked", "ignored"] {
            for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
                let mut daemon = Started::start(how, signal, name, args);
                daemon.handles(name, signal);
                assert_eq!(daemon.running.stop(signal).code(), Some(0), "{how} {signal:?} {name}");
            }
        }
    }
}

#[test]
fn a_blocked_hup_is_handled_and_an_ignored_one_has_no_effect() {
    for (name, args) in daemons().iter() {
        let mut daemon = Started::start("blocked", Signal::HUP, name, args);
        daemon.handles(name, Signal::HUP);
        if *name == "zibrato-broker" {
            daemon.running.signal(Signal::HUP);
            daemon.running.says(&["event=\"reloaded\""]);
            assert_eq!(daemon.running.stop(Signal::TERM).code(), Some(0));
        } else {
            assert_eq!(daemon.running.stop(Signal::HUP).code(), Some(0), "{name}");
        }

        // As under `nohup`.
        let mut daemon = Started::start("ignored", Signal::HUP, name, args);
        daemon.handles(name, Signal::TERM);
        daemon.running.signal(Signal::HUP);
        if *name == "zibrato-broker" {
            daemon.running.says(&["event=\"reloaded\""]);
        } else {
            assert!(daemon.has("SigIgn", Signal::HUP), "{name}");
        }
        assert_eq!(daemon.running.stop(Signal::TERM).code(), Some(0), "{name}");
    }
}

#[test]
fn a_command_handles_signals_that_its_parent_has_blocked_or_ignored() {
    // No broker listens there, and the command waits for five seconds.
    let args = ["cursors", "list", "--port", "1"];
    for how in ["blocked", "ignored"] {
        for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
            let mut command = Started::start(how, signal, "zibrato-broker", &args);
            wait_until(DEADLINE, "the signals to be handled", || {
                let is_masked = command.has("SigBlk", signal) || command.has("SigIgn", signal);
                command.runs("zibrato-broker") && !is_masked
            });
            let status = command.running.stop(signal);
            let by = std::os::unix::process::ExitStatusExt::signal(&status);
            assert_eq!(by, Some(signal.as_raw()), "{how} {signal:?}: {status}");
        }
    }
}

#[test]
fn a_daemon_may_open_as_many_descriptors_as_its_hard_limit_allows() {
    for (name, args) in daemons().iter() {
        let folder = TempDir::new().unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "ulimit -S -n 64; exec \"$@\"", "sh"]).arg(program(name)).args(args);
        let mut daemon =
            Started { running: Running::start(shell.current_dir(folder.path())), _folder: folder };
        daemon.handles(name, Signal::TERM);
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.running.id()));
        let limits = limits.unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let numbers: Vec<_> = line.split_whitespace().skip(3).take(2).collect();
        assert!(numbers[0] == numbers[1] && numbers[0] != "64", "{name}: {line}");
        assert_eq!(daemon.running.stop(Signal::TERM).code(), Some(0), "{name}");
    }
}
