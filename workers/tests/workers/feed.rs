//! A feed outside the crate: batches in memory, with its own checkpoints.

use crate::books::{Answer, Books};
use crate::publisher::{LONG, until};
use crate::replay::{NAME, NOON, start_of};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::{Duration, Instant};
use zibrato::wire::{BatchId, BatchWriter, PublisherId, Stamp, batch_topic};
use zibrato_workers::{
    Checkpoint, End, Event, Feed, Guarantee, Health, Offsets, Wait, Worker, WorkerBuilder,
};

/// The data that survives restarts of workers.
#[derive(Default)]
struct Data {
    batches: Vec<Vec<Vec<u8>>>,
    /// No batch before this time will be added.
    clock_ms: u64,
    /// The number of batches that each commit covers.
    commits: Vec<usize>,
    refuse_commits: bool,
    /// Events that are returned after all batches.
    script: VecDeque<Event<'static>>,
    handed_out: usize,
    holds: usize,
    closed: usize,
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<Data>>);

struct MemoryFeed {
    store: Store,
    next: usize,
    batch: Vec<Vec<u8>>,
    watermark: Option<(usize, u64)>,
}

/// A checkpoint is a text, which the worker does not interpret.
fn checkpoint(place: usize) -> Checkpoint {
    Checkpoint::new(format!("batch {place}").into_bytes())
}

