//! The two threads of a worker, with a feed and a backend that the test controls.

use super::{StopReport, Worker};
use crate::backend::{Backend, Payload, SendError};
use crate::feed::{Event, Feed, Guarantee, Wait};
use crate::progress::Checkpoint;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use zibrato::clock::unix_ms;
use zibrato::daemon::Stop;
use zibrato::window::{Fold, Window};
use zibrato::wire::{BatchId, BatchWriter, PublisherId, Stamp};

const LONG: Duration = Duration::from_secs(20);

/// A feed whose messages come from a test.
struct Played {
    messages: Receiver<Frames>,
    now: Frames,
}

type Frames = Vec<Vec<u8>>;

impl Feed for Played {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtMostOnce
    }

    fn next(&mut self, wait: &Wait<'_>) -> Event<'_> {
        let longest = Duration::from_millis(1);
        let left = wait.until().saturating_duration_since(Instant::now()).min(longest);
        let Ok(message) = self.messages.recv_timeout(left) else { return Event::Idle };
        self.now = message;
        let frames = self.now.iter().map(Vec::as_slice).collect();
        Event::Batch { frames, at: Checkpoint::default() }
    }
}

fn feed() -> (SyncSender<Frames>, Box<Played>) {
    let (send, messages) = sync_channel(10_000);
    (send, Box::new(Played { messages, now: Vec::new() }))
}

/// A batch of one counter, received `ago_ms` before now.
fn batch(sequence: u64, name: &str, sum: f64, ago_ms: u64) -> Frames {
    let id = BatchId { publisher: PublisherId([3; 16]), sequence };
    let stamp = Stamp { offset: 0, received_ms: unix_ms() - ago_ms };
    let mut body = BatchWriter::new("s", 0, 1000);
    body.counter(name, &[], sum);
    [&b"zb1|info|"[..], &id.encode(), &stamp.encode(), &body.finish()].map(<[u8]>::to_vec).to_vec()
}

/// The answer of a backend that the test controls.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Hang,
    Panic,
    Reject,
    Retry,
    RetryAfter(Duration),
    Stop,
    Take,
}

#[derive(Debug, Default)]
struct Seen {
    answers: VecDeque<Answer>,
    /// The time and the content of each attempt.
    tries: Vec<(Instant, String)>,
    taken: f64,
    rejected: f64,
    /// The sum of all windows, before they were split into payloads.
    flushed: f64,
}

/// A backend with scripted answers that accepts everything afterwards: one payload per series.
#[derive(Debug, Clone, Default)]
struct Scripted(Arc<Mutex<Seen>>);

impl Scripted {
    fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let seen = Seen { answers: answers.into_iter().collect(), ..Seen::default() };
        Self(Arc::new(Mutex::new(seen)))
    }

    fn read<T>(&self, read: impl FnOnce(&Seen) -> T) -> T {
        read(&self.0.lock().unwrap())
    }

    #[track_caller]
    fn wait_for(&self, mut done: impl FnMut(&Seen) -> bool) {
        let begun = Instant::now();
        while !self.read(&mut done) {
            assert!(begun.elapsed() < LONG, "{self:?}");
            std::thread::yield_now();
        }
    }
}

impl Backend for Scripted {
    fn payloads(&mut self, window: Window) -> Vec<Payload> {
        let series = window.into_series();
        let payloads: Vec<_> = series
            .iter()
            .map(|s| {
                let Fold::Counter(sum) = s.value else { panic!("tests publish only counters") };
                self.0.lock().unwrap().flushed += sum;
                Payload::new(sum.to_string().into_bytes(), 1)
            })
            .collect();
        payloads
    }

    fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
        let text = String::from_utf8(payload.body.clone()).unwrap();
        let sum: f64 = text.parse().unwrap();
        let answer = {
            let mut seen = self.0.lock().unwrap();
            seen.tries.push((Instant::now(), text));
            seen.answers.pop_front().unwrap_or(Answer::Take)
        };
        let mut seen = self.0.lock().unwrap();
        match answer {
            Answer::Take => seen.taken += sum,
            Answer::Reject => {
                seen.rejected += sum;
                return Err(SendError::Reject { why: "no".into() });
            }
            Answer::Retry => return Err(SendError::Retry { after: None, why: "again".into() }),
            Answer::RetryAfter(after) => {
                return Err(SendError::Retry { after: Some(after), why: "later".into() });
            }
            Answer::Stop => return Err(SendError::Stop { why: "401".into() }),
            Answer::Panic => {
                drop(seen);
                panic!("on purpose");
            }
            Answer::Hang => {
                drop(seen);
                std::thread::park_timeout(LONG);
            }
        }
        Ok(())
    }
}

