//! The thread `zb-deliver`: takes windows from the queue and gives them to the backend, until taken.

use crate::backend::{Backend, Payload, SendError};
use crate::backoff::{Backoff, Pace, roll};
use crate::counters::Ledger;
use crate::queue::{Pause, Queue};
use std::error::Error;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::window::Window;

/// The longest time that a far side can make a worker wait.
const LONGEST_AFTER: Duration = Duration::from_secs(3600);

/// Delivers windows, the oldest first.
pub(crate) struct Delivery<B> {
    backend: B,
    queue: Arc<Queue>,
    ledger: Arc<Ledger>,
    backoff: Backoff,
    /// The worker is being stopped and there is no time to wait: if this fails, all is lost.
    last_try: bool,
}

/// What became of a payload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Delivered,
    Rejected,
}

impl<B: Backend> Delivery<B> {
    pub(crate) const fn new(
        backend: B,
        queue: Arc<Queue>,
        ledger: Arc<Ledger>,
        pace: Pace,
    ) -> Self {
        Self { backend, queue, ledger, backoff: Backoff::new(pace), last_try: false }
    }

    /// Delivers until no window will come any more, or there is no time left.
    pub(crate) fn run(mut self) {
        while let Some(window) = self.queue.take() {
            if self.deliver(window).is_break() {
                return;
            }
        }
    }

    fn deliver(&mut self, window: Window) -> ControlFlow<()> {
        let (stamp, series) = (window.stamp(), window.len() as u64);
        let payloads = self.backend.payloads(window);
        let in_payloads: u64 = payloads.iter().map(|p| p.series as u64).sum();
        let left_out = series.saturating_sub(in_payloads);
        self.ledger.write(|c| c.series_left_out += left_out);
        let mut whole = true;
        for payload in &payloads {
            let outcome = self.send(payload)?;
            let series = payload.series as u64;
            self.ledger.write(|c| match outcome {
                Outcome::Delivered => c.series_delivered += series,
                Outcome::Rejected => c.series_rejected += series,
            });
            whole &= outcome == Outcome::Delivered;
        }
        self.ledger.write(|c| match whole {
            true => c.windows_delivered += 1,
            false => c.windows_lost += 1,
        });
        tracing::debug!(event = "window_delivered", stamp, series, payloads = payloads.len());
        Continue(())
    }

    fn send(&mut self, payload: &Payload) -> ControlFlow<(), Outcome> {
        loop {
            if self.queue.abandoned() {
                return Break(());
            }
            let error = match self.backend.send(payload) {
                Ok(()) => {
                    self.backoff.reset();
                    return Continue(Outcome::Delivered);
                }
                Err(error) => error,
            };
            match error {
                SendError::Reject { why } => {
                    let (series, why) = (payload.series, causes(&*why));
                    tracing::error!(event = "rejected", series, why);
                    self.backoff.reset();
                    return Continue(Outcome::Rejected);
                }
                SendError::Retry { after, why } => {
                    let after = after.map(|after| after.min(LONGEST_AFTER));
                    let wait = self.backoff.next(roll()).max(after.unwrap_or_default());
                    let why = causes(&*why);
                    tracing::warn!(event = "retry", wait_ms = wait.as_millis() as u64, why);
                    self.ledger.write(|c| c.retries += 1);
                    self.pause(wait, after)?;
                }
                SendError::Stop { why } => {
                    let (wait, why) = (self.backoff.slow(), causes(&*why));
                    tracing::error!(event = "stopped", wait_ms = wait.as_millis() as u64, why);
                    self.ledger.write(|c| c.retries += 1);
                    self.hold(wait)?;
                }
            }
        }
    }

    /// Waits before the next try. When the worker is stopped meanwhile, the next try comes at
    /// once, unless the far side has asked for time and there is that much left.
    fn pause(&mut self, wait: Duration, after: Option<Duration>) -> ControlFlow<()> {
        if self.last_try {
            return Break(());
        }
        let now = Instant::now();
        let due = now + wait;
        let stopping_already = self.queue.deadline().is_some();
        let Pause::Stopping(deadline) = self.queue.pause_until(due) else { return Continue(()) };
        let due = if stopping_already { due } else { now + after.unwrap_or_default() };
        if !stopping_already {
            self.backoff.reset();
        }
        if due < deadline {
            self.queue.sleep_until(due);
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
        if self.queue.pause_until(Instant::now() + wait) != Pause::Due {
            self.last_try = true;
        }
        Continue(())
    }
}

/// An error and what is behind it, on one line.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        text.push_str(": ");
        text.push_str(&error.to_string());
        behind = error.source();
    }
    text
}
