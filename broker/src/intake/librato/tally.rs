//! What the thread of HTTP has received and refused, for the counters of the intake.

use crate::intake::IntakeContext;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zibrato::daemon::Waker;

/// Counters that two threads share.
#[derive(Debug)]
pub(super) struct Tally {
    counts: Mutex<Counts>,
    waker: Arc<Waker>,
}

#[derive(Debug, Default)]
struct Counts {
    bytes: usize,
    refused: BTreeMap<&'static str, Refused>,
}

/// What was refused for one reason.
#[derive(Debug, Default)]
struct Refused {
    count: u64,
    /// The first one.
    sample: String,
    /// What is wrong with it.
    why: String,
}

impl Tally {
    /// Empty counters. `waker` wakes the thread that takes them.
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self { counts: Mutex::default(), waker }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Each change is complete when it returns, so a panic leaves valid data.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts received bytes.
    pub(super) fn received(&self, bytes: usize) {
        self.lock().bytes += bytes;
    }

    /// Counts a request that was refused, and says why.
    pub(super) fn refuse(&self, reason: &'static str, why: &str, sample: impl FnOnce() -> String) {
        self.add(reason, || Refused { count: 0, sample: sample(), why: why.to_owned() });
    }

    /// Counts a request that was refused as it usually is, so that no log line is needed.
    pub(super) fn count(&self, reason: &'static str) {
        self.add(reason, Refused::default);
    }

    fn add(&self, reason: &'static str, first: impl FnOnce() -> Refused) {
        let mut counts = self.lock();
        let refused = counts.refused.entry(reason).or_insert_with(first);
        refused.count += 1;
        // One wake for many is enough.
        let is_first = refused.count == 1;
        drop(counts);
        if is_first {
            self.waker.wake();
        }
    }

    /// Moves the counts to the counters of the intake.
    pub(super) fn take(&self, context: &mut IntakeContext) {
        let Counts { bytes, refused } = std::mem::take(&mut *self.lock());
        context.received(bytes);
        for (reason, Refused { count, sample, why }) in refused {
            context.reject_because(reason, Some(&why), count, sample.as_bytes());
        }
    }
}