fn start(backend: &Scripted, retry: Duration, max_windows: usize) -> (SyncSender<Frames>, Worker) {
    let (send, feed) = feed();
    let builder = Worker::builder()
        .flush(Duration::from_millis(100))
        .retry_between(retry, retry)
        .max_windows(max_windows);
    let worker = builder.start_threads(feed, backend.clone(), Stop::new().unwrap()).unwrap();
    (send, worker)
}

fn totals(report: &StopReport) -> (u64, u64) {
    (report.series_delivered, report.series_lost)
}

#[test]
fn a_payload_is_retried_until_it_is_accepted() {
    let backend = Scripted::answering([Answer::Retry, Answer::Retry, Answer::Stop, Answer::Retry]);
    let (send, worker) = start(&backend, Duration::from_millis(1), 60);
    send.send(batch(1, "n", 5.0, 0)).unwrap();
    backend.wait_for(|seen| seen.taken == 5.0);
    let counters = worker.counters();
    assert_eq!((counters.retries, counters.series_rejected), (4, 0));
    assert_eq!(totals(&worker.stop(LONG)), (1, 0));
    assert!(backend.read(|seen| seen.tries.iter().all(|(_, text)| text == "5")));
}

#[test]
fn a_retry_waits_as_long_as_the_receiver_requests() {
    let after = Duration::from_millis(150);
    let backend = Scripted::answering([Answer::RetryAfter(after)]);
    let (send, worker) = start(&backend, Duration::ZERO, 60);
    send.send(batch(1, "n", 1.0, 0)).unwrap();
    backend.wait_for(|seen| seen.taken == 1.0);
    assert!(backend.read(|seen| seen.tries[1].0 - seen.tries[0].0 >= after));
    drop(worker);
}

#[test]
fn a_rejected_payload_is_counted_and_the_next_one_is_sent() {
    let backend = Scripted::answering([Answer::Reject]);
    let (send, worker) = start(&backend, LONG, 60);
    send.send(batch(1, "a", 1.0, 0)).unwrap();
    send.send(batch(2, "b", 2.0, 0)).unwrap();
    let report = worker.stop(LONG);
    assert_eq!(totals(&report), (1, 1));
    assert_eq!(report.windows_lost, 1);
    assert_eq!(backend.read(|seen| (seen.taken, seen.rejected)), (2.0, 1.0));
}

#[test]
fn a_stop_delivers_everything_that_has_arrived() {
    let backend = Scripted::default();
    let (send, feed) = feed();
    let builder = Worker::builder().flush(Duration::from_secs(3600));
    let worker = builder.start_threads(feed, backend.clone(), Stop::new().unwrap()).unwrap();
    for sequence in 1..=5000 {
        send.send(batch(sequence, "n", 1.0, 0)).unwrap();
    }
    let report = worker.stop(LONG);
    assert_eq!(report.series_lost, 0);
    assert_eq!(backend.read(|seen| seen.taken), 5000.0);
}

#[test]
fn a_stop_ends_the_pause_before_the_next_attempt() {
    for answer in [Answer::Retry, Answer::Stop, Answer::RetryAfter(LONG)] {
        let backend = Scripted::answering([answer]);
        let (send, worker) = start(&backend, LONG * 10, 60);
        send.send(batch(1, "n", 1.0, 0)).unwrap();
        backend.wait_for(|seen| seen.tries.len() == 1);
        let begun = Instant::now();
        assert_eq!(totals(&worker.stop(LONG / 2)), (1, 0), "{answer:?}");
        assert!(begun.elapsed() < LONG / 2, "{answer:?}");
    }
}

#[test]
fn a_failing_backend_gets_one_last_attempt() {
    let backend = Scripted::answering([Answer::Stop; 3]);
    let (send, worker) = start(&backend, LONG * 10, 60);
    send.send(batch(1, "a", 1.0, 0)).unwrap();
    send.send(batch(2, "b", 1.0, 0)).unwrap();
    backend.wait_for(|seen| seen.tries.len() == 1);
    let report = worker.stop(LONG);
    assert_eq!((report.series_delivered, report.series_lost), (0, 2));
    assert_eq!(backend.read(|seen| seen.tries.len()), 2);
}

