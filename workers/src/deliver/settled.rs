//! Payloads that were delivered but may still be lost, because the receiver confirms nothing.

use super::key::{PayloadId, parse};
use super::{Delivery, PROBE, causes};
use crate::backend::{Backend, Refusal};
use crate::progress::SETTLE_STEP;
use std::collections::BTreeSet;
use std::ops::ControlFlow::{self, Continue};
use std::time::{Duration, Instant};

/// Maximum time for which a payload that was accepted first is sent in parts, even if its window is
/// shorter.
const LONGEST_SPLIT: Duration = Duration::from_secs(30);

impl<B: Backend> Delivery<B> {
    /// Asks the backend which payloads are safe, and returns when to ask again.
    pub(super) fn settle_by(&mut self) -> Instant {
        let unsettled = self.backend.unsettled_since();
        self.shared.status.receiver_fails(self.backend.trouble());
        let now = Instant::now();
        if self.shared.progress.settle(unsettled) { now + PROBE } else { now + SETTLE_STEP }
    }

    /// Handles payloads that were accepted but turned out to be rejected. Returns whether none of
    /// them belongs to the current window.
    pub(super) fn take_back(&mut self, at_hand: PayloadId) -> ControlFlow<(), bool> {
        let (mut whole, mut lost) = (true, BTreeSet::new());
        while let Some(Refusal { payload, why }) = self.backend.take_back() {
            // Its parts are delivered after the windows that it delayed.
            self.shared.progress.postpone(Instant::now());
            let (series, why) = (payload.series as u64, causes(&*why));
            self.shared.ledger.write(|c| {
                c.series_delivered = c.series_delivered.saturating_sub(series);
            });
            let id = parse(&payload.key).unwrap_or(at_hand);
            self.split_for = Duration::ZERO;
            let is_whole = self.refused(payload, id, why, LONGEST_SPLIT)?;
            self.split_for = Duration::ZERO;
            if id.start_ms == at_hand.start_ms {
                whole &= is_whole;
            } else if !is_whole && lost.insert(id.start_ms) {
                self.shared.ledger.write(|c| {
                    c.windows_delivered = c.windows_delivered.saturating_sub(1);
                    c.windows_lost += 1;
                });
            }
        }
        Continue(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Delivery, DeliverySettings, Shared};
    use crate::backend::{Backend, Payload, Refusal, SendError};
    use crate::backoff::Pace;
    use crate::dead_letters::{DeadLetters, files, read};
    use crate::progress::{Checkpoint, Progress};
    use crate::queue::queue;
    use crate::status::Status;
    use std::sync::Arc;
    use std::time::{Duration, Instant};
    use zibrato::window::Window;

    /// Accepts everything, and reports at the second window that `b` in the first one is rejected.
    /// Each byte is a series.
    #[derive(Default)]
    struct Late {
        taken: Vec<Payload>,
        windows: usize,
        unsettled: Option<Instant>,
        trouble: Option<String>,
    }

    impl Backend for Late {
        fn payloads(&mut self, _: Window) -> Vec<Payload> {
            self.windows += 1;
            let body = if self.windows == 1 { "ggbg" } else { "gg" };
            vec![Payload::new(body.into(), body.len())]
        }

        fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
            if self.windows > 1 && payload.body.contains(&b'b') {
                return Err(SendError::Reject { why: "bad".into() });
            }
            self.taken.push(payload.clone());
            Ok(())
        }

        fn split(&self, payload: &Payload) -> Option<[Payload; 2]> {
            let (left, right) = payload.body.split_at(payload.body.len() / 2);
            let half = |body: &[u8]| Payload::new(body.to_vec(), body.len());
            (!left.is_empty()).then(|| [half(left), half(right)])
        }

        fn unsettled_since(&mut self) -> Option<Instant> {
            self.unsettled
        }

        fn take_back(&mut self) -> Option<Refusal> {
            let place = self.taken.iter().position(|payload| payload.body.contains(&b'b'))?;
            let payload = (self.windows > 1).then(|| self.taken.remove(place))?;
            Some(Refusal { payload, why: "reset".into() })
        }

        fn trouble(&self) -> Option<String> {
            self.trouble.clone()
        }
    }

    fn delivery(letters: DeadLetters) -> (Delivery<Late>, Shared) {
        let shared = Shared {
            queue: queue(1).1,
            ledger: Arc::default(),
            progress: Arc::new(Progress::new().unwrap()),
            status: Arc::new(Status::new()),
        };
        let (name, pace) = ("w".to_owned(), Pace::default());
        let settings = DeliverySettings { name, pace, catch_up: 0, dead_letters: Some(letters) };
        (Delivery::new(Late::default(), settings, shared.clone()), shared)
    }

    #[test]
    fn a_payload_that_is_rejected_later_is_sent_in_parts_and_delays_the_commit() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::new(folder.path().to_owned(), 1 << 20, "p".to_owned(), "w");
        let (mut delivery, shared) = delivery(letters);
        assert!(delivery.deliver(Window::new(60_000, 1_000, 10)).is_continue());
        assert_eq!(shared.ledger.read().series_delivered, 4);
        let first = Instant::now();
        let through = Checkpoint::new([1]);
        shared.progress.deliver(Some(through.clone()), 61_000, first);
        assert!(delivery.deliver(Window::new(61_000, 1_000, 10)).is_continue());
        let counters = shared.ledger.read();
        assert_eq!((counters.series_delivered, counters.series_rejected), (5, 1));
        assert_eq!((counters.windows_delivered, counters.windows_lost), (1, 1));
        let letter = read(&files(folder.path()).unwrap()[0]).unwrap().0;
        assert_eq!((letter.start_ms, letter.length_ms, &*letter.body), (60_000, 1_000, &b"b"[..]));
        // The window is not safe before its parts are delivered.
        delivery.backend.unsettled = Some(first + Duration::from_nanos(1));
        delivery.settle_by();
        assert_eq!(shared.progress.settled().through, None);
        delivery.backend.unsettled = None;
        delivery.settle_by();
        assert_eq!(shared.progress.settled().through, Some(through));
    }

    #[test]
    fn a_problem_of_the_receiver_makes_the_worker_not_ready_and_is_checked_again_soon() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::new(folder.path().to_owned(), 1 << 20, "p".to_owned(), "w");
        let (mut delivery, shared) = delivery(letters);
        let since = Instant::now();
        shared.progress.deliver(None, 60_000, since);
        let unready = || shared.status.unready(Duration::from_secs(60));
        (delivery.backend.unsettled, delivery.backend.trouble) =
            (Some(since), Some("resets".to_owned()));
        assert!(delivery.settle_by() < Instant::now() + Duration::from_secs(2));
        assert_eq!(unready().as_deref(), Some("resets"));
        (delivery.backend.unsettled, delivery.backend.trouble) = (None, None);
        delivery.settle_by();
        assert_eq!((unready(), shared.progress.settled().all), (None, true));
    }
}
