//! The publishers, life by life: a source of its own for each, so that what arrived of it can be
//! told from the others.

use super::process::Process;
use super::tally::Count;
use anyhow::{Context, ensure};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How much of the past is remembered.
const PAST: Duration = Duration::from_secs(120);

/// How long one may take to come up.
const COMES_UP: Duration = Duration::from_secs(30);

/// A batch that a fault has lost is sent again so much later. Readings of other levels arrive
/// meanwhile.
const RESEND: Duration = Duration::from_secs(2);

/// A publisher from its start to its end.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) source: String,
    pub(crate) tally: PathBuf,
    process: Process,
    pub(crate) end: End,
    /// How much had been recorded when.
    past: VecDeque<(Instant, u64)>,
    /// How much the broker has to have before it counts as being in touch.
    owed: u64,
    /// Until when a batch that was lost in the trouble may not have come again.
    affected_until: Option<Instant>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Killed {
        at: Instant,
        /// The broker took what it sent, before and then.
        in_touch: bool,
    },
    /// It was told to stop and has not ended yet.
    Leaves,
    Runs,
    Stopped,
}

impl Life {
    /// Starts a publisher under a name that none has had.
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

    /// Tells it to end, once it has begun.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.count().total() == 0 {
            ensure!(begun.elapsed() < COMES_UP, "{} does not count", self.source);
            std::thread::park_timeout(Duration::from_millis(10));
        }
        self.process.signal(rustix::process::Signal::TERM)?;
        self.end = End::Leaves;
        Ok(())
    }

    /// Looks how it is; gives a complaint if it should not be so. `trouble` is whether there is
    /// something between it and the journal.
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

    /// How long before `at` the `number`th reading was made.
    pub(crate) fn age(&self, number: u64, at: Instant) -> Duration {
        let before = self.past.iter().rev().find(|(_, total)| *total <= number);
        let made = before.or(self.past.front()).map_or(at, |(made, _)| *made);
        at.saturating_duration_since(made)
    }
}

/// The publisher at a place, now and before.
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

    /// Its next life.
    pub(crate) fn begin(&mut self, folder: &Path) -> anyhow::Result<Life> {
        self.number += 1;
        let source = format!("{}-{}", self.name, self.number);
        Life::begin(source, folder, self.ports).context("a publisher")
    }

    /// Whether a life is its.
    pub(crate) fn is(&self, life: &Life) -> bool {
        life.source == format!("{}-{}", self.name, self.number)
    }
}
