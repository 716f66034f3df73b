//! A delivery whose backend sends four payloads at the same time, and has their results in the reverse
//! order.

use super::super::{Delivery, DeliverySettings, Shared};
use crate::backend::{Answered, Backend, Payload, RefusedPart, SendError, Sending};
use crate::backoff::Pace;
use crate::dead_letters::{DeadLetters, files, read};
use crate::progress::Progress;
use crate::queue::queue;
use crate::status::Status;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::window::Window;

const TOGETHER: usize = 4;

/// What is wrong with an attempt.
#[derive(Clone, Copy)]
enum Fault {
    Away(Option<Duration>),
    Cut,
    Held,
}

/// Each window is ten payloads, whose bodies are the window's number and theirs. A series is a byte, and
/// an `x` is rejected.
#[derive(Default)]
struct Lanes {
    windows: usize,
    /// By the number of the payload, in the first window.
    faults: BTreeMap<usize, Vec<Fault>>,
    /// Payloads that have bytes which are rejected, alone or in part.
    bad: Vec<usize>,
    bad_in_part: Vec<usize>,
    /// What was sent, and when, and what was accepted.
    tries: Vec<(Instant, String, String)>,
    taken: Vec<String>,
    /// Number of payloads that are sent while the window is encoded.
    early: usize,
    /// Stops the worker after so many attempts.
    abandon_at: Option<(usize, Arc<crate::queue::Queue>)>,
}

impl Backend for Lanes {
    fn payloads(&mut self, _: Window) -> Vec<Payload> {
        self.windows += 1;
        let body = |n| match self.bad.contains(&n) || self.bad_in_part.contains(&n) {
            true => format!("{}{n}gx", self.windows),
            false => format!("{}{n}gg", self.windows),
        };
        (0..10).map(|n| Payload::new(body(n).into_bytes(), 4)).collect()
    }

    fn payloads_sent(&mut self, window: Window, sending: Sending<'_>) -> Vec<Payload> {
        let mut payloads = self.payloads(window);
        for (index, payload) in payloads.iter_mut().enumerate() {
            payload.key = sending.key(index, &payload.body);
        }
        self.send_together(&payloads[..self.early], sending.answered);
        payloads
    }

    fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
        let body = String::from_utf8(payload.body.clone()).unwrap();
        self.tries.push((Instant::now(), body.clone(), payload.key.clone()));
        if let Some((after, queue)) = &self.abandon_at
            && self.tries.len() >= *after
        {
            queue.abandon();
        }
        let number = body.get(1..2).and_then(|n| n.parse().ok()).filter(|_| self.windows == 1);
        let faults = number.and_then(|number: usize| self.faults.get_mut(&number));
        match faults.and_then(Vec::pop) {
            Some(Fault::Away(after)) => {
                return Err(SendError::Retry { after, why: "away".into() });
            }
            Some(Fault::Cut) => {
                self.taken.push(body);
                return Err(SendError::Unknown { after: None, why: "cut".into() });
            }
            Some(Fault::Held) => return Err(SendError::Stop { why: "held".into() }),
            None => {}
        }
        if body.contains('x') && number.is_some_and(|n| self.bad_in_part.contains(&n)) {
            self.taken.push(body.replace('x', ""));
            let refused = RefusedPart::These(Payload::new(b"x".to_vec(), 1));
            return Err(SendError::Partial { refused, why: "one is bad".into() });
        }
        if body.contains('x') {
            return Err(SendError::Reject { why: "bad".into() });
        }
        self.taken.push(body);
        Ok(())
    }

    fn send_together(&mut self, payloads: &[Payload], answered: Answered<'_>) {
        for (round, begun) in payloads.chunks(TOGETHER).enumerate() {
            let results: Vec<_> = begun.iter().map(|payload| self.send(payload)).collect();
            let mut is_over = false;
            for (n, result) in results.into_iter().enumerate().rev() {
                is_over |= answered(TOGETHER * round + n, result).is_break();
            }
            if is_over {
                return;
            }
        }
    }

    fn split(&self, payload: &Payload) -> Option<[Payload; 2]> {
        let (left, right) = payload.body.split_at(payload.body.len() / 2);
        let half = |body: &[u8]| Payload::new(body.to_vec(), body.len());
        (!left.is_empty()).then(|| [half(left), half(right)])
    }
}

