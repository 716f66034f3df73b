//! Sends the payloads of a window, several at the same time if the backend does so.
//!
//! Only first attempts are made at the same time. What is not accepted is handled afterwards, one
//! payload after the other: it is sent again, or in parts. Meanwhile nothing else is sent, so a wait
//! that the receiver requests applies to all.

use super::Delivery;
use super::key::PayloadId;
use crate::backend::{Backend, Payload, SendError};
use std::ops::ControlFlow::{self, Break, Continue};
use std::time::Duration;

/// What is known of a payload before it is handled.
#[derive(Debug)]
pub(super) enum First {
    /// It has to be sent.
    Unsent,
    /// It was sent, and may have arrived.
    Unknown,
    /// It was sent, with this result.
    Sent(Result<(), SendError>),
}

impl First {
    /// The result, if there is one.
    pub(super) fn into_result(self) -> Option<Result<(), SendError>> {
        match self {
            Self::Sent(result) => Some(result),
            Self::Unknown | Self::Unsent => None,
        }
    }

    /// The same after a wait, so that it need not be waited for once more.
    fn after_a_wait(self) -> Self {
        match self {
            Self::Sent(Err(SendError::Retry { .. } | SendError::Stop { .. })) => Self::Unsent,
            Self::Sent(Err(SendError::Unknown { .. })) => Self::Unknown,
            other => other,
        }
    }

    /// Whether it leads to a wait.
    const fn has_to_wait(&self) -> bool {
        matches!(
            self,
            Self::Sent(Err(SendError::Retry { .. }
                | SendError::Stop { .. }
                | SendError::Unknown { .. }))
        )
    }

    /// The wait that the receiver requests.
    const fn after(&mut self) -> Option<&mut Option<Duration>> {
        match self {
            Self::Sent(Err(SendError::Retry { after, .. } | SendError::Unknown { after, .. })) => {
                Some(after)
            }
            _ => None,
        }
    }
}

impl<B: Backend> Delivery<B> {
    /// Sends all payloads of a window, whose identities are given by their indexes. Returns whether all
    /// of them were accepted.
    pub(super) fn send_all(
        &mut self,
        payloads: Vec<Payload>,
        id: impl Fn(usize) -> PayloadId,
    ) -> ControlFlow<(), bool> {
        let keyed = |(index, payload)| self.keyed(payload, id(index));
        let payloads: Vec<_> = payloads.into_iter().enumerate().map(keyed).collect();
        let (mut whole, mut index) = (true, 0);
        while let Some(rest) = payloads.get(index..).filter(|rest| !rest.is_empty()) {
            let mut has_waited = false;
            for (first, payload) in self.first_attempts(rest)?.into_iter().zip(rest) {
                if has_waited && first.has_to_wait() {
                    self.shared.ledger.write(|c| c.retries += 1);
                }
                let first = if has_waited { first.after_a_wait() } else { first };
                has_waited |= first.has_to_wait();
                whole &= self.settle(payload, id(index), first)?;
                whole &= self.take_back(id(index))?;
                index += 1;
            }
        }
        Continue(whole)
    }

    /// What is known of the first payloads, of one at least, after the backend has sent some of them.
    fn first_attempts(&mut self, payloads: &[Payload]) -> ControlFlow<(), Vec<First>> {
        let Self { backend, shared, .. } = self;
        if shared.queue.is_abandoned() {
            return Break(());
        }
        let mut results = Vec::new();
        shared.status.try_begins();
        backend.send_together(payloads, &mut |index, result| {
            // Others may still be in progress.
            shared.status.try_begins();
            let goes_on = result.is_ok() && !shared.queue.is_abandoned();
            if results.len() <= index {
                results.resize_with(index + 1, || None);
            }
            results[index] = Some(First::Sent(result));
            if goes_on { Continue(()) } else { Break(()) }
        });
        let mut firsts: Vec<_> = results.into_iter().map_while(|first| first).collect();
        if firsts.is_empty() {
            firsts.push(First::Unsent);
        }
        let longest = firsts.iter_mut().filter_map(|first| *first.after()?).max();
        // All of them wait before the first one is sent again.
        let mut waiting = firsts.iter_mut().filter(|first| first.has_to_wait());
        if let Some(after) = waiting.next().and_then(First::after) {
            *after = longest;
        }
        Continue(firsts)
    }
}

#[cfg(test)]
mod tests;
