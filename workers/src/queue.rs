//! The queue of windows for the backend, and the signals that stop the delivery.

use crate::progress::Checkpoint;
use crossbeam_channel::{
    Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded, select_biased,
};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use zibrato::window::Window;

/// Maximum length of the queue. A channel allocates its memory when it is created.
const LONGEST: usize = 10_000;

/// A queued window.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) window: Window,
    /// Once the window is delivered, everything before this position is delivered.
    pub(crate) through: Option<Checkpoint>,
}

/// The sending end of the queue. Dropping it closes the queue.
#[derive(Debug)]
pub(crate) struct Inlet {
    /// `None` once it is closed.
    sender: Option<Sender<Waiting>>,
    most: usize,
    queue: Arc<Queue>,
}

/// The receiving end of the queue, with the signals to stop.
#[derive(Debug)]
pub(crate) struct Queue {
    windows: Receiver<Waiting>,
    deadline: OnceLock<Instant>,
    stopping: Signal,
    abandoned: Signal,
}

/// Creates a queue for `most` windows, at least one and at most [`LONGEST`].
pub(crate) fn queue(most: usize) -> (Inlet, Arc<Queue>) {
    let (sender, windows) = bounded(most.clamp(1, LONGEST));
    let (stopping, abandoned) = (Signal::new(), Signal::new());
    let queue = Arc::new(Queue { windows, deadline: OnceLock::new(), stopping, abandoned });
    let most = queue.windows.capacity().unwrap_or(LONGEST);
    (Inlet { sender: Some(sender), most, queue: Arc::clone(&queue) }, queue)
}

impl Inlet {
    /// Limits the queue to `most` windows.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.most = most.clamp(1, self.queue.windows.capacity().unwrap_or(LONGEST));
    }

    /// Whether a window can be queued without dropping another one.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < self.most
    }

    /// Queues a window. Returns the window that was dropped instead: the oldest one if the queue is
    /// full, or this one if the queue is closed or abandoned.
    pub(crate) fn push(&self, waiting: Waiting) -> Option<Waiting> {
        let Some(sender) = self.sender.as_ref().filter(|_| !self.queue.is_abandoned()) else {
            return Some(waiting);
        };
        let waiting = match sender.try_send(waiting) {
            Ok(()) => return None,
            Err(full) => full.into_inner(),
        };
        let oldest = self.queue.windows.try_recv().ok();
        // There is space now, because only this thread queues windows.
        sender.try_send(waiting).err().map(TrySendError::into_inner).or(oldest)
    }

    /// Closes the queue: no further window follows.
    pub(crate) fn close(&mut self) {
        self.sender = None;
    }

    /// The receiving end.
    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }
}

impl Queue {
    /// Removes the oldest window; waits for one until `due`. Returns `Disconnected` if no further
    /// window will follow.
    pub(crate) fn take_by(&self, due: Instant) -> Result<Waiting, RecvTimeoutError> {
        select_biased! {
            recv(self.abandoned.closed) -> _ => Err(RecvTimeoutError::Disconnected),
            recv(self.windows) -> waiting => waiting.map_err(RecvTimeoutError::from),
            default(due.saturating_duration_since(Instant::now())) => Err(RecvTimeoutError::Timeout),
        }
    }

    /// Number of queued windows.
    pub(crate) fn len(&self) -> usize {
        self.windows.len()
    }

    /// Signals that the worker is stopping and must have stopped at `deadline`. Only the first
    /// deadline counts.
    pub(crate) fn stop_by(&self, deadline: Instant) {
        self.deadline.get_or_init(|| deadline);
        self.stopping.raise();
    }

    /// Signals that the time is up, and drops the queued windows.
    pub(crate) fn abandon(&self) {
        self.abandoned.raise();
        self.windows.try_iter().for_each(drop);
    }

    /// The time at which the worker must have stopped, if it is stopping.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline.get().copied()
    }

    /// Whether the time is up.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.is_raised()
    }

    /// Waits until `due`, or until the worker is stopping; in that case returns the deadline.
    pub(crate) fn pause_until(&self, due: Instant) -> Option<Instant> {
        self.stopping.wait_until(due);
        self.deadline()
    }

    /// Waits until `due` even if the worker is stopping, or until the time is up.
    pub(crate) fn sleep_until(&self, due: Instant) {
        self.abandoned.wait_until(due);
    }
}

