//! Which processor runs what: the servers have one for themselves.

use crate::Failure;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::sync::OnceLock;
use std::thread;

/// The processors of this program, and of the servers. The first call must be before this program is
/// confined to one.
fn processors() -> (usize, usize) {
    static COUNT: OnceLock<usize> = OnceLock::new();
    let count = COUNT.get_or_init(|| thread::available_parallelism().map_or(1, usize::from));
    (0, count - 1)
}

/// Confines this thread, and those that it starts, to one processor.
fn confine(processor: usize) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    set.set(processor);
    Ok(sched_setaffinity(None, &set)?)
}

/// Confines this program to its processor.
pub fn confine_this() -> Result<(), Failure> {
    let (ours, of_servers) = processors();
    if ours == of_servers {
        eprintln!("there is one processor, so the sender takes time from the servers");
    }
    confine(ours)
}

/// Starts something on the processor of the servers.
pub fn apart<T>(start: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    confine(processors().1)?;
    let started = start();
    confine(processors().0)?;
    started
}
