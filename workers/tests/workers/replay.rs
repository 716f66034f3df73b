//! A worker that reads a journal: each window is delivered despite failures and is always the same.

use crate::books::{Answer, Books};
use crate::journal::Journal;
use crate::publisher::{LONG, until};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use zibrato::wire::{Fetched, Position, Refusal, ReplayAnswer};
use zibrato_workers::{FeedKind, Worker, WorkerBuilder};

/// The start of a minute, and therefore of a second.
pub(crate) const NOON: u64 = 1_700_000_040_000;

pub(crate) const NAME: &str = "test-worker";

/// The start of the window in a body.
pub(crate) fn start_of(body: &str) -> u64 {
    body.split(' ').next().unwrap().parse().unwrap()
}

pub(crate) fn builder(journal: &Journal) -> WorkerBuilder {
    Worker::builder()
        .port(journal.port())
        .name(NAME)
        .feed(FeedKind::Replay)
        .flush(Duration::from_secs(1))
        .retry_between(Duration::from_millis(1), Duration::from_millis(5))
        .catch_up(0)
}

pub(crate) fn start(journal: &Journal, books: &Books) -> Worker {
    builder(journal).start(books.clone()).unwrap()
}

#[test]
fn ended_windows_are_delivered_and_committed_and_the_open_one_is_kept() {
    let journal = Journal::start(NOON);
    for (name, at) in [("a", 0), ("b", 500), ("a", 999), ("a", 1_000), ("c", 2_500)] {
        journal.count("info", name, 1.0, NOON + at);
        journal.count("debug", "not wanted", 1.0, NOON + at);
    }
    let books = Books::default();
    let worker = start(&journal, &books);
    books.until_taken(2);
    // The third window ends only by the broker's clock.
    journal.set_clock(NOON + 2_999);
    until("the commit", || (journal.committed(NAME) == 8).then_some(()));
    assert_eq!(books.taken().len(), 2);
    let report = worker.stop(LONG);
    assert_eq!((report.windows_delivered, report.windows_kept, report.series_lost), (2, 0, 0));
    assert_eq!((journal.committed(NAME), journal.state().released), (8, 1));

    journal.set_clock(NOON + 3_000);
    let worker = start(&journal, &books);
    books.until_taken(3);
    until("the last commit", || (journal.committed(NAME) == 10).then_some(()));
    drop(worker);
    let taken = books.taken();
    let starts: Vec<_> = taken.iter().map(|(_, body)| start_of(body)).collect();
    assert_eq!(starts, [NOON, NOON + 1000, NOON + 2000]);
    let key = format!("{NAME}/{NOON}+1000/0-");
    assert!(taken[0].0.starts_with(&key), "{}", taken[0].0);
}

#[test]
fn uncommitted_windows_are_delivered_again_with_the_same_key() {
    let journal = Journal::start(NOON);
    for second in 0..3 {
        journal.count("info", "a", 1.0, NOON + second * 1000);
    }
    journal.state().ignores_commits = true;
    let books = Books::default();
    let worker = start(&journal, &books);
    books.until_taken(2);
    until("a commit", || (journal.state().commits > 0).then_some(()));
    worker.stop(Duration::from_millis(100));
    assert_eq!(journal.committed(NAME), 0);

    journal.state().ignores_commits = false;
    let worker = start(&journal, &books);
    books.until_taken(4);
    until("the commit", || (journal.committed(NAME) == 2).then_some(()));
    drop(worker);
    let taken = books.taken();
    assert_eq!(taken[..2], taken[2..]);
}

#[test]
fn a_payload_whose_outcome_is_unknown_is_counted_as_repeated() {
    let journal = Journal::start(NOON);
    journal.count("info", "a", 1.0, NOON);
    journal.set_clock(NOON + 1_000);
    let books = Books::default();
    books.lock().answers = [Answer::TakeSilently, Answer::Retry].into();
    let worker = start(&journal, &books);
    books.until_taken(2);
    until("the books", || (worker.counters().windows_delivered == 1).then_some(()));
    let counters = worker.counters();
    assert_eq!((counters.payloads_repeated, counters.retries), (2, 2));
    drop(worker);
    let taken = books.taken();
    assert_eq!(taken[0], taken[1]);
}

