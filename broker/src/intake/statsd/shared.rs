//! What a receiving thread shares with the threads that publish and that answer commands.

use super::grammar::{Dialect, Reason, decode};
use super::state::{Refused, Table};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The series and counters of one receiving thread.
#[derive(Debug)]
pub(crate) struct Shared(Mutex<Received>);

/// What has been received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) table: Table,
    pub(crate) counts: Counts,
}

/// What was received and rejected since the counters were last taken.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
    pub(crate) samples: u64,
    pub(crate) rejected: BTreeMap<&'static str, Rejected>,
}

/// What was rejected for one reason.
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    pub(crate) count: u64,
    /// The first sender and line; empty if there is none to show.
    pub(crate) sample: String,
}

impl Counts {
    /// Counts input that was rejected. `sample` is called for the first one of a reason.
    pub(crate) fn reject(
        &mut self,
        reason: &'static str,
        count: u64,
        sample: impl FnOnce() -> String,
    ) {
        let rejected = self.rejected.entry(reason).or_default();
        rejected.count += count;
        if rejected.sample.is_empty() {
            rejected.sample = sample();
        }
    }
}

impl Shared {
    pub(crate) fn new(max_series: usize) -> Self {
        let (table, counts) = (Table::new(max_series), Counts::default());
        Self(Mutex::new(Received { table, counts }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Received> {
        // Each change is complete when it returns, so a panic leaves valid data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Received {
    /// Takes a packet, or some whole lines of a stream.
    pub(crate) fn take(
        &mut self,
        packet: &[u8],
        dialect: Dialect,
        sender: &dyn Display,
        now_ms: u64,
    ) {
        let Self { table, counts } = self;
        counts.bytes += packet.len() as u64;
        counts.packets += 1;
        let mut samples = 0;
        decode(packet, dialect, |line, sample| {
            let shown = || format!("{sender}: {}", String::from_utf8_lossy(line).trim_end());
            let added = sample.map_err(Refused::Invalid);
            match added.and_then(|sample| table.add(&sample, now_ms)) {
                Ok(left_out) => {
                    samples += 1;
                    if left_out > 0 {
                        counts.reject("tags", left_out.into(), shown);
                    }
                }
                // They are skipped, and nothing is wrong with them.
                Err(Refused::Invalid(reason @ (Reason::Event | Reason::ServiceCheck))) => {
                    counts.reject(reason.word(), 1, String::new);
                }
                Err(Refused::Invalid(reason)) => counts.reject(reason.word(), 1, shown),
                Err(Refused::Members) => counts.reject("members", 1, shown),
            }
        });
        counts.samples += samples;
    }
}
