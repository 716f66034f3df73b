//! A delivery whose backend rejects some series.

use super::super::{Delivery, DeliverySettings, Shared};
use crate::backend::{Backend, Payload, SendError};
use crate::backoff::Pace;
use crate::counters::Ledger;
use crate::dead_letters::{DeadLetters, Letter, files, read};
use crate::progress::Progress;
use crate::queue::queue;
use crate::status::Status;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use zibrato::window::Window;

/// Each window is one payload. Each byte of it is a series, and a `b` is rejected.
struct Picky {
    body: &'static [u8],
    /// How long each answer takes.
    answers_after: Duration,
    /// The wait that the receiver requests for the next part of a payload.
    away: Option<Duration>,
}

impl Backend for Picky {
    fn payloads(&mut self, _: Window) -> Vec<Payload> {
        vec![Payload::new(self.body.to_vec(), self.body.len())]
    }

    fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
        // The receiver, which is slow.
        std::thread::park_timeout(self.answers_after);
        if let Some(after) = self.away.take_if(|_| payload.body.len() < self.body.len()) {
            return Err(SendError::Retry { after: Some(after), why: "away".into() });
        }
        if payload.body.contains(&b'b') {
            return Err(SendError::Reject { why: "bad".into() });
        }
        Ok(())
    }

    fn split(&self, payload: &Payload) -> Option<[Payload; 2]> {
        let (left, right) = payload.body.split_at(payload.body.len() / 2);
        let half = |body: &[u8]| Payload::new(body.to_vec(), body.len());
        (!left.is_empty()).then(|| [half(left), half(right)])
    }
}

fn delivery(backend: Picky, folder: &Path, most: u64) -> (Delivery<Picky>, Shared) {
    let shared = Shared {
        queue: queue(1).1,
        ledger: Arc::new(Ledger::default()),
        progress: Arc::new(Progress::new().unwrap()),
        status: Arc::new(Status::new()),
    };
    let settings = DeliverySettings {
        name: "w".to_owned(),
        pace: Pace::default(),
        catch_up: 0,
        dead_letters: Some(DeadLetters::new(folder.to_owned(), most, "p".to_owned(), "w")),
    };
    (Delivery::new(backend, settings, shared.clone()), shared)
}

fn letters(folder: &Path) -> Vec<Letter> {
    files(folder).unwrap().iter().map(|file| read(file).unwrap().0).collect()
}

#[test]
fn splitting_takes_at_most_the_length_of_the_window() {
    let folder = tempfile::tempdir().unwrap();
    let body = b"gggbgbgbgbgbgbgbgbgbgbgbgbgbgbgb";
    for (length_ms, is_late) in [(60_000, false), (20, true)] {
        let answers_after = Duration::from_millis(if is_late { 5 } else { 0 });
        let (mut delivery, shared) =
            delivery(Picky { body, answers_after, away: None }, folder.path(), 1 << 20);
        assert!(delivery.deliver(Window::new(60_000, length_ms, 10)).is_continue());
        let counters = shared.ledger.read();
        let (delivered, refused) = (counters.series_delivered, counters.series_rejected);
        assert_eq!(delivered + refused, 32);
        assert_eq!(refused > 15, is_late, "{delivered} {refused}");
    }
    // Parts that were not tried in time have keys too.
    let letters = letters(folder.path());
    assert!(letters.iter().all(|letter| letter.key.starts_with("w/60000+")), "{letters:?}");
    let keys: BTreeSet<_> = letters.iter().map(|letter| &letter.body).collect();
    assert!(keys.len() > 1);
}

#[test]
fn an_outage_of_the_backend_does_not_end_a_split() {
    let folder = tempfile::tempdir().unwrap();
    let (length_ms, away) = (500, Some(Duration::from_millis(600)));
    let backend =
        Picky { body: b"gggggggbgggggggg", answers_after: Duration::from_millis(1), away };
    let (mut delivery, shared) = delivery(backend, folder.path(), 1 << 20);
    assert!(delivery.deliver(Window::new(60_000, length_ms, 10)).is_continue());
    let counters = shared.ledger.read();
    let counts = (counters.series_delivered, counters.series_rejected, counters.retries);
    assert_eq!(counts, (15, 1, 1));
}

#[test]
fn a_full_folder_makes_the_worker_not_ready_until_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Picky { body: b"b", answers_after: Duration::ZERO, away: None };
    let (mut delivery, shared) = delivery(backend, folder.path(), 600);
    let unready = || shared.status.unready(Duration::from_secs(60));
    assert!(delivery.deliver(Window::new(60_000, 60_000, 10)).is_continue());
    assert_eq!(unready(), None);
    for start_ms in [120_000, 180_000] {
        assert!(delivery.deliver(Window::new(start_ms, 60_000, 10)).is_continue());
    }
    assert!(unready().is_some_and(|why| why.contains("--dead-letters-max")), "{:?}", unready());
    // Checking the folder does not change that.
    delivery.probe();
    assert!(unready().is_some());
    for file in files(folder.path()).unwrap() {
        std::fs::remove_file(file).unwrap();
    }
    delivery.dead_letters =
        Some(DeadLetters::new(folder.path().to_owned(), 600, "p".to_owned(), "w"));
    assert!(delivery.deliver(Window::new(240_000, 60_000, 10)).is_continue());
    assert_eq!(unready(), None);
}
