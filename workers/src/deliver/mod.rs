//! The thread `zb-deliver`: takes windows from the queue and sends them until the backend accepts
//! them.

mod attempt;
mod catch_up;
mod key;
mod names;
mod refused;
mod settled;
mod split;
mod together;

use crate::backend::{Backend, Payload};
use crate::backoff::{Backoff, Pace};
use crate::counters::Ledger;
use crate::dead_letters::DeadLetters;
use crate::progress::Progress;
use crate::queue::{Queue, Waiting};
use crate::status::Status;
use catch_up::CatchUp;
use crossbeam_channel::RecvTimeoutError;
use key::{PayloadId, key};
use std::error::Error;
use std::ops::ControlFlow::{self, Continue};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::clock::unix_ms;
use zibrato::daemon::LogLimit;
use zibrato::window::Window;

/// Intervals of checks of the dead-letter folder while nothing is delivered: after a failure and
/// after a success.
const PROBE_AGAIN: Duration = Duration::from_secs(5);
const PROBE: Duration = Duration::from_secs(60);

/// The settings of a delivery.
pub(crate) struct DeliverySettings {
    pub(crate) name: String,
    pub(crate) pace: Pace,
    /// Maximum speed of a backlog, as a multiple of real time.
    pub(crate) catch_up: u32,
    pub(crate) dead_letters: Option<DeadLetters>,
}

/// Data that the threads share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) queue: Arc<Queue>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) status: Arc<Status>,
}

/// Delivers windows, the oldest first.
pub(crate) struct Delivery<B> {
    backend: B,
    name: String,
    shared: Shared,
    backoff: Backoff,
    catch_up: CatchUp,
    dead_letters: Option<DeadLetters>,
    /// The worker is stopping and there is no time to wait: this is the last attempt.
    last_try: bool,
    next_probe: Instant,
    /// The time since which the backend has accepted nothing, if it does not.
    trouble_since: Option<Instant>,
    /// Number of consecutive payloads of which all parts were rejected.
    refused_whole: u32,
    /// The duration of the last request with an answer.
    answered_in: Duration,
    /// The total duration of requests for parts of this window's rejected payloads.
    split_for: Duration,
    limits: Limits,
}

/// Rate limits of log lines.
#[derive(Default)]
struct Limits {
    rejected: LogLimit,
    repeated: LogLimit,
    retry: LogLimit,
    held: LogLimit,
    letters: LogLimit,
    catch_up: LogLimit,
}

impl<B: Backend> Delivery<B> {
    pub(crate) fn new(backend: B, settings: DeliverySettings, shared: Shared) -> Self {
        let DeliverySettings { name, pace, catch_up, dead_letters } = settings;
        Self {
            backend,
            name,
            shared,
            backoff: Backoff::new(pace),
            catch_up: CatchUp::new(catch_up),
            dead_letters,
            last_try: false,
            next_probe: Instant::now(),
            trouble_since: None,
            refused_whole: 0,
            answered_in: Duration::ZERO,
            split_for: Duration::ZERO,
            limits: Limits::default(),
        }
    }

    /// Delivers until there are no more windows, or no time is left.
    pub(crate) fn run(mut self) {
        loop {
            let due = self.probe().min(self.settle_by());
            let Waiting { window, through } = match self.shared.queue.take_by(due) {
                Ok(waiting) => waiting,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // There is room for another.
            self.shared.progress.wake();
            if through.is_some() {
                self.keep_pace(&window);
            }
            let end_ms = window.end_ms();
            if self.deliver(window).is_break() {
                return;
            }
            self.catch_up.delivered();
            self.shared.progress.deliver(through, end_ms, Instant::now());
        }
    }

    /// Waits before a late window, to avoid overloading a backend that has just come back. A worker
    /// that is stopping does not wait.
    fn keep_pace(&mut self, window: &Window) {
        let length = Duration::from_millis(window.length_ms());
        let now_ms = self.shared.progress.broker_ms(unix_ms());
        let behind = Duration::from_millis(now_ms.saturating_sub(window.end_ms()));
        let late = CatchUp::is_late(length, behind);
        if late && self.limits.catch_up.admit(Instant::now()).is_some() {
            let windows = (behind.as_millis() / length.as_millis().max(1)) as u64;
            let (behind_s, speed) = (behind.as_secs(), self.catch_up.speed());
            tracing::info!(event = "catching_up", windows, behind_s, speed);
        } else if !late && self.limits.catch_up.is_over() {
            tracing::info!(event = "caught_up");
        }
        if let Some(due) = self.catch_up.due(length, behind) {
            self.shared.queue.pause_until(due);
        }
        self.catch_up.goes_out(Instant::now(), late);
    }

    fn deliver(&mut self, window: Window) -> ControlFlow<()> {
        let (stamp, series) = (window.stamp(), window.len() as u64);
        let (start_ms, length_ms) = (window.start_ms(), window.length_ms());
        self.split_for = Duration::ZERO;
        self.shared.status.try_begins();
        let id = |index| PayloadId { start_ms, length_ms, index };
        let (payloads, known) = self.encode(window, id)?;
        let in_payloads: u64 = payloads.iter().map(|p| p.series as u64).sum();
        let left_out =
            if self.backend.delivers_series() { series.saturating_sub(in_payloads) } else { 0 };
        let omitted = self.backend.omitted();
        self.shared.ledger.write(|c| {
            c.series_left_out += left_out;
            c.omitted.extend(omitted);
        });
        if payloads.is_empty() {
            self.shared.status.try_ends(None);
        }
        let count = payloads.len();
        let whole = self.send_all(&payloads, known, id)?;
        self.shared.ledger.write(|c| match whole {
            true => c.windows_delivered += 1,
            false => c.windows_lost += 1,
        });
        tracing::debug!(event = "window_delivered", stamp, series, payloads = count);
        Continue(())
    }

    /// A payload with its key.
    fn keyed(&self, mut payload: Payload, id: PayloadId) -> Payload {
        payload.key = key(&self.name, id, &payload.body);
        payload
    }
}

/// An error and its causes, on one line.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        text.push_str(": ");
        text.push_str(&error.to_string());
        behind = error.source();
    }
    text
}