#[test]
fn a_stalled_backend_does_not_delay_the_stop() {
    let backend = Scripted::answering([Answer::Hang]);
    let (send, worker) = start(&backend, LONG, 60);
    send.send(batch(1, "n", 1.0, 0)).unwrap();
    backend.wait_for(|seen| seen.tries.len() == 1);
    let begun = Instant::now();
    let report = worker.stop(Duration::from_millis(50));
    assert!(begun.elapsed() < LONG / 2);
    assert_eq!((report.series_delivered, report.series_lost, report.windows_lost), (0, 1, 1));
}

#[test]
fn a_panic_of_the_backend_stops_the_worker_and_is_reported() {
    let backend = Scripted::answering([Answer::Panic]);
    let (send, feed) = feed();
    let stop = Stop::new().unwrap();
    let builder = Worker::builder().flush(Duration::from_millis(100));
    let worker = builder.start_threads(feed, backend, stop.clone()).unwrap();
    send.send(batch(1, "n", 1.0, 0)).unwrap();
    assert!(stop.wait(LONG));
    let report = worker.stop(LONG);
    assert!(report.panicked);
    assert_eq!((report.series_delivered, report.series_lost), (0, 1));
}

#[test]
fn a_full_queue_drops_and_counts_the_oldest_window() {
    let backend = Scripted::answering([Answer::RetryAfter(LONG)]);
    let (send, worker) = start(&backend, LONG, 2);
    send.send(batch(1, "n", 1.0, 0)).unwrap();
    backend.wait_for(|seen| seen.tries.len() == 1);
    let mut sum = 1.0;
    let mut sequence = 2;
    let begun = Instant::now();
    while worker.counters().series_dropped < 2 {
        assert!(begun.elapsed() < LONG);
        send.send(batch(sequence, "n", 1.0, 0)).unwrap();
        (sum, sequence) = (sum + 1.0, sequence + 1);
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let counters = worker.counters();
    assert_eq!(counters.windows_lost, counters.series_dropped);
    let report = worker.stop(LONG / 2);
    let windows = report.windows_delivered + report.windows_lost;
    assert_eq!(report.series_delivered + report.series_lost, windows);
    assert!(report.series_lost >= 2);
    let taken = backend.read(|seen| seen.taken);
    assert!(taken < sum && taken > 0.0, "{taken} of {sum}");
}

#[test]
fn windows_end_by_the_clock_without_further_messages() {
    let backend = Scripted::default();
    let (send, worker) = start(&backend, LONG, 60);
    send.send(batch(1, "n", 1.0, 0)).unwrap();
    backend.wait_for(|seen| seen.taken == 1.0);
    assert_eq!(worker.counters().windows_flushed, 1);
    drop(worker);
}

fn answers() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Take),
        2 => Just(Answer::Retry),
        1 => Just(Answer::RetryAfter(Duration::from_millis(2))),
        1 => Just(Answer::Reject),
        1 => Just(Answer::Stop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever the backend answers, and whenever the worker is stopped: every aggregated series
    /// was delivered, or is counted as lost.
    #[test]
    fn every_loss_is_counted(
        answers in prop::collection::vec(answers(), 0..40),
        batches in prop::collection::vec((0..6_u8, 0..400_u64), 1..60),
        max_windows in 1..4_usize,
        deadline_ms in 0..60_u64,
    ) {
        let backend = Scripted::answering(answers);
        let (send, worker) = start(&backend, Duration::from_millis(1), max_windows);
        for (sequence, (name, ago)) in (1..).zip(&batches) {
            send.send(batch(sequence, &format!("n{name}"), 1.0, *ago)).unwrap();
        }
        let ledger = Arc::clone(&worker.ledger);
        let report = worker.stop(Duration::from_millis(deadline_ms));
        let counters = ledger.read();
        prop_assert_eq!(counters.series_waiting(), 0);
        prop_assert_eq!(counters.windows_waiting(), 0);
        let series = counters.series_delivered + counters.series_rejected
            + counters.series_dropped + counters.series_lost;
        prop_assert_eq!(counters.series_flushed, series);
        prop_assert_eq!(report.windows_delivered + report.windows_lost, counters.windows_flushed);
        let seen = backend.0.lock().unwrap();
        prop_assert!(seen.taken + seen.rejected <= seen.flushed);
        prop_assert!(seen.flushed <= counters.entries as f64);
        if report.series_lost == 0 {
            prop_assert_eq!(seen.taken, counters.entries as f64);
        }
    }
}