#[test]
fn while_the_backend_is_down_the_journal_holds_the_rest_and_the_name_is_kept() {
    let journal = Journal::start(NOON);
    let windows = 200;
    for second in 0..windows {
        journal.count("info", "a", 1.0, NOON + second * 1000);
    }
    journal.set_clock(NOON + windows * 1000);
    journal.state().at_a_time = 5;
    let books = Books::always(Answer::Retry);
    let worker = builder(&journal).max_windows(3).start(books.clone()).unwrap();
    until("a full queue", || (worker.counters().windows_flushed == 4).then_some(()));
    // Longer than the lease of a silent reader, which keep-alive fetches renew.
    let fetches = journal.state().fetches;
    until("signs of life", || (journal.state().fetches >= fetches + 3).then_some(()));
    assert!(journal.state().handed_out <= 10, "{}", journal.state().handed_out);
    assert_eq!((journal.committed(NAME), worker.counters().windows_flushed), (0, 4));
    let other = builder(&journal).start(Books::default()).unwrap();
    until("the refusal", || other.unready().filter(|why| why.contains("give another --name")));
    drop(other);

    books.say(None);
    books.until_taken(windows as usize);
    until("the commit", || (journal.committed(NAME) == journal.end()).then_some(()));
    let report = worker.stop(LONG);
    assert_eq!((report.windows_delivered, report.windows_lost), (windows, 0));
    let starts = books.taken().into_iter().map(|(_, body)| start_of(&body));
    assert!(starts.eq((0..windows).map(|second| NOON + second * 1000)));
}

#[test]
fn a_stop_while_the_backend_is_down_leaves_everything_in_the_journal() {
    let journal = Journal::start(NOON);
    for second in 0..10 {
        journal.count("info", "a", 1.0, NOON + second * 1000);
    }
    for answer in [Answer::Stop, Answer::Retry] {
        let books = Books::always(answer);
        let worker = start(&journal, &books);
        until("a try", || books.read(|seen| !seen.tries.is_empty()).then_some(()));
        let report = worker.stop(Duration::from_millis(100));
        assert_eq!((report.series_lost, report.windows_lost), (0, 0), "{answer:?}");
        assert!(report.windows_kept > 0 && report.series_kept == report.windows_kept);
        assert_eq!((journal.committed(NAME), report.panicked), (0, false));
    }
    assert_eq!(journal.state().released, 2);
}

#[test]
fn requests_to_a_silent_broker_are_repeated_and_nothing_counts_twice() {
    let journal = Journal::start(NOON);
    journal.count("info", "a", 1.0, NOON);
    let books = Books::default();
    let worker = start(&journal, &books);
    until("the first batch", || (worker.counters().batches == 1).then_some(()));
    journal.state().silent = true;
    journal.count("info", "a", 2.0, NOON + 10);
    until("the loss", || worker.unready().filter(|why| why.contains("sends nothing")));
    journal.state().silent = false;
    journal.count("info", "a", 4.0, NOON + 1_000);
    books.until_taken(1);
    assert!(books.taken()[0].1.contains("Counter(3.0)"), "{}", books.taken()[0].1);
    until("the broker", || worker.unready().is_none().then_some(()));
    drop(worker);
}

#[test]
fn a_new_journal_is_read_from_its_beginning() {
    let journal = Journal::start(NOON);
    for second in 0..3 {
        journal.count("info", "a", 1.0, NOON + second * 1000);
    }
    let books = Books::default();
    let worker = start(&journal, &books);
    books.until_taken(2);
    until("the commit", || (journal.committed(NAME) == 2).then_some(()));
    {
        let mut state = journal.state();
        (state.number, state.now_ms) = (8, NOON + 60_000);
        state.cursors.clear();
    }
    books.until_taken(3);
    until("the commit", || (journal.committed(NAME) > 0).then_some(()));
    drop(worker);
}

