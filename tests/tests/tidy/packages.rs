//! Scripts in `tests/` install the system packages that they need, or print which are missing,
//! before they build anything.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use zibrato_tests::repository;

/// A folder of programs that replace the system's; each records its calls.
fn stubs(folder: &Path, programs: &[(&str, &str)]) {
    for (name, does) in programs {
        let (path, log) = (folder.join(name), folder.join("calls"));
        let text = format!("#!/bin/sh\necho {name} \"$@\" >> {}\n{does}\n", log.display());
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Runs a command with stubs instead of the system's programs; also returns the calls.
fn run(command: &[&str], programs: &[(&str, &str)]) -> (Output, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    stubs(folder.path(), programs);
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let mut run = Command::new(command[0]);
    run.args(&command[1..]).current_dir(repository()).env("PATH", path);
    let output = run.output().unwrap();
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap_or_default();
    (output, calls.lines().map(str::to_owned).collect())
}

const MISSING: (&str, &str) = ("dpkg-query", "exit 1");
const ROOT: (&str, &str) = ("id", "echo 0");

#[test]
fn missing_packages_are_installed_or_named_before_anything_is_built() {
    for (script, argument) in [("tests/bench", "sdk"), ("tests/faults", "--count=1")] {
        let no = ("apt-get", "exit 1");
        let (output, calls) = run(&[script, argument], &[MISSING, ROOT, no, ("cargo", "exit 0")]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains(&format!("{script}: apt-get could not install libzmq3-dev")),
            "{said}"
        );
        assert!(calls.iter().any(|call| call == "apt-get -qq update"), "{calls:?}");
        assert!(!calls.iter().any(|call| call.starts_with("cargo")), "{calls:?}");
    }
}

#[test]
fn only_missing_packages_are_installed() {
    let command = ["bash", "-c", ". tests/packages; install_packages me here gone; echo ok"];
    let some = ("dpkg-query", "case $3 in gone) exit 1;; esac; echo install ok installed");
    let (output, calls) = run(&command, &[some, ROOT, ("apt-get", "exit 0")]);
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"ok\n"[..]));
    let install = calls.iter().filter(|call| call.contains("install -y")).collect::<Vec<_>>();
    assert_eq!(install, ["apt-get -qq install -y --no-install-recommends gone"]);

    let all = ("dpkg-query", "echo install ok installed");
    let (output, calls) = run(&command, &[all, ROOT, ("apt-get", "exit 0")]);
    assert!(output.status.success() && !calls.iter().any(|call| call.starts_with("apt-get")));
}

#[test]
fn missing_packages_are_named_for_a_user_who_cannot_install_them() {
    let command = ["bash", "-c", ". tests/packages; install_packages me gone"];
    let programs = [MISSING, ("id", "echo 1000"), ("sudo", "exit 1"), ("apt-get", "exit 0")];
    let (output, calls) = run(&command, &programs);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("me: install them as root: apt-get install gone"), "{said}");
    assert!(!calls.iter().any(|call| call.starts_with("apt-get")), "{calls:?}");
}