fn delivery(backend: Lanes, folder: &Path) -> (Delivery<Lanes>, Shared) {
    let shared = Shared {
        queue: queue(1).1,
        ledger: Arc::default(),
        progress: Arc::new(Progress::new().unwrap()),
        status: Arc::new(Status::new()),
    };
    let settings = DeliverySettings {
        name: "w".to_owned(),
        pace: Pace::new(Duration::from_millis(1), Duration::from_millis(1)),
        catch_up: 0,
        dead_letters: Some(DeadLetters::new(folder.to_owned(), 1 << 20, "p".to_owned(), "w")),
    };
    (Delivery::new(backend, settings, shared.clone()), shared)
}

/// Delivers two windows, and returns the delivery.
fn two_windows(backend: Lanes, folder: &Path) -> (Delivery<Lanes>, Shared) {
    let (mut delivery, shared) = delivery(backend, folder);
    for start_ms in [60_000, 61_000] {
        assert!(delivery.deliver(Window::new(start_ms, 1_000, 10)).is_continue());
    }
    (delivery, shared)
}

fn expected(windows: usize) -> Vec<String> {
    (1..=windows).flat_map(|window| (0..10).map(move |n| format!("{window}{n}gg"))).collect()
}

/// The numbers of the payloads of the attempts, in their order.
fn tries(backend: &Lanes) -> Vec<&str> {
    backend.tries.iter().map(|(_, body, _)| body.get(..2).unwrap()).collect()
}

#[test]
fn each_payload_arrives_once_whatever_fails_and_windows_stay_in_order() {
    let away = Fault::Away(None);
    for (faults, retries, repeated) in [
        (vec![], 0, 0),
        (vec![(0, vec![away])], 1, 0),
        (vec![(2, vec![away, away]), (3, vec![away])], 3, 0),
        (vec![(0, vec![away]), (1, vec![away]), (2, vec![away]), (3, vec![away])], 4, 0),
        (vec![(5, vec![Fault::Held]), (6, vec![Fault::Held])], 2, 0),
        (vec![(9, vec![away, Fault::Held])], 2, 0),
        (vec![(1, vec![away]), (8, vec![away]), (9, vec![away])], 3, 0),
    ] {
        // As many are sent while the window is encoded.
        for early in [0, 1, 6, 10] {
            let folder = tempfile::tempdir().unwrap();
            let faults = faults.iter().cloned().collect();
            let backend = Lanes { faults, early, ..Lanes::default() };
            let (delivery, shared) = two_windows(backend, folder.path());
            let counters = shared.ledger.read();
            assert_eq!((counters.retries, counters.payloads_repeated), (retries, repeated));
            assert_eq!((counters.series_delivered, counters.windows_delivered), (80, 2));
            let mut taken = delivery.backend.taken;
            let second = taken.iter().position(|body| body.starts_with('2')).unwrap();
            assert_eq!(second, 10, "{taken:?}");
            taken.sort();
            assert_eq!(taken, expected(2));
        }
    }
}

#[test]
fn what_may_have_arrived_is_sent_again_with_the_same_key_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let faults = BTreeMap::from([(1, vec![Fault::Cut]), (2, vec![Fault::Cut])]);
    let backend = Lanes { faults, ..Lanes::default() };
    let (delivery, shared) = two_windows(backend, folder.path());
    let counters = shared.ledger.read();
    assert_eq!((counters.retries, counters.payloads_repeated), (2, 2));
    assert_eq!(counters.series_delivered, 80);
    let backend = delivery.backend;
    for body in ["11gg", "12gg"] {
        let keys = backend.tries.iter().filter(|(_, sent, _)| sent == body);
        let keys: Vec<_> = keys.map(|(_, _, key)| key).collect();
        assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    }
    let once = expected(2).into_iter().filter(|body| backend.tries.iter().any(|t| t.1 == *body));
    assert_eq!(once.count(), 20);
}