impl Feed for MemoryFeed {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn next(&mut self, wait: &Wait<'_>) -> Event<'_> {
        let mut data = self.store.0.lock().unwrap();
        let (place, clock_ms) = (self.next, data.clock_ms);
        if let Some(batch) = data.batches.get(place) {
            (self.batch, self.next) = (batch.clone(), place + 1);
            data.handed_out += 1;
            let frames = self.batch.iter().map(Vec::as_slice).collect();
            return Event::Batch { frames, at: checkpoint(place) };
        }
        if self.watermark.replace((place, clock_ms)) != Some((place, clock_ms)) {
            return Event::Watermark { at: checkpoint(place), until_ms: Some(clock_ms) };
        }
        let event = data.script.pop_front();
        drop(data);
        event.unwrap_or_else(|| {
            wait.sleep();
            Event::Idle
        })
    }

    fn hold(&mut self, wait: &Wait<'_>) -> Event<'_> {
        self.store.lock().holds += 1;
        wait.sleep();
        Event::Idle
    }

    fn commit(&mut self, at: &Checkpoint) -> Poll<Result<(), String>> {
        let mut data = self.store.lock();
        if data.refuse_commits {
            return Poll::Ready(Err("the disk is full".to_owned()));
        }
        let text = std::str::from_utf8(at.as_bytes()).unwrap();
        data.commits.push(text.strip_prefix("batch ").unwrap().parse().unwrap());
        Poll::Ready(Ok(()))
    }

    fn offsets(&self) -> Offsets {
        Offsets {
            committed: None,
            read: self.next as u64,
            end: self.store.lock().batches.len() as u64,
        }
    }

    fn close(&mut self) {
        self.store.lock().closed += 1;
    }
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, Data> {
        self.0.lock().unwrap()
    }

    /// Adds one counter, received at `received_ms`.
    fn count(&self, sum: f64, received_ms: u64) {
        let mut data = self.lock();
        let sequence = data.batches.len() as u64 + 1;
        let mut body = BatchWriter::new("web-1", received_ms, 1000);
        body.counter("n", &[], sum);
        let id = BatchId { publisher: PublisherId([9; 16]), sequence }.encode();
        let stamp = Stamp { offset: sequence, received_ms }.encode();
        let topic = batch_topic("info").into_bytes();
        data.batches.push(vec![topic, id.to_vec(), stamp.to_vec(), body.finish()]);
        data.clock_ms = data.clock_ms.max(received_ms);
    }

    /// Adds two batches to each of these windows of a second, and ends the last one.
    fn windows(&self, windows: std::ops::Range<u64>) {
        for second in windows.clone() {
            self.count(1.0, NOON + second * 1000);
            self.count(2.0, NOON + second * 1000 + 500);
        }
        self.lock().clock_ms = NOON + windows.end * 1000;
    }

    fn say(&self, event: Event<'static>) {
        self.lock().script.push_back(event);
    }

    /// A feed that continues after the last commit.
    fn feed(&self) -> MemoryFeed {
        let next = self.lock().commits.last().copied().unwrap_or_default();
        MemoryFeed { store: self.clone(), next, batch: Vec::new(), watermark: None }
    }

    fn start(&self, books: &Books) -> Worker {
        builder().start_on(self.feed(), books.clone()).unwrap()
    }

    #[track_caller]
    fn until_committed(&self, batches: usize) {
        until("the commit", || (self.lock().commits.last() == Some(&batches)).then_some(()));
    }
}

fn builder() -> WorkerBuilder {
    Worker::builder()
        .name(NAME)
        .flush(Duration::from_secs(1))
        .retry_between(Duration::from_millis(1), Duration::from_millis(5))
        .catch_up(0)
}

/// Asserts that each window was delivered once, in order, with both of its batches.
#[track_caller]
fn assert_windows(books: &Books, windows: u64) {
    let taken = books.taken();
    let starts = taken.iter().map(|(_, body)| start_of(body));
    assert!(starts.eq((0..windows).map(|second| NOON + second * 1000)), "{taken:?}");
    assert!(taken.iter().all(|(_, body)| body.contains("Counter(3.0)")), "{taken:?}");
}

#[test]
fn restarts_from_the_checkpoint_lose_nothing_and_repeat_nothing() {
    let (store, books) = (Store::default(), Books::default());
    store.count(1.0, NOON);
    for round in 0..5_usize {
        for second in (0..3).map(|second| (round * 3 + second) as u64) {
            store.count(2.0, NOON + second * 1000 + 500);
            // The last of these is in a window that is open when the worker stops.
            store.count(1.0, NOON + second * 1000 + 1000);
        }
        let worker = store.start(&books);
        books.until_taken((round + 1) * 3);
        let report = worker.stop(LONG);
        assert_eq!((report.windows_delivered, report.windows_kept, report.series_lost), (3, 0, 0));
        assert_eq!(store.lock().commits.last(), Some(&(round * 6 + 6)));
    }
    assert_windows(&books, 15);
    let commits = store.lock().commits.clone();
    assert!(commits.is_sorted(), "{commits:?}");
    assert_eq!(store.lock().closed, 5);
}

#[test]
fn uncommitted_windows_are_delivered_again_unchanged() {
    let (store, books) = (Store::default(), Books::default());
    store.windows(0..3);
    store.lock().refuse_commits = true;
    let worker = store.start(&books);
    books.until_taken(3);
    until("a commit that fails", || (worker.counters().commits_failed > 0).then_some(()));
    let why = until("the page", || worker.unready());
    assert!(why.contains("cannot be committed") && why.ends_with("the disk is full"), "{why}");
    worker.stop(LONG);
    store.lock().refuse_commits = false;
    let worker = store.start(&books);
    books.until_taken(6);
    store.until_committed(6);
    assert_eq!(worker.counters().windows_committed, 3);
    drop(worker);
    let taken = books.taken();
    assert_eq!(taken[..3], taken[3..]);
}

#[test]
fn nothing_is_dropped_while_the_backend_is_down() {
    let (store, books) = (Store::default(), Books::always(Answer::Retry));
    store.windows(0..50);
    let worker = builder().max_windows(2).start_on(store.feed(), books.clone()).unwrap();
    until("a full queue", || (store.lock().holds >= 2).then_some(()));
    assert!(store.lock().handed_out < 10, "{}", store.lock().handed_out);
    books.say(None);
    books.until_taken(50);
    store.until_committed(100);
    drop(worker);
    assert_windows(&books, 50);
}

#[test]
fn a_feed_that_ends_is_delivered_and_committed_completely() {
    for (end, failure) in [
        (End::Finished, None),
        (End::Failed("the file is gone".to_owned()), Some("the file is gone")),
    ] {
        let (store, books) = (Store::default(), Books::default());
        store.windows(0..4);
        store.say(Event::End(end));
        let worker = store.start(&books);
        let why = failure.unwrap_or("the feed has ended");
        until("the end", || worker.unready().filter(|said| said == why));
        store.until_committed(8);
        let report = worker.stop(LONG);
        assert_eq!((report.failure.as_deref(), report.windows_delivered), (failure, 4));
        assert_windows(&books, 4);
    }
}

#[test]
fn nothing_is_delivered_after_another_reader_took_over() {
    let (store, books) = (Store::default(), Books::always(Answer::Retry));
    store.windows(0..2);
    store.say(Event::End(End::TakenOver("web-2 reads it".to_owned())));
    let worker = store.start(&books);
    until("the end", || worker.unready().filter(|why| why == "web-2 reads it"));
    let report = worker.stop(Duration::from_millis(100));
    assert_eq!(report.failure.as_deref(), Some("web-2 reads it"));
    let data = store.lock();
    assert_eq!((data.commits.len(), data.closed, report.series_lost), (0, 0, 0));
}

#[test]
fn missing_batches_and_invalid_messages_are_counted() {
    let (store, books) = (Store::default(), Books::default());
    store.windows(0..1);
    store.say(Event::Gone { batches: 12, why: "deleted".to_owned() });
    store.say(Event::Forgotten { why: "deleted".to_owned() });
    let (batch, next) = (&b"zb1|info|"[..], &b"zb2|info|"[..]);
    let garbage = [vec![], vec![batch], vec![next, b"", b"", b""], vec![batch; 9]];
    for frames in garbage {
        store.say(Event::Batch { frames, at: Checkpoint::default() });
    }
    // A watermark that goes back ends nothing.
    store.say(Event::Watermark { at: checkpoint(2), until_ms: Some(0) });
    let worker = store.start(&books);
    until("the garbage", || (worker.counters().refused.values().sum::<u64>() == 4).then_some(()));
    store.windows(1..2);
    books.until_taken(2);
    store.until_committed(4);
    let counters = worker.counters();
    assert_eq!((counters.gone, counters.cursors_forgotten), (12, 1));
    assert_eq!((counters.refused["frames"], counters.refused["version"]), (3, 1));
    assert!(!worker.stop(LONG).panicked);
    assert_windows(&books, 2);
}

/// Blocks for longer than allowed, or panics.
struct BadFeed {
    asked: SyncSender<()>,
    stall: Option<Receiver<()>>,
}

impl Feed for BadFeed {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtMostOnce
    }

    fn next(&mut self, _: &Wait<'_>) -> Event<'_> {
        self.asked.try_send(()).ok();
        self.stall.as_ref().expect("on purpose").recv().ok();
        Event::Idle
    }

    fn health(&self) -> Health<'_> {
        Health::Disconnected("plug it in")
    }
}

#[test]
fn a_stalled_feed_is_reported_and_does_not_delay_the_stop() {
    let ((asked, was_asked), (go, stall)) = (sync_channel(1), sync_channel(1));
    let feed = BadFeed { asked, stall: Some(stall) };
    let worker = builder().start_on(feed, Books::default()).unwrap();
    was_asked.recv_timeout(LONG).unwrap();
    assert_eq!(worker.unready().as_deref(), Some("plug it in"));
    until("the stall", || worker.unready().filter(|why| why.contains("no progress")));
    let begun = Instant::now();
    let report = worker.stop(Duration::from_millis(100));
    assert!(begun.elapsed() < Duration::from_secs(10) && !report.panicked);
    drop(go);
}

#[test]
fn a_feed_that_panics_is_reported() {
    let (asked, was_asked) = sync_channel(1);
    let worker = builder().start_on(BadFeed { asked, stall: None }, Books::default()).unwrap();
    was_asked.recv_timeout(LONG).unwrap();
    assert!(worker.stop(LONG).panicked);
}