#[test]
fn missing_batches_are_counted() {
    let journal = Journal::start(NOON);
    journal.state().gone = 12;
    journal.count("info", "a", 1.0, NOON);
    let books = Books::default();
    let worker = start(&journal, &books);
    until("the loss", || (worker.counters().gone == 12).then_some(()));
    drop(worker);
}

#[test]
fn requests_with_malformed_answers_are_repeated() {
    let journal = Journal::start(NOON);
    journal.count("info", "a", 1.0, NOON);
    journal.set_clock(NOON + 1_000);
    let head = |batches: &[&[u8]]| {
        let next = Position { journal: 7, offset: 0 };
        let head = Fetched { next, complete_until_ms: None, end: 1, gone: 0, forgotten: false };
        let answer = ReplayAnswer::Batches(head).encode();
        answer.into_iter().chain(batches.iter().map(|frame| frame.to_vec())).collect()
    };
    let one = |frames: &[&[u8]]| frames.iter().map(|frame| frame.to_vec()).collect();
    journal.state().garbage = vec![
        one(&[b""]),
        one(&[b"zb!batches", b"\xc1"]),
        one(&[b"zb!nothing", b"\x80"]),
        head(&[b"zb1|info|", b"three", b"frames"]),
        // Four frames that are not a batch are rejected without affecting others.
        head(&[b"zb1|info|", b"id", b"stamp", b"body"]),
        one(&vec![&[b'x'; 1 << 20][..]; 20]),
    ];
    let books = Books::default();
    let worker = start(&journal, &books);
    books.until_taken(1);
    assert_eq!(worker.counters().refused["frames"], 1);
    assert!(!worker.stop(LONG).panicked);
}

#[test]
fn batches_of_other_levels_do_not_delay_the_commit() {
    let journal = Journal::start(NOON);
    for second in 0..5 {
        journal.count("debug", "a", 1.0, NOON + second * 1000);
    }
    let worker = start(&journal, &Books::default());
    until("the commit", || (journal.committed(NAME) == 5).then_some(()));
    let commits = journal.state().commits;
    assert!(commits <= 3, "{commits}");
    drop(worker);
}

#[test]
fn without_a_journal_the_live_stream_is_read() {
    let mut journal = Journal::start(NOON);
    let why = (Refusal::NoJournal, "this broker keeps no journal".to_owned());
    journal.state().refuse = Some(why);
    let books = Books::default();
    let worker = start(&journal, &books);
    until("the subscription", || {
        let topics = journal.publisher.subscribed_now()?;
        topics.iter().any(|topic| topic == "zb1|info|").then_some(())
    });
    journal.publisher.count("info", "a", 1.0);
    books.until_taken(1);
    let report = worker.stop(LONG);
    assert_eq!((report.windows_delivered, report.failure), (1, None));
}

#[test]
fn a_broker_that_publishes_but_does_not_answer_has_no_journal() {
    let mut journal = Journal::start(NOON);
    journal.state().silent = true;
    let books = Books::default();
    let worker = start(&journal, &books);
    assert_eq!(journal.publisher.subscribed(1), ["zb!levels"]);
    let begun = Instant::now();
    let topics = until("the subscription", || {
        journal.publisher.heartbeat();
        journal.publisher.subscribed_now()
    });
    assert!(begun.elapsed() >= Duration::from_secs(5) && !topics.is_empty());
    until("the window", || {
        journal.publisher.count("info", "a", 1.0);
        (!books.taken().is_empty()).then_some(())
    });
    drop(worker);
}

#[test]
fn a_name_of_another_process_ends_the_worker_with_the_brokers_message() {
    let journal = Journal::start(NOON);
    let text = "web-1, process 42 reads as test-worker; give another --name";
    journal.state().refuse = Some((Refusal::Owned, text.to_owned()));
    let worker = start(&journal, &Books::default());
    until("the end", || {
        let why = worker.unready()?;
        (why == text).then_some(())
    });
    assert_eq!(worker.stop(LONG).failure.as_deref(), Some(text));
    assert_eq!(journal.state().released, 0);
}

