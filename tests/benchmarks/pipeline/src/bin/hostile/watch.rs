//! Watches the memory of processes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use zibrato_benchmark_pipeline::{Failure, Memory, Process};

pub struct Watch {
    watched: Vec<(&'static str, String, u64, Arc<AtomicU64>)>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// The memory of a process over time, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub before: u64,
    pub peak: u64,
    pub after: u64,
}

impl Watch {
    pub fn start(processes: &[(&'static str, &Process)]) -> Result<Self, Failure> {
        let watched: Vec<_> = processes
            .iter()
            .map(|(name, process)| {
                let number = process.id().to_string();
                let before = Memory::of(&number).resident;
                (*name, number, before, Arc::new(AtomicU64::new(before)))
            })
            .collect();
        let over = Arc::<AtomicBool>::default();
        let (is_over, all) = (Arc::clone(&over), watched.clone());
        let thread = thread::Builder::new().name("watch".to_owned()).spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                for (_, number, _, peak) in &all {
                    peak.fetch_max(Memory::of(number).resident, Ordering::Relaxed);
                }
                thread::sleep(Duration::from_millis(20));
            }
        })?;
        Ok(Self { watched, over, thread })
    }

    pub fn stop(self) -> Result<Vec<(&'static str, Held)>, Failure> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the watch panicked")?;
        let held = |(name, number, before, peak): (_, String, _, Arc<AtomicU64>)| {
            let after = Memory::of(&number).resident;
            (name, Held { before, peak: peak.load(Ordering::Relaxed), after })
        };
        Ok(self.watched.into_iter().map(held).collect())
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, peak, after } = *self;
        write!(f, "before {} MiB, peak {} MiB, after {} MiB", before >> 20, peak >> 20, after >> 20)
    }
}
