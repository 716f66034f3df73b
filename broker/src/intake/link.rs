//! Data that an intake's thread and the router share: counters in one direction, acknowledgements
//! in the other.

use crate::counters::IntakeCounters;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use zibrato::daemon::Waker;
use zibrato::wire::{Ack, PublisherId};

/// The reason for lines in batches that the router did not acknowledge before the end.
const STOP: &str = "stop";

/// The link between an intake's thread and the router.
#[derive(Debug)]
pub(crate) struct Link {
    publisher: PublisherId,
    state: Mutex<State>,
    acknowledged: Condvar,
    /// Woken by acknowledgements too, for a thread that also waits for descriptors.
    waker: OnceLock<Arc<Waker>>,
}

#[derive(Debug)]
struct State {
    counters: IntakeCounters,
    ack: Ack,
    left: Left,
}

/// What the thread has left to the router at its end.
#[derive(Debug, Default)]
struct Left {
    /// The highest sequence of each level without an acknowledgement.
    sequences: BTreeMap<String, u64>,
    /// Number of lines in these batches.
    lines: u64,
}

impl Link {
    /// A link to the intake with this name, which publishes as `publisher`.
    pub(super) fn new(name: &'static str, publisher: PublisherId) -> Self {
        let counters = IntakeCounters::new(name);
        let state = State { counters, ack: Ack::default(), left: Left::default() };
        let (acknowledged, waker) = (Condvar::new(), OnceLock::new());
        Self { publisher, state: Mutex::new(state), acknowledged, waker }
    }

    pub(crate) const fn publisher(&self) -> PublisherId {
        self.publisher
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is an assignment, so a panic leaves valid data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the thread's counters for the router.
    pub(super) fn store(&self, counters: &IntakeCounters) {
        self.state().counters.clone_from(counters);
    }

    /// Copies the thread's counters, except that of batches.
    pub(crate) fn load(&self, into: &mut IntakeCounters) {
        let batches = into.batches;
        into.clone_from(&self.state().counters);
        into.batches = batches;
    }

    /// Passes an acknowledgement to the thread.
    pub(crate) fn acknowledge(&self, ack: Ack) {
        self.state().ack.sequences.extend(ack.sequences);
        self.acknowledged.notify_all();
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    /// Wakes `waker` at each acknowledgement from now on. The first one that is given stays.
    pub(super) fn wake_on_acks(&self, waker: Arc<Waker>) {
        self.waker.get_or_init(|| waker);
    }

    /// Whether clients wait for the acknowledgements.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waker.get().is_some()
    }

    /// Leaves batches to the router: their highest sequences, and the number of lines in them.
    pub(super) fn leave(&self, sequences: BTreeMap<String, u64>, lines: u64) {
        self.state().left = Left { sequences, lines };
    }

    /// Counts lines as rejected if a batch that was left is not acknowledged. Called at the end, when
    /// nothing more is acknowledged.
    pub(crate) fn reject_left(&self) {
        let mut state = self.state();
        let State { counters, ack, left } = &mut *state;
        let Left { sequences, lines } = std::mem::take(left);
        let acknowledged = |level: &String| ack.sequences.get(level).copied().unwrap_or_default();
        if lines > 0 && sequences.iter().any(|(level, highest)| acknowledged(level) < *highest) {
            counters.reject(STOP, lines);
        }
    }

    /// Returns the acknowledgements since the last call. Waits for them at most `timeout`.
    pub(super) fn take_ack(&self, timeout: Duration) -> Ack {
        let until = Instant::now() + timeout;
        let mut state = self.state();
        while state.ack.sequences.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.acknowledged.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::take(&mut state.ack)
    }
}