#[test]
fn all_wait_for_the_longest_time_that_the_receiver_requests() {
    let folder = tempfile::tempdir().unwrap();
    let [short, long] = [5, 60].map(Duration::from_millis);
    let faults = BTreeMap::from([
        (1, vec![Fault::Away(None)]),
        (2, vec![Fault::Away(Some(long))]),
        (3, vec![Fault::Away(Some(short))]),
    ]);
    let (delivery, _) = two_windows(Lanes { faults, ..Lanes::default() }, folder.path());
    let backend = &delivery.backend;
    assert_eq!(tries(backend)[..8], ["10", "11", "12", "13", "11", "12", "13", "14"]);
    let at = |n: usize| backend.tries[n].0;
    assert!(at(4).duration_since(at(3)) >= long);
}

#[test]
fn a_bad_series_is_found_and_the_others_arrive_once() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Lanes { bad: vec![2, 3, 9], bad_in_part: vec![1], early: 5, ..Lanes::default() };
    let (mut delivery, shared) = delivery(backend, folder.path());
    assert!(delivery.deliver(Window::new(60_000, 60_000, 10)).is_continue());
    let counters = shared.ledger.read();
    assert_eq!((counters.series_delivered, counters.series_rejected), (36, 4));
    assert_eq!((counters.windows_delivered, counters.windows_lost), (0, 1));
    let letters = files(folder.path()).unwrap();
    let letters = letters.iter().map(|file| read(file).unwrap().0);
    let letters: Vec<_> = letters.map(|letter| (letter.key, letter.body)).collect();
    assert_eq!(letters.len(), 4);
    for ((key, body), index) in letters.iter().zip([1, 2, 3, 9]) {
        assert!(key.starts_with(&format!("w/60000+60000/{index}-")) && body == b"x", "{key}");
    }
    let mut taken = delivery.backend.taken.concat();
    assert_eq!(taken.len(), 36);
    taken.retain(|c| c == 'x');
    assert!(taken.is_empty());
}

#[test]
fn nothing_is_begun_when_the_time_is_up() {
    let folder = tempfile::tempdir().unwrap();
    let (mut delivery, shared) = delivery(Lanes::default(), folder.path());
    delivery.backend.abandon_at = Some((6, Arc::clone(&shared.queue)));
    assert!(delivery.deliver(Window::new(60_000, 1_000, 10)).is_break());
    assert_eq!(delivery.backend.tries.len(), 8);
    assert_eq!(shared.ledger.read().windows_delivered, 0);
    assert!(delivery.deliver(Window::new(61_000, 1_000, 10)).is_break());
    assert_eq!(delivery.backend.tries.len(), 8);
}

/// A backend that has no result for what it should send.
struct Idle(usize);

impl Backend for Idle {
    fn payloads(&mut self, _: Window) -> Vec<Payload> {
        vec![Payload::new(b"a".to_vec(), 1), Payload::new(b"b".to_vec(), 1)]
    }

    fn send(&mut self, _: &Payload) -> Result<(), SendError> {
        self.0 += 1;
        Ok(())
    }

    fn send_together(&mut self, payloads: &[Payload], answered: Answered<'_>) {
        // The first one has no result, so the second one is sent again.
        if payloads.len() > 1 {
            assert!(answered(1, Ok(())).is_continue());
        }
    }
}

#[test]
fn a_payload_without_a_result_is_sent() {
    let shared = Shared {
        queue: queue(1).1,
        ledger: Arc::default(),
        progress: Arc::new(Progress::new().unwrap()),
        status: Arc::new(Status::new()),
    };
    let (name, pace) = ("w".to_owned(), Pace::default());
    let settings = DeliverySettings { name, pace, catch_up: 0, dead_letters: None };
    let mut delivery = Delivery::new(Idle(0), settings, shared);
    assert!(delivery.deliver(Window::new(60_000, 1_000, 10)).is_continue());
    assert_eq!(delivery.backend.0, 2);
}
