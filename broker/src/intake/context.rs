//! The interface between the broker and the thread of an intake.

mod answers;
mod end;

use super::Link;
use super::check::check_series;
use super::clocks::{Clocks, WaitUntil};
use super::rejections::Rejections;
use super::rules::{RulesReader, ScriptTime};
use crate::counters::IntakeCounters;
use crate::line_windows::{Flushed, FoldedBatch, Limits, LineWindows, WINDOW_MS};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use zibrato::DEFAULT_SOURCE;
use zibrato::daemon::{LogLimit, Stop};
use zibrato::window::{Fold, OVERFLOW_NAME, Window};
use zibrato::wire::{BatchId, Line, batch_topic};

/// Maximum time that an intake keeps reading after the broker begins to stop.
const LAST_CALL: Duration = Duration::from_secs(1);

/// Pause before batches are sent again after the router's queue was full.
const RETRY: Duration = Duration::from_millis(20);

/// Maximum wait for an acknowledgement.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The reason for measurements that arrive while too many series are queued for the router.
const BUSY: &str = "busy";

/// The interface for the thread of an [`Intake`](super::Intake). It aggregates measurements for a
/// second, publishes them as batches, and counts.
pub struct IntakeContext {
    pub(super) name: &'static str,
    level: String,
    stop: Stop,
    /// When reading ends, after the broker begins to stop.
    stop_by: Option<Instant>,
    windows: LineWindows,
    /// A PUSH socket to the router.
    router: zmq::Socket,
    /// Batches that did not fit into the router's queue.
    pending: VecDeque<FoldedBatch>,
    /// The highest sequence of each level with unacknowledged batches.
    unacknowledged: BTreeMap<String, u64>,
    /// Number of lines in the windows, and in batches that are not acknowledged.
    folded: u64,
    in_batches: u64,
    /// When the thread should have ended, once the broker stops.
    pub(super) end_by: Arc<OnceLock<Instant>>,
    link: Arc<Link>,
    pub(super) counters: IntakeCounters,
    pub(super) rejections: Rejections,
    pub(super) rules: RulesReader,
    pub(super) script_time: ScriptTime,
    pub(super) script_errors: LogLimit<60>,
    offenders: LogLimit<60>,
    pub(super) clocks: Clocks,
    /// The source of series whose sender names none.
    pub(super) default_source: Arc<str>,
}

impl IntakeContext {
    pub(super) fn new(
        name: &'static str,
        level: String,
        stop: Stop,
        router: zmq::Socket,
        link: Arc<Link>,
    ) -> Self {
        let windows = LineWindows::new(link.publisher(), Limits::of_intake());
        Self {
            name,
            level,
            stop,
            stop_by: None,
            windows,
            router,
            pending: VecDeque::new(),
            unacknowledged: BTreeMap::new(),
            folded: 0,
            in_batches: 0,
            end_by: Arc::default(),
            link,
            counters: IntakeCounters::new(name),
            rejections: Rejections::default(),
            rules: RulesReader::default(),
            script_time: ScriptTime::default(),
            script_errors: LogLimit::default(),
            offenders: LogLimit::default(),
            clocks: Clocks::new(),
            default_source: DEFAULT_SOURCE.into(),
        }
    }

    /// The level for measurements whose protocol names none. See
    /// [`Config::intake_level`](crate::Config::intake_level).
    #[must_use]
    pub fn level(&self) -> &str {
        &self.level
    }

    /// Raised when the broker stops, for intakes with threads of their own.
    #[must_use]
    pub const fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The time of the last [`wait`](Self::wait), in Unix milliseconds.
    #[must_use]
    pub const fn now_ms(&self) -> u64 {
        self.clocks.now_ms
    }

    /// Milliseconds from when the intake was opened to the last [`wait`](Self::wait), by a clock that
    /// nobody sets. For ages and rates; [`now_ms`](Self::now_ms) is for times of readings.
    pub(super) const fn uptime_ms(&self) -> u64 {
        self.clocks.uptime_ms
    }

