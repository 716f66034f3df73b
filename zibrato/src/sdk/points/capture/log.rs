//! What a capture has recorded.

use crate::measurement::{Measurement, RecordedAnnotation};
use crate::sdk::cells::lock;
use crate::sdk::cells::per_process::{PerProcess, generation};
use crate::sdk::points::series::Series;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of captures in this process. While it is not zero, points ask at each use whether
/// they are wanted.
static CAPTURES: PerProcess<AtomicUsize> = PerProcess::new(AtomicUsize::new(0));

/// The number of captures in this process. The first call in a forked child allocates.
pub(crate) fn captures() -> &'static AtomicUsize {
    CAPTURES.get(|_| AtomicUsize::new(0))
}

/// Counts a capture until it is dropped.
#[derive(Debug)]
pub(super) struct Counted(&'static AtomicUsize);

impl Counted {
    pub(super) fn begin() -> Self {
        let captures = captures();
        captures.fetch_add(1, Ordering::SeqCst);
        Self(captures)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // In a forked child, this is still the number of the parent's captures.
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub(super) struct Log {
    /// The process that captures.
    generation: u64,
    /// In a forked child it is a new one: a thread of the parent may have held this lock.
    readings: PerProcess<Mutex<Vec<Measurement>>>,
    annotations: PerProcess<Mutex<Vec<RecordedAnnotation>>>,
}

impl Log {
    pub(super) fn new() -> Self {
        let generation = generation();
        Self {
            generation,
            readings: PerProcess::of(generation, Mutex::default()),
            annotations: PerProcess::of(generation, Mutex::default()),
        }
    }

    /// Whether it captures in this process. A forked child inherits captures that have ended.
    pub(super) fn is_ours(&self) -> bool {
        self.generation == generation()
    }

    /// Calls `act` with the readings.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Vec<Measurement>) -> T) -> T {
        act(&mut lock(self.readings.get(|_| Mutex::default())))
    }

    /// Calls `act` with the annotations.
    pub(super) fn with_annotations<T>(
        &self,
        act: impl FnOnce(&mut Vec<RecordedAnnotation>) -> T,
    ) -> T {
        act(&mut lock(self.annotations.get(|_| Mutex::default())))
    }

    /// Adds a reading, whose value may depend on earlier readings.
    pub(super) fn push(&self, series: Series, value: impl FnOnce(&[Measurement], &Series) -> f64) {
        self.with(|readings| {
            let value = value(readings, &series);
            let Series { level, source, name, kind, tags, unit } = series;
            readings.push(Measurement { level, kind, name, value, source, tags, unit });
        });
    }
}
