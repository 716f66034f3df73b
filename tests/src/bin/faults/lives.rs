//! The lives of the publishers, from start to end. Each has its own source, so that its
//! measurements can be distinguished.

use super::process::Process;
use super::tally::Count;
use anyhow::{Context, ensure};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long the past is remembered.
const PAST: Duration = Duration::from_secs(120);

/// Maximum time to start.
const COMES_UP: Duration = Duration::from_secs(30);

/// A batch that a fault has lost is sent again after this time. Readings of other levels may arrive
/// before it.
const RESEND: Duration = Duration::from_secs(2);

/// The life of a publisher, from its start to its end.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) source: String,
    pub(crate) tally: PathBuf,
    process: Process,
    pub(crate) end: End,
    /// The number of recorded readings at past times.
    past: VecDeque<(Instant, u64)>,
    /// The number of readings that the broker must have before the publisher counts as connected.
    owed: u64,
    /// Until this time, a batch that was lost during a fault may not have been sent again.
    affected_until: Option<Instant>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Killed {
        at: Instant,
        /// Whether the broker accepted its batches, before and at that time.
        in_touch: bool,
    },
    /// It has been stopped but has not ended yet.
    Leaves,
    Runs,
    Stopped,
}

impl Life {
    /// Starts a publisher under a new name.
    pub(crate) fn begin(source: String, folder: &Path, ports: (u16, u16)) -> anyhow::Result<Self> {
        let tally = folder.join(format!("{source}.tally"));
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["publish", "--source", &source]);
        command.arg("--port").arg(ports.0.to_string());
        command.arg("--control-port").arg(ports.1.to_string());
        command.arg("--tally").arg(&tally);
        let mut process = Process::new(&format!("publisher-{source}"), folder, &command);
        process.start()?;
        Ok(Self {
            source,
            tally,
            process,
            end: End::Runs,
            past: VecDeque::new(),
            owed: 1,
            affected_until: None,
        })
    }

    pub(crate) fn count(&self) -> Count {
        Count::read(&self.tally)
    }

    pub(crate) fn kill(&mut self, trouble: bool) -> anyhow::Result<()> {
        self.look(trouble);
        self.process.kill()?;
        let in_touch = !trouble && self.owed == 0;
        self.end = End::Killed { at: Instant::now(), in_touch };
        Ok(())
    }

    /// Stops it, once it has begun to count.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.count().total() == 0 {
            ensure!(begun.elapsed() < COMES_UP, "{} counts nothing", self.source);
            std::thread::park_timeout(Duration::from_millis(10));
        }
        self.process.signal(rustix::process::Signal::TERM)?;
        self.end = End::Leaves;
        Ok(())
    }

    /// Updates the state; returns a problem if it has ended unexpectedly. `trouble` says whether a
    /// fault between it and the journal is active.
    pub(crate) fn look(&mut self, trouble: bool) -> Option<String> {
        if matches!(self.end, End::Killed { .. } | End::Stopped) {
            return None;
        }
        let (count, now) = (self.count(), Instant::now());
        if trouble {
            self.affected_until = Some(now + RESEND);
        }
        if self.affected_until.is_some_and(|until| now < until) {
            self.owed = count.total().max(1);
        } else if count.delivered >= self.owed {
            self.owed = 0;
        }
        self.past.push_back((now, count.total()));
        while self.past.front().is_some_and(|(at, _)| now.duration_since(*at) > PAST) {
            self.past.pop_front();
        }
        match self.process.ended() {
            Ok(None) => None,
            Ok(Some(status)) if self.end == End::Leaves && status.success() => {
                self.end = End::Stopped;
                None
            }
            other => {
                self.end = End::Stopped;
                Some(format!("{} ended: {other:?}: {}", self.source, self.process.last_words()))
            }
        }
    }

    pub(crate) const fn process(&self) -> &Process {
        &self.process
    }

    /// How long before `at` the `number`th reading was recorded.
    pub(crate) fn age(&self, number: u64, at: Instant) -> Duration {
        let before = self.past.iter().rev().find(|(_, total)| *total <= number);
        let made = before.or(self.past.front()).map_or(at, |(made, _)| *made);
        at.saturating_duration_since(made)
    }
}

/// A publisher and its previous lives.
#[derive(Debug)]
pub(crate) struct Publisher {
    name: &'static str,
    number: u32,
    ports: (u16, u16),
}

impl Publisher {
    pub(crate) const fn new(name: &'static str, ports: (u16, u16)) -> Self {
        Self { name, number: 0, ports }
    }

    /// Starts its next life.
    pub(crate) fn begin(&mut self, folder: &Path) -> anyhow::Result<Life> {
        self.number += 1;
        let source = format!("{}-{}", self.name, self.number);
        Life::begin(source, folder, self.ports).context("a publisher")
    }

    /// Whether a life belongs to it.
    pub(crate) fn is(&self, life: &Life) -> bool {
        life.source == format!("{}-{}", self.name, self.number)
    }
}
