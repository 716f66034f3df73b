//! Sends one payload until the backend accepts or rejects it, and waits between attempts.

use super::key::PayloadId;
use super::together::First;
use super::{Delivery, causes};
use crate::backend::{Backend, Payload, RefusedPart, SendError};
use crate::backoff::roll;
use std::error::Error;
use std::ops::ControlFlow::{self, Break, Continue};
use std::time::{Duration, Instant};

/// Maximum wait that a receiver can request.
const LONGEST_AFTER: Duration = Duration::from_secs(3600);

/// The final result of a payload.
pub(super) enum Answer {
    Taken,
    /// All series except these were accepted.
    TakenInPart {
        refused: RefusedPart,
        why: String,
    },
    Refused {
        why: String,
    },
}

impl<B: Backend> Delivery<B> {
    /// Sends a payload, whole or in parts, until the result of each series is known. Returns
    /// whether all of it was accepted.
    pub(super) fn settle(
        &mut self,
        payload: &Payload,
        id: PayloadId,
        first: First,
    ) -> ControlFlow<(), bool> {
        let series = payload.series as u64;
        match self.attempt(payload, first)? {
            Answer::Taken => {
                self.refused_whole = 0;
                self.shared.ledger.write(|c| c.series_delivered += series);
                Continue(true)
            }
            Answer::TakenInPart { refused, why } => self.taken_in_part(payload, refused, id, why),
            Answer::Refused { why } => {
                self.refused(payload.clone(), id, why, Duration::from_millis(id.length_ms))
            }
        }
    }

    /// Sends a payload until it is accepted or rejected. `first` is the result of an attempt that was
    /// already made, if any.
    pub(super) fn attempt(&mut self, payload: &Payload, first: First) -> ControlFlow<(), Answer> {
        let mut unknown = matches!(first, First::Unknown);
        let mut known = first.into_result();
        loop {
            let began = Instant::now();
            let result = match known.take() {
                Some(result) => result,
                None => {
                    if self.shared.queue.is_abandoned() {
                        return Break(());
                    }
                    if unknown {
                        self.repeated(&payload.key);
                    }
                    self.shared.status.try_begins();
                    self.backend.send(payload)
                }
            };
            let why = result.as_ref().err().and_then(Error::source).map(causes);
            let why = why.unwrap_or_default();
            let answer = match result {
                Ok(()) => Answer::Taken,
                Err(SendError::Reject { .. }) => Answer::Refused { why },
                Err(SendError::Partial { refused, .. }) => Answer::TakenInPart { refused, why },
                Err(SendError::Retry { after, .. }) => {
                    self.shared.status.try_ends(Some(&why));
                    self.again(after, &why)?;
                    continue;
                }
                Err(SendError::Unknown { after, .. }) => {
                    self.shared.status.try_ends(Some(&why));
                    unknown = true;
                    self.again(after, &why)?;
                    continue;
                }
                Err(SendError::Stop { .. }) => {
                    self.shared.status.try_ends(Some(&why));
                    self.held(&why)?;
                    continue;
                }
            };
            self.answered_in = began.elapsed();
            self.shared.status.try_ends(None);
            self.backoff.reset();
            self.recovered();
            return Continue(answer);
        }
    }

    fn repeated(&mut self, key: &str) {
        self.shared.ledger.write(|c| c.payloads_repeated += 1);
        if let Some(left_out) = self.limits.repeated.admit(Instant::now()) {
            tracing::warn!(event = "repeated", key, left_out);
        }
    }

    /// The receiver answers again.
    fn recovered(&mut self) {
        let Some(since) = self.trouble_since.take() else { return };
        // Both, so that each begins anew.
        if self.limits.retry.is_over() | self.limits.held.is_over() {
            let after_s = since.elapsed().as_secs_f64();
            let to = self.backend.destination();
            tracing::info!(event = "recovered", after_s, to);
        }
    }

    /// Records a problem with the receiver.
    fn trouble(&mut self) -> Instant {
        let now = Instant::now();
        self.trouble_since.get_or_insert(now);
        self.shared.ledger.write(|c| c.retries += 1);
        self.catch_up.retried();
        now
    }

    /// Waits before the same payload is sent again.
    fn again(&mut self, after: Option<Duration>, why: &str) -> ControlFlow<()> {
        let after = after.map(|after| after.min(LONGEST_AFTER));
        let wait = self.backoff.next(roll()).max(after.unwrap_or_default());
        let now = self.trouble();
        if let Some(left_out) = self.limits.retry.admit(now) {
            tracing::warn!(event = "retry", wait_ms = wait.as_millis() as u64, left_out, why);
        }
        self.pause(wait, after)
    }

    /// Waits until an operator may have fixed the problem. When the worker stops, there is only one
    /// last attempt.
    fn held(&mut self, why: &str) -> ControlFlow<()> {
        let wait = self.backoff.slow();
        let now = self.trouble();
        if let Some(left_out) = self.limits.held.admit(now) {
            let to = self.backend.destination();
            let wait_ms = wait.as_millis() as u64;
            tracing::error!(event = "held", to, wait_ms, left_out, why);
        }
        if self.last_try {
            return Break(());
        }
        if self.shared.queue.pause_until(Instant::now() + wait).is_some() {
            self.last_try = true;
        }
        Continue(())
    }

    /// Waits before the next attempt. If the worker stops meanwhile, the next attempt follows
    /// immediately, unless the receiver has requested a wait for which there is enough time.
    pub(super) fn pause(&mut self, wait: Duration, after: Option<Duration>) -> ControlFlow<()> {
        if self.last_try {
            return Break(());
        }
        let now = Instant::now();
        let due = now + wait;
        let queue = &self.shared.queue;
        let stopping_already = queue.deadline().is_some();
        let Some(deadline) = queue.pause_until(due) else { return Continue(()) };
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
}