#[test]
fn a_rejected_payload_goes_to_a_file_and_the_next_window_is_delivered() {
    let (journal, folder) = (Journal::start(NOON), tempfile::tempdir().unwrap());
    for second in 0..3 {
        journal.count("info", "a", 1.0, NOON + second * 1000);
    }
    let books = Books::default();
    books.lock().answers = [Answer::Reject].into();
    let worker = builder(&journal).dead_letters(folder.path(), 1 << 20);
    let worker = worker.start(books.clone()).unwrap();
    books.until_taken(1);
    until("the commit", || (journal.committed(NAME) == 2).then_some(()));
    let counters = worker.counters();
    assert_eq!((counters.dead_letters, counters.series_rejected, counters.series_lost), (1, 1, 0));
    drop(worker);
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 1);
    let letter = std::fs::read_to_string(files[0].path()).unwrap();
    let (head, body) = letter.split_once("\n\n").unwrap();
    assert!(head.contains("answer: bad\\nbody\n"), "{head}");
    assert_eq!(body, books.read(|seen| seen.tries[0].2.clone()));
}

#[test]
fn a_backlog_is_delivered_at_increasing_speed() {
    let journal = Journal::start(NOON);
    for second in 0..6 {
        journal.count("info", "a", 1.0, NOON + second * 1000);
    }
    journal.set_clock(NOON + 60_000);
    let books = Books::default();
    let worker = builder(&journal).catch_up(4).start(books.clone()).unwrap();
    books.until_taken(6);
    drop(worker);
    let at: Vec<_> = books.read(|seen| seen.tries.iter().map(|(at, ..)| *at).collect());
    let gaps: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The speed doubles after each delivered window, from two to four, and stays there.
    for gap in &gaps {
        assert!(*gap >= Duration::from_millis(240), "{gaps:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Any stream, split into any answers, with a backend that fails at random and a worker that is
    /// stopped or dropped at random: each window is delivered, and always with the same contents.
    #[test]
    fn each_window_is_delivered_despite_failures(
        batches in prop::collection::vec((0..1_500_u64, 0..3_u8), 1..40),
        at_a_time in 1..6_usize,
        answers in prop::collection::vec(0..5_u8, 0..30),
        stops in prop::collection::vec((0..4_usize, 0..30_u64), 0..5),
    ) {
        let journal = Journal::start(NOON);
        journal.state().at_a_time = at_a_time;
        let mut at = NOON;
        let mut expected: BTreeMap<u64, f64> = BTreeMap::new();
        for (later, name) in batches {
            at += later;
            journal.count("info", &format!("n{name}"), 1.0, at);
            *expected.entry(at - at % 1000).or_default() += 1.0;
        }
        journal.set_clock(at + 1_000);
        let books = Books::default();
        books.lock().answers = answers
            .into_iter()
            .map(|answer| match answer {
                0 => Answer::Retry,
                1 => Answer::TakeSilently,
                _ => Answer::Take,
            })
            .collect();
        for (windows, deadline_ms) in stops {
            let worker = start(&journal, &books);
            let most = books.taken().len() + windows;
            until("some windows", || {
                let done = journal.committed(NAME) == journal.end();
                (done || books.taken().len() >= most).then_some(())
            });
            let report = worker.stop(Duration::from_millis(deadline_ms));
            prop_assert_eq!((report.series_lost, report.windows_lost), (0, 0));
        }
        let worker = start(&journal, &books);
        until("the end", || (journal.committed(NAME) == journal.end()).then_some(()));
        worker.stop(LONG);
        let mut bodies: BTreeMap<u64, String> = BTreeMap::new();
        for (key, body) in books.taken() {
            let start = start_of(&body);
            let beginning = format!("{NAME}/{start}+1000/0-");
            prop_assert!(key.starts_with(&beginning));
            let before = bodies.insert(start, body.clone());
            prop_assert!(before.is_none_or(|before| before == body));
        }
        let sums: BTreeMap<u64, f64> = bodies
            .into_iter()
            .map(|(start, body)| {
                let sums = body.split("Counter(").skip(1).map(|part| {
                    part.split(')').next().unwrap().parse::<f64>().unwrap()
                });
                (start, sums.sum())
            })
            .collect();
        prop_assert_eq!(sums, expected);
    }
}
