//! An owned thread: it has a name, and is joined with a deadline.

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

/// A running thread. Dropping this does not stop the thread.
#[derive(Debug)]
pub(crate) struct OwnedThread {
    name: &'static str,
    handle: Option<JoinHandle<()>>,
    ended: Receiver<Ended>,
}

/// How a thread ended, if it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It panicked; the message is in the log.
    Panicked,
    /// It returned.
    Returned,
    /// It is still running.
    StillRunning,
}

impl OwnedThread {
    /// Starts a thread. `at_end` runs after `body` has returned or panicked.
    pub(crate) fn spawn(
        name: &'static str,
        body: impl FnOnce() + Send + 'static,
        at_end: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, ended) = bounded(1);
        let handle = Builder::new().name(name.to_owned()).spawn(move || {
            // Data of the body is not used afterwards, except counters behind locks.
            let how = match catch_unwind(AssertUnwindSafe(body)) {
                Ok(()) => Ended::Returned,
                Err(_) => Ended::Panicked,
            };
            at_end();
            if sender.send(how).is_err() {
                tracing::debug!(event = "thread_ended_late", thread = name);
            }
        })?;
        Ok(Self { name, handle: Some(handle), ended })
    }

    /// Waits until the thread has ended, at most until `until`.
    pub(crate) fn join_by(&mut self, until: Instant) -> Ended {
        let ended = match self.ended.recv_deadline(until) {
            Ok(ended) => ended,
            Err(RecvTimeoutError::Disconnected) => Ended::Returned,
            Err(RecvTimeoutError::Timeout) => return Ended::StillRunning,
        };
        if let Some(handle) = self.handle.take() {
            // The thread has reported its end, so this does not block; `ended` records a panic.
            drop(handle.join());
        }
        if ended == Ended::Panicked {
            tracing::error!(event = "thread_panicked", thread = self.name);
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::{Ended, OwnedThread};
    use crossbeam_channel::bounded;
    use std::time::{Duration, Instant};

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn a_thread_is_joined_until_the_deadline() {
        let (go, wait) = bounded::<()>(0);
        let body = move || assert!(wait.recv().is_err());
        let mut thread = OwnedThread::spawn("zb-test", body, || ()).unwrap();
        assert_eq!(thread.join_by(Instant::now()), Ended::StillRunning);
        drop(go);
        assert_eq!(thread.join_by(later()), Ended::Returned);
        assert_eq!(thread.join_by(later()), Ended::Returned);
    }

    #[test]
    fn a_panic_is_reported_and_the_final_action_runs() {
        let (sender, receiver) = bounded(1);
        let at_end = move || sender.send(()).unwrap();
        let mut thread = OwnedThread::spawn("zb-test", || panic!("on purpose"), at_end).unwrap();
        assert_eq!(thread.join_by(later()), Ended::Panicked);
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
