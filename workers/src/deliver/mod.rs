//! The thread `zb-deliver`: takes windows from the queue and gives them to the backend, until taken.

mod catch_up;
mod key;

use crate::backend::{Backend, Payload, SendError};
use crate::backoff::{Backoff, Pace, roll};
use crate::counters::Ledger;
use crate::dead_letters::{DeadLetters, Letter};
use crate::progress::Progress;
use crate::queue::{Pause, Queue, Waiting};
use crate::status::Status;
use catch_up::CatchUp;
use std::error::Error;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::clock::unix_ms;
use zibrato::window::Window;

/// The longest time that a far side can make a worker wait.
const LONGEST_AFTER: Duration = Duration::from_secs(3600);

/// How a long catch-up goes on is logged no more often than this.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What a delivery has to know.
pub(crate) struct DeliverySettings {
    pub(crate) name: String,
    pub(crate) pace: Pace,
    /// How many times as fast as they came windows go out when the worker is behind.
    pub(crate) catch_up: u32,
    pub(crate) dead_letters: Option<DeadLetters>,
}

/// What the threads share.
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
    /// When the catch-up that is under way was last logged.
    told: Option<Instant>,
    dead_letters: Option<DeadLetters>,
    /// The worker is being stopped and there is no time to wait: if this fails, all is lost.
    last_try: bool,
}

/// What became of a payload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Delivered,
    Lost(&'static str),
    Rejected,
}

