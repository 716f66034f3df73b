//! A thread that the broker owns. Dropping [`OwnedThread`] asks the thread to end, and joins it.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use zibrato::daemon::{NotifyOnDrop, Stop};

/// Maximum time to wait for a thread whose owner is dropped.
const DROP_DEADLINE: Duration = Duration::from_secs(2);

/// A thread that ends soon after a token is raised.
#[derive(Debug)]
pub(super) struct OwnedThread<T> {
    stop: Stop,
    ended: Stop,
    handle: Option<JoinHandle<T>>,
}

impl<T: Send + 'static> OwnedThread<T> {
    /// Starts a thread that runs `run`, which must return soon after `stop` is raised.
    pub(super) fn start(
        name: &str,
        stop: Stop,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Self> {
        let ended = Stop::new()?;
        let last_word = NotifyOnDrop::new(ended.clone());
        let handle = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _last_word = last_word;
            run()
        })?;
        Ok(Self { stop, ended, handle: Some(handle) })
    }
}

impl<T> OwnedThread<T> {
    /// Raised when the thread has ended.
    pub(super) const fn ended(&self) -> &Stop {
        &self.ended
    }

    /// Whether [`end`](Self::end) has not been called yet.
    pub(super) const fn is_owned(&self) -> bool {
        self.handle.is_some()
    }

    /// Asks the thread to end, and joins it. Returns `None` if it has not ended within `timeout`;
    /// it then continues without an owner.
    pub(super) fn end(&mut self, timeout: Duration) -> Option<thread::Result<T>> {
        self.stop.raise();
        let handle = self.handle.take()?;
        // The thread has ended, so joining does not block.
        self.ended.wait(timeout).then(|| handle.join())
    }
}

impl<T> Drop for OwnedThread<T> {
    fn drop(&mut self) {
        self.end(DROP_DEADLINE);
    }
}

#[cfg(test)]
mod tests {
    use super::OwnedThread;
    use std::sync::Arc;
    use std::time::Duration;
    use zibrato::daemon::Stop;

    #[test]
    fn dropping_it_ends_and_joins_the_thread() {
        let (stop, shared) = (Stop::new().unwrap(), Arc::new(()));
        let (asked, held) = (stop.clone(), Arc::clone(&shared));
        let thread = OwnedThread::start("a", stop, move || {
            assert!(asked.wait(Duration::MAX));
            drop(held);
        });
        drop(thread.unwrap());
        assert_eq!(Arc::strong_count(&shared), 1);
    }

    #[test]
    fn a_thread_that_does_not_end_in_time_is_given_up_at_once_afterwards() {
        let (stop, end) = (Stop::new().unwrap(), Stop::new().unwrap());
        let waits_for = end.clone();
        let mut thread =
            OwnedThread::start("b", stop, move || waits_for.wait(Duration::MAX)).unwrap();
        assert!(thread.end(Duration::ZERO).is_none() && !thread.is_owned());
        assert!(thread.end(Duration::MAX).is_none(), "it is waited for once");
        end.raise();
    }

    #[test]
    fn the_end_of_a_thread_gives_its_value_or_its_panic() {
        let start = |panics: bool| {
            let run = move || {
                assert!(!panics, "on purpose");
                7
            };
            OwnedThread::start("c", Stop::new().unwrap(), run).unwrap().end(Duration::MAX)
        };
        assert_eq!(start(false).unwrap().unwrap(), 7);
        assert!(start(true).unwrap().is_err());
    }
}
