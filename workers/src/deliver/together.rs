//! Sends the payloads of a window, several at the same time if the backend does so.
//!
//! Only first attempts are made at the same time. What is not accepted is handled afterwards, one
//! payload after the other: it is sent again, or in parts. Meanwhile nothing else is sent, so a wait
//! that the receiver requests applies to all.

use super::key::{PayloadId, key};
use super::{Delivery, Shared};
use crate::backend::{Backend, Payload, SendError, Sending};
use std::ops::ControlFlow::{self, Break, Continue};
use std::time::Duration;
use zibrato::window::Window;

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

/// What is known of the first payloads, whose results are given by their indexes.
fn firsts(results: Vec<Option<First>>) -> Vec<First> {
    let mut firsts: Vec<_> = results.into_iter().map_while(|first| first).collect();
    let longest = firsts.iter_mut().filter_map(|first| *first.after()?).max();
    // All of them wait before the first one is sent again.
    let mut waiting = firsts.iter_mut().filter(|first| first.has_to_wait());
    if let Some(after) = waiting.next().and_then(First::after) {
        *after = longest;
    }
    firsts
}

/// Notes the result of a payload, and says whether others may be begun.
fn note(
    shared: &Shared,
    results: &mut Vec<Option<First>>,
    (index, result): (usize, Result<(), SendError>),
) -> ControlFlow<()> {
    // Others may still be in progress.
    shared.status.try_begins();
    let goes_on = result.is_ok() && !shared.queue.is_abandoned();
    if results.len() <= index {
        results.resize_with(index + 1, || None);
    }
    results[index] = Some(First::Sent(result));
    if goes_on { Continue(()) } else { Break(()) }
}

impl<B: Backend> Delivery<B> {
    /// Encodes a window, and meanwhile sends its first payloads if the backend does so. Payloads get their
    /// keys by the identities of their indexes.
    pub(super) fn encode(
        &mut self,
        window: Window,
        id: impl Fn(usize) -> PayloadId + Sync,
    ) -> ControlFlow<(), (Vec<Payload>, Vec<First>)> {
        let Self { backend, name, shared, .. } = self;
        if shared.queue.is_abandoned() {
            return Break(());
        }
        let key = |index, body: &[u8]| key(name, id(index), body);
        let mut results = Vec::new();
        let answered = &mut |index, result| note(shared, &mut results, (index, result));
        let mut payloads = backend.payloads_sent(window, Sending { key: &key, answered });
        for (index, payload) in payloads.iter_mut().enumerate() {
            if payload.key.is_empty() {
                payload.key = key(index, &payload.body);
            }
        }
        Continue((payloads, firsts(results)))
    }

    /// Sends all payloads of a window, whose identities are given by their indexes. `known` is what is
    /// known of the first ones. Returns whether all of them were accepted.
    pub(super) fn send_all(
        &mut self,
        payloads: &[Payload],
        mut known: Vec<First>,
        id: impl Fn(usize) -> PayloadId,
    ) -> ControlFlow<(), bool> {
        let (mut whole, mut index) = (true, 0);
        while let Some(rest) = payloads.get(index..).filter(|rest| !rest.is_empty()) {
            if known.is_empty() {
                known = self.first_attempts(rest)?;
            }
            let mut has_waited = false;
            for (first, payload) in std::mem::take(&mut known).into_iter().zip(rest) {
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
        let answered = &mut |index, result| note(shared, &mut results, (index, result));
        backend.send_together(payloads, answered);
        let mut firsts = firsts(results);
        if firsts.is_empty() {
            firsts.push(First::Unsent);
        }
        Continue(firsts)
    }
}

#[cfg(test)]
mod tests;
