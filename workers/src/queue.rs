//! The windows that wait for the backend, and how the delivery is stopped.

use crate::progress::Checkpoint;
use crossbeam_channel::{
    Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded, select_biased,
};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use zibrato::window::Window;

/// The most windows that may wait: a channel takes its memory when it is made.
const LONGEST: usize = 10_000;

/// A window that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) window: Window,
    /// When it is delivered, so is everything before this place.
    pub(crate) through: Option<Checkpoint>,
}

/// Where the feed puts windows. Dropping it closes the queue.
#[derive(Debug)]
pub(crate) struct Inlet {
    /// `None` once it is closed.
    sender: Option<Sender<Waiting>>,
    most: usize,
    queue: Arc<Queue>,
}

/// What the other threads see of the queue: the windows, and whether the worker is being stopped.
#[derive(Debug)]
pub(crate) struct Queue {
    windows: Receiver<Waiting>,
    deadline: OnceLock<Instant>,
    stopping: Signal,
    abandoned: Signal,
}

/// A queue for `most` windows, at least one and at most [`LONGEST`].
pub(crate) fn queue(most: usize) -> (Inlet, Arc<Queue>) {
    let (sender, windows) = bounded(most.clamp(1, LONGEST));
    let (stopping, abandoned) = (Signal::new(), Signal::new());
    let queue = Arc::new(Queue { windows, deadline: OnceLock::new(), stopping, abandoned });
    let most = queue.windows.capacity().unwrap_or(LONGEST);
    (Inlet { sender: Some(sender), most, queue: Arc::clone(&queue) }, queue)
}

impl Inlet {
    /// From now on there is no room when so many windows wait, or when the queue is full.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.most = most.clamp(1, self.queue.windows.capacity().unwrap_or(LONGEST));
    }

    /// Whether a window can be put in, for a feed that would rather wait than drop one.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < self.most
    }

    /// Puts a window in. Returns the window that was dropped for it: the oldest if the queue is full,
    /// or this one if the queue is closed or abandoned.
    pub(crate) fn push(&self, waiting: Waiting) -> Option<Waiting> {
        let Some(sender) = self.sender.as_ref().filter(|_| !self.queue.is_abandoned()) else {
            return Some(waiting);
        };
        let waiting = match sender.try_send(waiting) {
            Ok(()) => return None,
            Err(full) => full.into_inner(),
        };
        let oldest = self.queue.windows.try_recv().ok();
        // There is room now, because nobody else puts windows in.
        sender.try_send(waiting).err().map(TrySendError::into_inner).or(oldest)
    }

    /// No window will come any more.
    pub(crate) fn close(&mut self) {
        self.sender = None;
    }

    /// What the other threads see.
    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }
}

impl Queue {
    /// Takes the oldest window, waiting for one until `due`. It is disconnected when none will come
    /// any more.
    pub(crate) fn take_by(&self, due: Instant) -> Result<Waiting, RecvTimeoutError> {
        select_biased! {
            recv(self.abandoned.closed) -> _ => Err(RecvTimeoutError::Disconnected),
            recv(self.windows) -> waiting => waiting.map_err(RecvTimeoutError::from),
            default(due.saturating_duration_since(Instant::now())) => Err(RecvTimeoutError::Timeout),
        }
    }

    /// The number of windows that wait.
    pub(crate) fn len(&self) -> usize {
        self.windows.len()
    }

    /// Says that the worker is being stopped, and has until `deadline`. The first one counts.
    pub(crate) fn stop_by(&self, deadline: Instant) {
        self.deadline.get_or_init(|| deadline);
        self.stopping.raise();
    }

    /// Says that the time is up, and drops the windows.
    pub(crate) fn abandon(&self) {
        self.abandoned.raise();
        self.windows.try_iter().for_each(drop);
    }

    /// When the worker has to have stopped, if it is being stopped.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline.get().copied()
    }

    /// Whether the time is up.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.is_raised()
    }

    /// Waits until `due`, or until the worker is being stopped: then the deadline of that.
    pub(crate) fn pause_until(&self, due: Instant) -> Option<Instant> {
        self.stopping.wait_until(due);
        self.deadline()
    }

    /// Waits until `due` although the worker is being stopped, or until the time is up.
    pub(crate) fn sleep_until(&self, due: Instant) {
        self.abandoned.wait_until(due);
    }
}

/// Something that happens once. It is a channel over which nothing is sent: closing it wakes
/// everybody who waits.
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

    /// Waits until it is raised, or until `due`.
    fn wait_until(&self, due: Instant) {
        // Nothing is ever sent: this ends by the time or by the end of the sender.
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
            Err(RecvTimeoutError::Timeout) => panic!("a window or an end"),
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
    fn a_feed_that_looks_first_drops_nothing() {
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
    fn a_window_a_stop_and_an_end_wake_who_waits() {
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
    fn a_stop_ends_a_pause_and_an_end_ends_everything() {
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