    /// Waits until one of `readable` is readable, and returns `true`. Meanwhile it publishes the
    /// aggregated measurements once a second. Returns `false` when the broker stops and nothing is
    /// left to read, or a second after it began to stop.
    ///
    /// The caller must read without blocking, and call this again after at most some hundred
    /// packets.
    pub fn wait(&mut self, readable: &[BorrowedFd<'_>]) -> bool {
        self.wait_until(readable, u64::MAX)
    }

    /// Like [`wait`](Self::wait), but also returns `true` at `until_ms`, in Unix milliseconds, or when
    /// the clock is put back. For intakes that publish something at regular times.
    pub fn wait_until(&mut self, readable: &[BorrowedFd<'_>], until_ms: u64) -> bool {
        let mut has_looked = false;
        let wait = WaitUntil::new(until_ms);
        loop {
            let before_ms = self.clocks.now_ms;
            self.clocks.read();
            let now_ms = self.clocks.now_ms;
            if now_ms / WINDOW_MS != before_ms / WINDOW_MS {
                self.flush();
            }
            self.send_pending();
            self.link.store(&self.counters);
            // It looks at least once whether the broker stops.
            if has_looked && wait.is_over(now_ms) {
                return true;
            }
            has_looked = true;
            let timeout = self.timeout(until_ms);
            let mut items = Vec::with_capacity(readable.len() + 1);
            items.extend(readable.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
            if self.stop_by.is_none() {
                items.push(PollFd::new(&self.stop, PollFlags::IN));
            }
            // A signal ends the wait early.
            let is_ready = poll(&mut items, Some(&timeout)).is_ok_and(|ready| ready > 0);
            let can_read =
                is_ready && items[..readable.len()].iter().any(|i| !i.revents().is_empty());
            if is_ready && items.get(readable.len()).is_some_and(|stop| !stop.revents().is_empty())
            {
                self.stop_by = Some(Instant::now() + LAST_CALL);
            }
            if self.stop_by.is_some_and(|by| !can_read || Instant::now() >= by) {
                return false;
            }
            if can_read {
                return true;
            }
        }
    }

    fn timeout(&self, until_ms: u64) -> Timespec {
        let to_next_second = WINDOW_MS - self.clocks.now_ms % WINDOW_MS;
        let until = until_ms.saturating_sub(self.clocks.now_ms).min(to_next_second);
        let until = Duration::from_millis(until);
        let timeout = if self.stop_by.is_some() {
            Duration::ZERO
        } else if self.pending.is_empty() {
            until
        } else {
            until.min(RETRY)
        };
        Timespec::try_from(timeout).unwrap_or_default()
    }

    /// Counts bytes that were received.
    pub const fn received(&mut self, bytes: usize) {
        self.counters.bytes += bytes as u64;
    }

    /// Adds a measurement, which is published when the second is over. An invalid one is rejected
    /// and counted by its [reason](zibrato::wire::LineError::reason).
    pub fn fold(&mut self, line: &Line<'_>) {
        self.fold_from(line, None, None);
    }

    /// Adds readings of one series that the intake has aggregated itself. They are published when
    /// the second is over. Tags may be in any order. Invalid series are rejected and counted by
    /// reason: `level`, `source`, `name`, `tags` or `value`. Count the lines with
    /// [`taken`](Self::taken).
    ///
    /// ```no_run
    /// # fn in_run(context: &mut zibrato_broker::IntakeContext) {
    /// use zibrato::window::Fold;
    /// let tags = [("route", "/checkout")];
    /// context.fold_series("info", "web-1", "requests", &tags, &Fold::Counter(12.0));
    /// context.taken(12);
    /// # }
    /// ```
    pub fn fold_series(
        &mut self,
        level: &str,
        source: &str,
        name: &str,
        tags: &[(&str, &str)],
        readings: &Fold,
    ) {
        if let Err(reason) = check_series(level, source, name, tags, readings) {
            return self.reject(reason, name.as_bytes());
        }
        match self.rules.current() {
            None => {
                let default = Arc::clone(&self.default_source);
                let source = if source == DEFAULT_SOURCE { &default } else { source };
                self.fold_with(level, name, |window| {
                    window.fold_series(source, name, tags, readings);
                });
            }
            Some(rules) => {
                self.fold_series_by_rules(&rules, [level, source, name], tags, readings);
            }
        }
    }

    /// Returns whether there was room.
    pub(super) fn fold_with(
        &mut self,
        level: &str,
        name: &str,
        fold: impl FnOnce(&mut Window),
    ) -> bool {
        if self.windows.is_full() {
            self.flush();
            if self.windows.is_full() {
                self.reject(BUSY, name.as_bytes());
                return false;
            }
        }
        let is_folded = self.windows.fold_with(level, self.clocks.now_ms, fold).is_ok();
        if !is_folded {
            self.reject("levels", level.as_bytes());
        }
        is_folded
    }

    /// Publishes the aggregated measurements, and waits at most `timeout` until all of them are
    /// acknowledged (on disk, if the broker keeps their level). For protocols that answer their
    /// clients.
    pub fn publish(&mut self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout.min(LONGEST_WAIT);
        let mut is_flushed = false;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            self.take_acks(if self.pending.is_empty() { left } else { left.min(RETRY) });
            self.send_pending();
            if self.pending.is_empty() && self.unacknowledged.is_empty() {
                if is_flushed {
                    return true;
                }
                is_flushed = true;
                self.flush();
            } else if left.is_zero() {
                return false;
            }
        }
    }

    fn take_acks(&mut self, timeout: Duration) {
        if self.unacknowledged.is_empty() {
            return;
        }
        let ack = self.link.take_ack(timeout);
        for (level, sequence) in ack.sequences {
            if self.unacknowledged.get(&level).is_some_and(|highest| *highest <= sequence) {
                self.unacknowledged.remove(&level);
            }
        }
        if self.unacknowledged.is_empty() && self.pending.is_empty() {
            self.in_batches = 0;
        }
    }

    /// Encodes the aggregated measurements as batches, unless earlier ones are still
    /// unacknowledged.
    fn flush(&mut self) {
        self.take_acks(Duration::ZERO);
        if self.pending.is_empty() && self.unacknowledged.is_empty() {
            self.close_windows();
            self.send_pending();
        }
        self.rejections.log(self.name);
    }

    fn close_windows(&mut self) {
        let Flushed { batches, overflowed, offender, not_finite, omitted_members } =
            self.windows.flush(self.clocks.now_ms);
        self.pending.extend(batches);
        self.in_batches += std::mem::take(&mut self.folded);
        self.reject_many("value", not_finite, b"");
        self.reject_many("members", omitted_members, b"");
        if let Some([level, source, name]) = offender {
            let (intake, into) = (self.name, OVERFLOW_NAME);
            self.counters.overflowed += overflowed;
            if self.offenders.admits() {
                tracing::warn!(
                    event = "too_many_series",
                    intake,
                    level,
                    source,
                    name,
                    lines = overflowed,
                    into
                );
            }
        }
    }

    /// Sends batches until the router's queue is full.
    fn send_pending(&mut self) {
        while let Some(batch) = self.pending.pop_front() {
            if self.send(&batch, zmq::DONTWAIT).is_err() {
                self.pending.push_front(batch);
                return;
            }
        }
    }

    fn send(&mut self, batch: &FoldedBatch, flags: i32) -> zmq::Result<()> {
        let FoldedBatch { level, id, body } = batch;
        let BatchId { sequence, .. } = *id;
        let topic = batch_topic(level);
        self.router.send_multipart([topic.as_bytes(), &id.encode(), body], flags)?;
        self.unacknowledged.insert(level.clone(), sequence);
        Ok(())
    }

    /// The bodies of the batches that would be published now.
    #[cfg(feature = "fuzzing")]
    pub(super) fn bodies(&mut self) -> Vec<Vec<u8>> {
        self.close_windows();
        self.pending.drain(..).map(|batch| batch.body).collect()
    }
}

impl fmt::Debug for IntakeContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntakeContext").field("name", &self.name).finish_non_exhaustive()
    }
}
