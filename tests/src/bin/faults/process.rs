//! A program of the run: it is started, killed and started again, and all its output is in one
//! file.

use anyhow::{Context, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Maximum time until a program has ended after a signal.
const ENDS: Duration = Duration::from_secs(120);

/// Maximum time until a program that was started has opened its files and sockets.
const OPENS: Duration = Duration::from_secs(30);

/// A limit of descriptors that every program exceeds once it has started.
const FEW: u64 = 20;

/// The number of descriptors that a program may have open.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Allowed {
    /// No more than are open. (`poll` and libzmq refuse to wait for more than the limit, so it
    /// cannot be as low as 3.)
    Few,
    /// As many as at its start.
    All,
}

/// A program, which may be running.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    log: PathBuf,
    command: Vec<std::ffi::OsString>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

impl Process {
    /// A program that is not running yet.
    pub(crate) fn new(name: &str, folder: &Path, command: &Command) -> Self {
        let args = std::iter::once(command.get_program()).chain(command.get_args());
        let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let text = |text: &OsStr| text.to_string_lossy().into_owned();
        Self {
            name: name.to_owned(),
            log: folder.join(format!("{name}.log")),
            command: args.map(OsStr::to_owned).collect(),
            environment: set.map(|(name, value)| (text(name), text(value))).collect(),
            child: None,
        }
    }

    /// Starts it. It is killed when this thread ends for any reason.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(&self.command);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // An interrupt reaches only the run, which then ends the other programs.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().with_context(|| self.name.clone())?);
        Ok(())
    }

    pub(crate) const fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Kills it, if it is running.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let child = self.child.as_ref().with_context(|| format!("{} is not running", self.name))?;
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    /// Changes its limit of descriptors while it runs.
    pub(crate) fn allow_descriptors(&self, allowed: Allowed) -> anyhow::Result<()> {
        let child = self.child.as_ref().with_context(|| format!("{} is not running", self.name))?;
        let own = rustix::process::getrlimit(Resource::Nofile);
        let current = match allowed {
            Allowed::Few => Some(FEW),
            Allowed::All => own.maximum,
        };
        let new = Rlimit { current, maximum: own.maximum };
        prlimit(Some(Pid::from_child(child)), Resource::Nofile, new)?;
        Ok(())
    }

    /// Waits until it has started, if it was started just now: with few descriptors it would refuse
    /// to.
    pub(crate) fn wait_for_start(&self) -> anyhow::Result<()> {
        let child = self.child.as_ref().with_context(|| format!("{} is not running", self.name))?;
        let folder = format!("/proc/{}/fd", child.id());
        let begun = Instant::now();
        while std::fs::read_dir(&folder)?.count() as u64 <= FEW {
            ensure!(begun.elapsed() < OPENS, "{} does not start: {}", self.name, self.last_words());
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Whether it has ended, although it was not stopped.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
        if ended.is_some() {
            self.child = None;
        }
        Ok(ended)
    }

    /// Stops it, and waits until it has ended successfully.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        if !self.runs() {
            return Ok(());
        }
        self.signal(Signal::TERM)?;
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                ensure!(
                    status.success(),
                    "{} ended with {status}: {}",
                    self.name,
                    self.last_words()
                );
                return Ok(());
            }
            ensure!(begun.elapsed() < ENDS, "{} does not end", self.name);
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Its output since its first start.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub(crate) fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have already ended, which is fine.
        drop(self.kill());
    }
}
