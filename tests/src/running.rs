//! A child process of a test: its output is kept, waits have deadlines, and it never outlives the
//! test.

use crate::wait::{DEADLINE, wait_for};
use rustix::process::{Pid, kill_process};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;
use tempfile::TempDir;

pub use rustix::process::Signal;

/// A running program. It is killed when this is dropped; its output is printed if the test fails.
pub struct Running {
    name: String,
    child: Child,
    folder: TempDir,
}

impl Running {
    /// Starts a program; its standard output and standard error are kept.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self::start_with(command, "")
    }

    /// Starts a program with `input` on its standard input; its standard output and standard error
    /// are kept. It gets those variables `ZIBRATO_…` that are set in `command`, and no others.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start_with(command: &mut Command, input: &str) -> Self {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let folder = must("a temporary folder", TempDir::new());
        let file = |file| must("a file for what it says", File::create(folder.path().join(file)));
        let stdin = folder.path().join("stdin");
        must("standard input", std::fs::write(&stdin, input));
        command.stdin(must("standard input", File::open(stdin)));
        command.stdout(file("stdout")).stderr(file("stderr"));
        without_settings(command, std::env::vars_os().map(|(name, _)| name));
        let child = must(&name, command.spawn());
        Self { name, child, folder }
    }

    /// Runs a program to its end and returns its status, standard output and standard error.
    ///
    /// # Panics
    /// If it has not ended within [`DEADLINE`].
    #[track_caller]
    pub fn run(command: &mut Command) -> (ExitStatus, String, String) {
        Self::run_with(command, "")
    }

    /// Like [`run`](Self::run), with `input` on the program's standard input.
    ///
    /// # Panics
    /// If it has not ended within [`DEADLINE`].
    #[track_caller]
    pub fn run_with(command: &mut Command, input: &str) -> (ExitStatus, String, String) {
        let mut running = Self::start_with(command, input);
        let status = running.ended();
        (status, running.output(), running.log())
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.written("stderr")
    }

    /// Its standard output so far.
    #[must_use]
    pub fn output(&self) -> String {
        self.written("stdout")
    }

    /// Waits until a line of its log contains all of these parts, and returns the line.
    ///
    /// # Panics
    /// If there is none within [`DEADLINE`], or the program has ended without one.
    #[track_caller]
    pub fn says(&mut self, parts: &[&str]) -> String {
        let what = format!("{} to say {parts:?}", self.name);
        wait_for(DEADLINE, &what, || {
            let ended = self.has_ended();
            let log = self.log();
            let mut lines = log.lines();
            let found = lines.find(|line| parts.iter().all(|part| line.contains(part)));
            assert!(found.is_some() || !ended, "{} ended before it said {parts:?}", self.name);
            found.map(str::to_owned)
        })
    }

    /// Waits until it accepts connections on a port of 127.0.0.1.
    ///
    /// # Panics
    /// If it does not within [`DEADLINE`], or has ended.
    #[track_caller]
    pub fn listens(&mut self, port: u16) {
        let what = format!("{} to listen on port {port}", self.name);
        wait_for(DEADLINE, &what, || {
            assert!(!self.has_ended(), "{} ended before it listened on port {port}", self.name);
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// If the system returns an error.
    #[track_caller]
    pub fn has_ended(&mut self) -> bool {
        must(&self.name, self.child.try_wait()).is_some()
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// If it has not within [`DEADLINE`].
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        self.ended_within(DEADLINE)
    }

    /// Waits at most `deadline` until it has ended by itself.
    ///
    /// # Panics
    /// If it has not.
    #[track_caller]
    pub fn ended_within(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        wait_for(deadline, &what, || must(&self.name, self.child.try_wait()))
    }

    /// Sends a signal and returns.
    ///
    /// # Panics
    /// If the program has already ended.
    #[track_caller]
    pub fn signal(&mut self, signal: Signal) {
        assert!(!self.has_ended(), "{} had ended before it got a signal", self.name);
        must(&self.name, kill_process(self.pid(), signal));
    }

    /// Sends a signal and waits until the program has ended.
    ///
    /// # Panics
    /// If it has not within [`DEADLINE`].
    #[track_caller]
    pub fn stop(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.ended()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn written(&self, file: &str) -> String {
        let path: PathBuf = self.folder.path().join(file);
        String::from_utf8_lossy(&must(file, std::fs::read(path))).into_owned()
    }
}

impl Drop for Running {
    #[expect(clippy::print_stderr, reason = "a failed test shows what its programs said")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} wrote:\n{}{}---", self.name, self.output(), self.log());
        }
        // It may have already ended, which is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running({}, {})", self.name, self.child.id())
    }
}

/// Keeps settings of the developer's shell away from a program. Variables `ZIBRATO_TEST_…` configure
/// tests, and stay.
fn without_settings(command: &mut Command, inherited: impl Iterator<Item = OsString>) {
    let given: HashSet<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
    for name in inherited {
        let text = name.to_string_lossy();
        let is_setting = text.starts_with("ZIBRATO_") && !text.starts_with("ZIBRATO_TEST_");
        if is_setting && !given.contains(&name) {
            command.env_remove(name);
        }
    }
}

/// The value, or a panic that names what was expected.
#[track_caller]
pub(crate) fn must<T, E: fmt::Display>(what: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Running, Signal, without_settings};
    use crate::wait::{DEADLINE, wait_until};
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_log_of_a_program_is_read_while_it_runs() {
        let mut running =
            Running::start(&mut shell("echo event=up port=1 >&2; exec cat /dev/zero >/dev/null"));
        assert_eq!(running.says(&["event=up", "port"]), "event=up port=1");
        assert_eq!(running.stop(Signal::QUIT).signal(), Some(3));
    }

    #[test]
    fn a_program_inherits_no_settings_but_those_of_the_tests() {
        let inherited = ["PATH", "ZIBRATO_TEST_PYTHON", "ZIBRATO_DISABLED", "ZIBRATO_PORT"];
        let mut command = Command::new("env");
        command.env("ZIBRATO_PORT", "7000");
        without_settings(&mut command, inherited.into_iter().map(Into::into));
        let changed: Vec<_> = command.get_envs().collect();
        let port = ("ZIBRATO_PORT".as_ref(), Some("7000".as_ref()));
        assert_eq!(changed, [("ZIBRATO_DISABLED".as_ref(), None), port]);
    }

    #[test]
    fn an_ended_program_has_a_code_and_an_output() {
        let (status, output, log) = Running::run(&mut shell("echo a; echo b >&2; exit 64"));
        assert_eq!((status.code(), &*output, &*log), (Some(64), "a\n", "b\n"));
    }

    #[test]
    fn a_program_ends_with_its_guard() {
        let running = Running::start(&mut shell("exec cat /dev/zero > /dev/null"));
        let process = format!("/proc/{}", running.id());
        drop(running);
        wait_until(DEADLINE, "the process to go", || !std::path::Path::new(&process).exists());
    }
}