/// Which window a payload is of.
#[derive(Clone, Copy)]
struct Of {
    start_ms: u64,
    length_ms: u64,
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
            told: None,
            dead_letters,
            last_try: false,
        }
    }

    /// Delivers until no window will come any more, or there is no time left.
    pub(crate) fn run(mut self) {
        while let Some(Waiting { window, through }) = self.shared.queue.take() {
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
            self.shared.progress.deliver(through, end_ms, self.backend.settles_within());
        }
    }

    /// Waits before a window that is late, so that a backend which has just come back is not
    /// knocked over. A worker that is being stopped does not wait.
    fn keep_pace(&mut self, window: &Window) {
        let length = Duration::from_millis(window.length_ms());
        let now_ms = self.shared.progress.broker_ms(unix_ms());
        let behind = Duration::from_millis(now_ms.saturating_sub(window.end_ms()));
        let late = CatchUp::is_late(length, behind);
        if late && self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            let windows = (behind.as_millis() / length.as_millis().max(1)) as u64;
            let (behind_s, speed) = (behind.as_secs(), self.catch_up.speed());
            tracing::info!(event = "catching_up", windows, behind_s, speed);
            self.told = Some(Instant::now());
        } else if !late && self.told.take().is_some() {
            tracing::info!(event = "caught_up");
        }
        if let Some(due) = self.catch_up.due(length, behind) {
            self.shared.queue.pause_until(due);
        }
        self.catch_up.goes_out(Instant::now(), late);
    }

    fn deliver(&mut self, window: Window) -> ControlFlow<()> {
        let (stamp, series) = (window.stamp(), window.len() as u64);
        let of = Of { start_ms: window.start_ms(), length_ms: window.length_ms() };
        self.shared.status.try_begins();
        let mut payloads = self.backend.payloads(window);
        for (index, payload) in payloads.iter_mut().enumerate() {
            payload.key = key::key(&self.name, of.start_ms, of.length_ms, index, &payload.body);
        }
        let in_payloads: u64 = payloads.iter().map(|p| p.series as u64).sum();
        let left_out = series.saturating_sub(in_payloads);
        self.shared.ledger.write(|c| c.series_left_out += left_out);
        let mut whole = true;
        for payload in &payloads {
            let outcome = self.send(payload, of)?;
            let series = payload.series as u64;
            self.shared.ledger.write(|c| match outcome {
                Outcome::Delivered => c.series_delivered += series,
                Outcome::Lost(reason) => c.lose(reason, series),
                Outcome::Rejected => c.series_rejected += series,
            });
            whole &= outcome == Outcome::Delivered;
        }
        if payloads.is_empty() {
            self.shared.status.try_ends(None);
        }
        self.shared.ledger.write(|c| match whole {
            true => c.windows_delivered += 1,
            false => c.windows_lost += 1,
        });
        tracing::debug!(event = "window_delivered", stamp, series, payloads = payloads.len());
        Continue(())
    }

    fn send(&mut self, payload: &Payload, of: Of) -> ControlFlow<(), Outcome> {
        let mut unknown = false;
        loop {
            if self.shared.queue.abandoned() {
                return Break(());
            }
            if unknown {
                tracing::warn!(event = "repeated", key = payload.key);
                self.shared.ledger.write(|c| c.payloads_repeated += 1);
            }
            self.shared.status.try_begins();
            let result = self.backend.send(payload);
            let why = result.as_ref().err().and_then(Error::source).map(causes);
            let why = why.unwrap_or_default();
            let taken = matches!(result, Ok(()) | Err(SendError::Reject { .. }));
            self.shared.status.try_ends((!taken).then_some(&*why));
            match result {
                Ok(()) => {
                    self.backoff.reset();
                    return Continue(Outcome::Delivered);
                }
                Err(SendError::Reject { .. }) => {
                    self.backoff.reset();
                    return Continue(self.reject(payload, of, why));
                }
                Err(SendError::Retry { after, .. }) => self.again(after, &why)?,
                Err(SendError::Unknown { after, .. }) => {
                    unknown = true;
                    self.again(after, &why)?;
                }
                Err(SendError::Stop { .. }) => {
                    let wait = self.backoff.slow();
                    tracing::error!(event = "stopped", wait_ms = wait.as_millis() as u64, why);
                    self.shared.ledger.write(|c| c.retries += 1);
                    self.catch_up.retried();
                    self.hold(wait)?;
                }
            }
        }
    }

    /// The backend will never take the payload: a file does.
    fn reject(&mut self, payload: &Payload, of: Of, why: String) -> Outcome {
        let (series, key) = (payload.series, &*payload.key);
        tracing::error!(event = "rejected", series, key, why);
        let Some(letters) = &mut self.dead_letters else { return Outcome::Rejected };
        let letter = Letter {
            name: self.name.clone(),
            key: payload.key.clone(),
            start_ms: of.start_ms,
            length_ms: of.length_ms,
            series: payload.series,
            rejected_ms: unix_ms(),
            answer: why,
            body: payload.body.clone(),
        };
        match letters.put(&letter) {
            Ok(()) => {
                self.shared.ledger.write(|c| c.dead_letters += 1);
                Outcome::Rejected
            }
            Err(error) => Outcome::Lost(error.reason()),
        }
    }

    /// Waits before the same payload goes out again.
    fn again(&mut self, after: Option<Duration>, why: &str) -> ControlFlow<()> {
        let after = after.map(|after| after.min(LONGEST_AFTER));
        let wait = self.backoff.next(roll()).max(after.unwrap_or_default());
        tracing::warn!(event = "retry", wait_ms = wait.as_millis() as u64, why);
        self.shared.ledger.write(|c| c.retries += 1);
        self.catch_up.retried();
        self.pause(wait, after)
    }

    /// Waits before the next try. When the worker is stopped meanwhile, the next try comes at
    /// once, unless the far side has asked for time and there is that much left.
    fn pause(&mut self, wait: Duration, after: Option<Duration>) -> ControlFlow<()> {
        if self.last_try {
            return Break(());
        }
        let now = Instant::now();
        let due = now + wait;
        let queue = &self.shared.queue;
        let stopping_already = queue.deadline().is_some();
        let Pause::Stopping(deadline) = queue.pause_until(due) else { return Continue(()) };
        let due = if stopping_already { due } else { now + after.unwrap_or_default() };
        if !stopping_already {
            self.backoff.reset();
        }
        if due < deadline {
            queue.sleep_until(due);
        } else {
            self.last_try = true;
        }
        Continue(())
    }

    /// Waits until somebody may have mended what is wrong. When the worker is stopped, one last
    /// try is all there is.
    fn hold(&mut self, wait: Duration) -> ControlFlow<()> {
        if self.last_try {
            return Break(());
        }
        if self.shared.queue.pause_until(Instant::now() + wait) != Pause::Due {
            self.last_try = true;
        }
        Continue(())
    }
}

/// An error and what is behind it, on one line.
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
