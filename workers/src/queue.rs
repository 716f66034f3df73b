//! The windows that wait for the backend, and when to give up on them.

use crate::progress::Checkpoint;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zibrato::window::Window;

/// A bounded queue between the feed and the delivery. When it is full the oldest window goes,
/// unless the feed looks first whether there is room.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

/// A window that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) window: Window,
    /// When it is delivered, so is everything before this place.
    pub(crate) through: Option<Checkpoint>,
}

#[derive(Debug)]
struct State {
    most: usize,
    windows: VecDeque<Waiting>,
    /// No window will come any more.
    closed: bool,
    /// When the worker has to have stopped.
    deadline: Option<Instant>,
    /// The deadline has passed; what is here is counted as lost.
    abandoned: bool,
}

/// Why there is no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoWindow {
    /// None will come any more.
    Ever,
    /// None has come in time.
    Yet,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// The time has come.
    Due,
    /// The worker is being stopped, and has until then.
    Stopping(Instant),
}

impl Queue {
    /// A queue for at most `most` windows, and at least one.
    pub(crate) fn new(most: usize) -> Self {
        let state = State {
            most: most.max(1),
            windows: VecDeque::new(),
            closed: false,
            deadline: None,
            abandoned: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// From now on so many windows may wait, and at least one.
    pub(crate) fn set_most(&self, most: usize) {
        self.lock().most = most.max(1);
    }

    /// Whether a window can be put in without another having to go.
    pub(crate) fn has_room(&self) -> bool {
        let state = self.lock();
        state.windows.len() < state.most
    }

    /// Puts a window in. Gives back the one that had to go for it.
    pub(crate) fn push(&self, waiting: Waiting) -> Option<Waiting> {
        let mut state = self.lock();
        if state.abandoned {
            return Some(waiting);
        }
        let full = state.windows.len() >= state.most;
        let dropped = if full { state.windows.pop_front() } else { None };
        state.windows.push_back(waiting);
        self.changed.notify_all();
        dropped
    }

    /// Takes the oldest window, waiting for one until `due`.
    pub(crate) fn take_by(&self, due: Instant) -> Result<Waiting, NoWindow> {
        let mut state = self.lock();
        loop {
            if state.abandoned {
                return Err(NoWindow::Ever);
            }
            if let Some(waiting) = state.windows.pop_front() {
                return Ok(waiting);
            }
            if state.closed {
                return Err(NoWindow::Ever);
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(NoWindow::Yet);
            }
            state = self.wait(state, left);
        }
    }

    /// How many windows wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().windows.len()
    }

    /// Says that no window will come any more.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Says that the worker is being stopped, and has until `deadline`.
    pub(crate) fn stop_by(&self, deadline: Instant) {
        self.lock().deadline = Some(deadline);
        self.changed.notify_all();
    }

    /// Says that the time is up.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.windows.clear();
        self.changed.notify_all();
    }

    /// When the worker has to have stopped, if it is being stopped.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.lock().deadline
    }

    /// Whether the time is up.
    pub(crate) fn abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// Waits until `due`, or until the worker is being stopped.
    pub(crate) fn pause_until(&self, due: Instant) -> Pause {
        let mut state = self.lock();
        loop {
            if let Some(deadline) = state.deadline {
                return Pause::Stopping(deadline);
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Pause::Due;
            }
            state = self.wait(state, left);
        }
    }

    /// Waits until `due` although the worker is being stopped, or until the time is up.
    pub(crate) fn sleep_until(&self, due: Instant) {
        let mut state = self.lock();
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if state.abandoned || left.is_zero() {
                return;
            }
            state = self.wait(state, left);
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, left: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, left);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{NoWindow, Pause, Queue, Waiting};
    use std::time::{Duration, Instant};
    use zibrato::window::Window;

    fn window(start_ms: u64) -> Waiting {
        Waiting { window: Window::new(start_ms, 1000, 10), through: None }
    }

    fn take(queue: &Queue) -> Option<Waiting> {
        match queue.take_by(Instant::now()) {
            Ok(waiting) => Some(waiting),
            Err(NoWindow::Yet) => panic!("a window or an end"),
            Err(NoWindow::Ever) => None,
        }
    }

    #[test]
    fn a_wait_for_a_window_has_a_deadline() {
        let queue = Queue::new(1);
        assert!(matches!(queue.take_by(Instant::now()), Err(NoWindow::Yet)));
        let due = Instant::now() + Duration::from_millis(5);
        assert!(matches!(queue.take_by(due), Err(NoWindow::Yet)) && Instant::now() >= due);
    }

    #[test]
    fn whoever_looks_first_drops_nothing() {
        let queue = Queue::new(1);
        assert!(queue.has_room() && queue.push(window(0)).is_none());
        assert!(!queue.has_room());
        queue.set_most(2);
        assert!(queue.has_room() && queue.push(window(1)).is_none());
        assert!(take(&queue).is_some() && queue.has_room());
    }

    #[test]
    fn a_full_queue_lets_the_oldest_go() {
        let queue = Queue::new(2);
        assert!(queue.push(window(0)).is_none() && queue.push(window(1)).is_none());
        assert_eq!(queue.push(window(2)).unwrap().window.start_ms(), 0);
        queue.close();
        let taken = std::iter::from_fn(|| take(&queue)).map(|w| w.window.start_ms());
        let taken: Vec<_> = taken.collect();
        assert_eq!(taken, [1, 2]);
    }

    #[test]
    fn a_stop_ends_a_pause_and_an_end_ends_everything() {
        let (queue, far) = (Queue::new(2), Instant::now() + Duration::from_secs(60));
        assert_eq!(queue.pause_until(Instant::now()), Pause::Due);
        queue.stop_by(far);
        assert_eq!(queue.pause_until(far), Pause::Stopping(far));
        queue.push(window(0));
        queue.abandon();
        queue.sleep_until(far);
        assert!(take(&queue).is_none() && queue.push(window(1)).is_some());
    }
}