/// A signal that is raised once. It is a channel on which nothing is sent: closing it wakes all
/// waiting threads.
#[derive(Debug)]
struct Signal {
    open: Mutex<Option<Sender<Infallible>>>,
    closed: Receiver<Infallible>,
}

impl Signal {
    fn new() -> Self {
        let (open, closed) = bounded(0);
        Self { open: Mutex::new(Some(open)), closed }
    }

    fn raise(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn is_raised(&self) -> bool {
        self.closed.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Waits until the signal is raised, at most until `due`.
    fn wait_until(&self, due: Instant) {
        // Nothing is ever sent, so this ends with a timeout or when the sender is dropped.
        self.closed.recv_deadline(due).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::{Queue, RecvTimeoutError, Waiting, queue};
    use std::time::{Duration, Instant};
    use zibrato::window::Window;

    fn window(start_ms: u64) -> Waiting {
        Waiting { window: Window::new(start_ms, 1000, 10), through: None }
    }

    fn take(queue: &Queue) -> Option<Waiting> {
        match queue.take_by(Instant::now()) {
            Ok(waiting) => Some(waiting),
            Err(RecvTimeoutError::Timeout) => panic!("expected a window or the end"),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    fn sleep(queue: &Queue, due: Instant) -> Option<Waiting> {
        queue.sleep_until(due);
        None
    }

    #[test]
    fn a_wait_for_a_window_has_a_deadline() {
        let (_inlet, queue) = queue(1);
        assert!(matches!(queue.take_by(Instant::now()), Err(RecvTimeoutError::Timeout)));
        let due = Instant::now() + Duration::from_millis(5);
        assert!(
            matches!(queue.take_by(due), Err(RecvTimeoutError::Timeout)) && Instant::now() >= due
        );
    }

    #[test]
    fn nothing_is_dropped_if_the_feed_checks_for_space() {
        let (mut inlet, queue) = queue(2);
        inlet.set_most(1);
        assert!(inlet.has_room() && inlet.push(window(0)).is_none());
        assert!(!inlet.has_room());
        inlet.set_most(usize::MAX);
        assert!(inlet.has_room() && inlet.push(window(1)).is_none());
        assert!(!inlet.has_room());
        assert!(take(&queue).is_some() && inlet.has_room());
    }

    #[test]
    fn a_full_queue_drops_the_oldest() {
        let (inlet, queue) = queue(2);
        assert!(inlet.push(window(0)).is_none() && inlet.push(window(1)).is_none());
        assert_eq!(inlet.push(window(2)).unwrap().window.start_ms(), 0);
        assert_eq!(queue.len(), 2);
        let mut inlet = inlet;
        inlet.close();
        assert!(inlet.push(window(3)).is_some());
        let taken = std::iter::from_fn(|| take(&queue)).map(|w| w.window.start_ms());
        let taken: Vec<_> = taken.collect();
        assert_eq!(taken, [1, 2]);
    }

    #[test]
    fn a_window_a_stop_and_the_end_wake_waiting_threads() {
        let far = Instant::now() + Duration::from_secs(60);
        let (inlet, queue) = queue(1);
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| queue.take_by(far).is_ok());
            inlet.push(window(0));
            assert!(taken.join().unwrap());
            let stopped = scope.spawn(|| queue.pause_until(far));
            queue.stop_by(far);
            assert_eq!(stopped.join().unwrap(), Some(far));
            let ended =
                [scope.spawn(|| queue.take_by(far).ok()), scope.spawn(|| sleep(&queue, far))];
            queue.abandon();
            assert!(ended.into_iter().all(|thread| thread.join().unwrap().is_none()));
        });
        assert!(Instant::now() < far);
    }

    #[test]
    fn a_stop_ends_a_pause_and_abandoning_ends_every_wait() {
        let ((inlet, queue), far) = (queue(2), Instant::now() + Duration::from_secs(60));
        assert_eq!(queue.pause_until(Instant::now()), None);
        queue.stop_by(far);
        assert_eq!(queue.pause_until(far), Some(far));
        inlet.push(window(0));
        queue.abandon();
        queue.sleep_until(far);
        assert!(take(&queue).is_none() && inlet.push(window(1)).is_some());
        assert_eq!(queue.len(), 0);
    }
}
