//! Runs a worker program and reads its output.

use crate::publisher::{LONG, until};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

/// A running program; killed when dropped.
pub(crate) struct Program {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Program {
    pub(crate) fn start(path: &str, args: &[&str]) -> Self {
        Self::start_with(path, args, &[])
    }

    fn start_with(path: &str, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(path)
            .args(args)
            .env_clear()
            .envs(variables.iter().copied())
            .env("HOME", env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Runs a program that ends by itself. Returns its code, stdout and stderr.
    pub(crate) fn run(path: &str, args: &[&str]) -> (Option<i32>, String, String) {
        Self::run_with(path, args, &[])
    }

    /// Like [`run`](Self::run), with environment variables.
    pub(crate) fn run_with(
        path: &str,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> (Option<i32>, String, String) {
        let mut program = Self::start_with(path, args, variables);
        let status = program.end();
        // The collectors reach the end of the pipes shortly after the program ends.
        let settled = |text: &Arc<Mutex<String>>| {
            until("the output", || (Arc::strong_count(text) == 1).then_some(()));
            text.lock().unwrap().clone()
        };
        (status.code(), settled(&program.stdout), settled(&program.stderr))
    }

    pub(crate) fn wait_for_stdout(&self, part: &str) -> String {
        wait_for(&self.stdout, part)
    }

    pub(crate) fn wait_for_stderr(&self, part: &str) -> String {
        wait_for(&self.stderr, part)
    }

    /// Sends TERM, INT or QUIT.
    pub(crate) fn signal(&self, signal: &str) {
        let (id, flag) = (self.child.id().to_string(), format!("-{signal}"));
        assert!(Command::new("kill").args([&flag, &id]).status().unwrap().success());
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        until("the end of the program", || self.child.try_wait().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have already ended; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&text);
    // The thread ends with the pipe, which ends with the program, which `Drop` ends.
    let handle = std::thread::Builder::new().name("collect".to_owned()).spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = pipe.read(&mut bytes) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    });
    drop(handle.unwrap());
    text
}

#[track_caller]
fn wait_for(text: &Mutex<String>, part: &str) -> String {
    let begun = std::time::Instant::now();
    loop {
        let now = text.lock().unwrap().clone();
        if now.contains(part) {
            return now;
        }
        assert!(begun.elapsed() < LONG, "{part:?} did not appear in time; the output is: {now}");
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
}
