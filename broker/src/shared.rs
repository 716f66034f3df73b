//! The state that the router and the memory thread share with other threads.

use crate::counters::Counters;
use crate::replay::ReplayHealth;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zibrato::wire::{CursorState, WantedLevels};

/// The router counts as stuck if it has not updated its state for this time. It does so every second.
const SILENCE: Duration = Duration::from_secs(5);

/// The state of the broker, which the router updates and other threads read.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    stopping: AtomicBool,
    is_short: AtomicBool,
    memory_cuts: AtomicU64,
}

/// The state as of the last update.
#[derive(Debug)]
struct State {
    counters: Counters,
    wanted: WantedLevels,
    cursors: Vec<CursorState>,
    replay: ReplayHealth,
    descriptors: Descriptors,
    heard: Instant,
    stop_by: Option<Instant>,
}

/// The state of the process's file descriptors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Descriptors {
    /// The limit, if nearly all descriptors are in use.
    pub(crate) short_of: Option<i32>,
    /// Connections that were refused because of that.
    pub(crate) refused: u64,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let state = State {
            counters: Counters::default(),
            wanted: WantedLevels::default(),
            cursors: Vec::new(),
            replay: ReplayHealth::default(),
            descriptors: Descriptors::default(),
            heard: Instant::now(),
            stop_by: None,
        };
        Self {
            state: Mutex::new(state),
            stopping: AtomicBool::new(false),
            is_short: AtomicBool::new(false),
            memory_cuts: AtomicU64::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a plain assignment, so a panic leaves valid data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tell(&self, counters: &Counters) {
        let mut state = self.state();
        state.counters.clone_from(counters);
        state.heard = Instant::now();
    }

    pub(crate) fn tell_wanted(&self, wanted: &WantedLevels) {
        self.state().wanted.clone_from(wanted);
    }

    pub(crate) fn tell_readers(&self, cursors: Vec<CursorState>, health: ReplayHealth) {
        let mut state = self.state();
        (state.cursors, state.replay) = (cursors, health);
    }

    /// Problems of the replay port.
    pub(crate) fn replay_health(&self) -> ReplayHealth {
        self.state().replay.clone()
    }

    pub(crate) fn cursors(&self) -> Vec<CursorState> {
        self.state().cursors.clone()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.state().counters.clone()
    }

    pub(crate) fn wanted(&self) -> WantedLevels {
        self.state().wanted.clone()
    }

    /// Sets the time at which the router should have ended.
    pub(crate) fn order_stop(&self, by: Instant) {
        self.state().stop_by.get_or_insert(by);
    }

    pub(crate) fn stop_by(&self) -> Option<Instant> {
        self.state().stop_by
    }

    /// Updates the state of file descriptors: the limit, if they are short, and the number of connections
    /// that were refused since the last call.
    pub(crate) fn tell_descriptors(&self, short_of: Option<i32>, refused: u64) {
        let descriptors = &mut self.state().descriptors;
        descriptors.short_of = short_of;
        descriptors.refused += refused;
    }

    pub(crate) fn descriptors(&self) -> Descriptors {
        self.state().descriptors
    }

    /// Updates whether memory is short, and adds connections that were closed because of that.
    pub(crate) fn tell_memory(&self, is_short: bool, cuts: u64) {
        self.is_short.store(is_short, Ordering::Relaxed);
        self.memory_cuts.fetch_add(cuts, Ordering::Relaxed);
    }

    /// Adds connections that were closed because readers did not read their answers.
    pub(crate) fn count_cuts(&self, cuts: u64) {
        self.memory_cuts.fetch_add(cuts, Ordering::Relaxed);
    }

    /// The number of connections that were closed because of memory.
    pub(crate) fn memory_cuts(&self) -> u64 {
        self.memory_cuts.load(Ordering::Relaxed)
    }

    /// Memory of the series of intakes, which closing connections does not give back.
    pub(crate) fn held_by_intakes(&self) -> u64 {
        self.state().counters.intakes.iter().map(|intake| intake.held_bytes).sum()
    }

    /// Whether memory is short.
    pub(crate) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    pub(crate) fn tell_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the router has updated its state recently.
    pub(crate) fn is_alive(&self) -> bool {
        self.state().heard.elapsed() <= SILENCE
    }

    /// The reason why the broker is not ready, if it is not.
    pub(crate) fn unready(&self) -> Option<String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Some("the broker is stopping".to_owned());
        }
        let state = self.state();
        if state.heard.elapsed() > SILENCE {
            return Some("the router has not answered for five seconds".to_owned());
        }
        if let Some(journal) = &state.counters.journal {
            if let Some(problem) = &journal.problem {
                return Some(format!(
                    "the journal cannot be written, so nothing is accepted and publishers keep \
                     their measurements: {problem}"
                ));
            }
            if let Some(problem) = &journal.watermark_problem {
                return Some(format!(
                    "the journal's file `watermark`, which protects windows if the clock is set \
                     back, cannot be written: {problem}"
                ));
            }
        }
        // An intake that failed is not started again.
        let mut intakes = state.counters.intakes.iter();
        if let Some(failed) = intakes.find(|intake| intake.failures > 0) {
            return Some(format!(
                "the intake {} failed and receives nothing; see event=intake_failed in the log, \
                 and restart the broker",
                failed.name
            ));
        }
        if let Some(limit) = state.descriptors.short_of {
            return Some(format!(
                "connections are refused, because nearly all of {limit} file descriptors are in use; \
                 raise LimitNOFILE, minfds or ulimit -n"
            ));
        }
        if let Some(problem) = &state.replay.unreadable {
            return Some(problem.clone());
        }
        let problem = state.replay.unsaved.as_ref()?;
        Some(format!(
            "cursors cannot be saved, so what workers deliver now is delivered again after a \
             restart of the broker: {problem}"
        ))
    }
}
