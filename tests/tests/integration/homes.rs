//! The state folder of daemons: from the environment, or one clear error.

use crate::daemons::Daemons;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use tempfile::TempDir;
use zibrato_tests::{Ports, Running, Signal, program};

/// Every daemon that keeps state, with flags that let it start.
fn daemons() -> Daemons {
    Daemons::with(&["--http", "off"], &[])
}

/// Parts of the log line that names the daemon's state folder, and the flag that sets it.
fn state(name: &str) -> [&'static str; 2] {
    match name {
        "zibrato-broker" => ["event=\"journal_opened\"", "--journal"],
        _ => ["event=\"started\"", "--dead-letters"],
    }
}

/// The program in an empty folder, with only these variables of those that name folders.
fn command(
    name: &str,
    flags: &[impl AsRef<OsStr>],
    variables: &[(&str, &str)],
    folder: &TempDir,
) -> Command {
    let mut command = Command::new(program(name));
    for variable in ["HOME", "XDG_STATE_HOME", "STATE_DIRECTORY"] {
        command.env_remove(variable);
    }
    command.env("ZIBRATO_BROKER_JOURNAL_MIN_FREE", "0");
    command.envs(variables.iter().copied()).args(flags).current_dir(folder.path());
    command
}

#[test]
fn a_user_without_a_home_gets_an_error_with_a_remedy() {
    for (name, flags) in daemons().iter() {
        let [_, flag] = state(name);
        for variables in [
            &[("HOME", "")][..],
            &[("HOME", "/")],
            &[("HOME", "home")],
            &[("HOME", "/dev/null")],
            &[("HOME", "/proc/self")],
            &[("XDG_STATE_HOME", "state"), ("HOME", "/")],
            &[("STATE_DIRECTORY", "state"), ("XDG_STATE_HOME", ""), ("HOME", "")],
        ] {
            let folder = TempDir::new().unwrap();
            let (status, output, log) = Running::run(&mut command(name, flags, variables, &folder));
            assert_eq!((status.code(), &*output), (Some(78), ""), "{name} {variables:?}: {log}");
            let parts = [*name, flag, "HOME", "STATE_DIRECTORY"];
            assert!(parts.iter().all(|part| log.contains(part)), "{name} {variables:?}: {log}");
            // A relative path is reported in a separate line.
            let ignored = log.matches("event=\"variable_ignored\"").count();
            assert_eq!(ignored, variables.iter().filter(|(_, value)| *value == "state").count());
            assert_eq!(log.lines().count(), 1 + ignored, "{log}");
            assert!(folder.path().read_dir().unwrap().next().is_none(), "{name} {variables:?}");
        }
    }
}

#[test]
fn a_relative_folder_for_state_is_ignored() {
    for (name, flags) in daemons().iter() {
        let [line, _] = state(name);
        let (folder, home, ports) =
            (TempDir::new().unwrap(), TempDir::new().unwrap(), Ports::take());
        let variables = [
            ("STATE_DIRECTORY", "service"),
            ("XDG_STATE_HOME", "state"),
            ("HOME", home.path().to_str().unwrap()),
        ];
        let mut command = command(name, flags, &variables, &folder);
        let mut daemon = Running::start(command.arg("--port").arg(ports.at(0).to_string()));
        for name in ["STATE_DIRECTORY", "XDG_STATE_HOME"] {
            daemon.says(&["event=\"variable_ignored\"", name, "absolute path"]);
        }
        let said = daemon.says(&[line]);
        let state = home.path().join(".local/state/zibrato");
        assert!(said.contains(state.to_str().unwrap()), "{said}");
        assert_eq!(daemon.stop(Signal::TERM).code(), Some(0));
        assert!(folder.path().read_dir().unwrap().next().is_none(), "{name}");
    }
}

#[test]
fn a_daemon_that_keeps_nothing_needs_no_home() {
    for (name, flags) in daemons().iter() {
        let ports = Ports::take();
        let nothing: &[&str] =
            if *name == "zibrato-broker" { &["--no-journal"] } else { &["--dead-letters", "off"] };
        let folder = TempDir::new().unwrap();
        let mut command = command(name, flags, &[], &folder);
        command.args(nothing);
        let mut daemon = Running::start(command.arg("--port").arg(ports.at(0).to_string()));
        daemon.says(&[if *name == "zibrato-broker" { "listening" } else { "started" }]);
        assert_eq!(daemon.stop(Signal::TERM).code(), Some(0), "{name}");
    }
}

#[test]
fn a_home_that_cannot_be_written_is_an_error_except_for_root() {
    let home = TempDir::new().unwrap();
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o555)).unwrap();
    // Root can write anywhere; then the folder is created.
    let writable = std::fs::write(home.path().join("probe"), "").is_ok();
    for (name, flags) in daemons().iter() {
        let [_, flag] = state(name);
        if writable {
            continue;
        }
        let folder = TempDir::new().unwrap();
        let variables = [("HOME", home.path().to_str().unwrap())];
        let (status, _, log) = Running::run(&mut command(name, flags, &variables, &folder));
        assert_eq!(status.code(), Some(78), "{name}: {log}");
        assert!(log.contains(flag) && log.contains("Permission denied"), "{log}");
    }
}
