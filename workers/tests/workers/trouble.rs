//! The reaction of a worker to a broker that refuses, cannot save, has deleted the cursor, is down, or
//! whose clock stands still.

use crate::books::Books;
use crate::journal::Journal;
use crate::publisher::{LONG, until};
use crate::replay::{NAME, NOON, builder, start, start_of};
use std::time::{Duration, Instant};
use zibrato::wire::Refusal;

#[test]
fn a_name_whose_owner_is_connected_ends_the_worker_immediately() {
    let journal = Journal::start(NOON);
    let text = "web-1, process 42 reads as test-worker; give another --name";
    journal.state().refuse = Some((Refusal::Owned, text.to_owned()));
    journal.state().owner_is_alive = true;
    let begun = Instant::now();
    let worker = start(&journal, &Books::default());
    until("the end", || worker.unready().filter(|why| why == text));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(worker.stop(LONG).failure.as_deref(), Some(text));
}

#[test]
fn a_fetch_waits_until_the_window_ends_but_not_again_if_the_brokers_clock_stands_still() {
    let journal = Journal::start(NOON);
    journal.count("info", "a", 1.0, NOON + 59_700);
    let worker = builder(&journal).flush(Duration::from_secs(60)).start(Books::default()).unwrap();
    let is_short = |wait: &u64| (1..=301).contains(wait);
    let short = || journal.state().waits.iter().position(is_short);
    let short = until("a fetch until the end of the window", short);
    let long = || (journal.state().waits.get(short + 1) == Some(&1_000)).then_some(());
    until("a fetch of the usual length", long);
    drop(worker);
}

#[test]
fn delivery_continues_while_commits_fail_and_few_are_tried() {
    // Brokers without `NotSaved` send `Disk`.
    for why in [Refusal::NotSaved, Refusal::Disk] {
        let journal = Journal::start(NOON);
        journal.state().refuse_commits = Some((why, "the disk is full".to_owned()));
        let books = Books::default();
        let worker = start(&journal, &books);
        let windows = 60;
        let begun = Instant::now();
        for second in 0..=windows {
            journal.count("info", "a", 1.0, NOON + second * 1000);
            books.until_taken(second as usize);
        }
        // Each window was delivered when it ended, not after the timeout of a request.
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        let said = until("the page", || worker.unready());
        assert!(
            said.contains("cannot be committed") && said.ends_with("the disk is full"),
            "{said}"
        );
        let (commits, seconds) = (journal.state().commits, begun.elapsed().as_secs());
        assert!((1..=seconds + 3).contains(&commits), "{commits} in {seconds} s");
        assert_eq!(worker.counters().windows_committed, 0);
        journal.state().refuse_commits = None;
        until("the commit", || (journal.committed(NAME) >= windows).then_some(()));
        until("the page", || worker.unready().is_none().then_some(()));
        assert!(worker.counters().commits_failed >= 1);
        drop(worker);
        let taken = books.taken();
        let starts: std::collections::BTreeSet<_> =
            taken.iter().map(|(_, b)| start_of(b)).collect();
        assert_eq!((taken.len(), starts.len()), (windows as usize, windows as usize));
    }
}

#[test]
fn requests_to_a_broker_with_malformed_answers_are_rare() {
    let journal = Journal::start(NOON);
    for second in 0..3 {
        journal.count("info", "a", 1.0, NOON + second * 1000);
    }
    let books = Books::default();
    let worker = start(&journal, &books);
    books.until_taken(2);
    until("the commit", || (journal.committed(NAME) == 2).then_some(()));
    journal.count("info", "a", 1.0, NOON + 3_000);
    journal.state().refuse = Some((Refusal::Other, "no".to_owned()));
    let asked = || {
        let state = journal.state();
        (state.fetches, state.commits)
    };
    let before = asked();
    until("the refusal", || worker.unready().filter(|why| why.contains("rejects requests: no")));
    let begun = Instant::now();
    until("some time", || (begun.elapsed() >= Duration::from_secs(3)).then_some(()));
    let after = asked();
    assert!(after.0 - before.0 <= 10 && after.1 - before.1 <= 6, "{before:?} {after:?}");
    journal.state().refuse = None;
    books.until_taken(3);
    drop(worker);
}

#[test]
fn a_forgotten_cursor_is_counted() {
    let journal = Journal::start(NOON);
    journal.state().forgotten = true;
    journal.count("info", "a", 1.0, NOON);
    let worker = start(&journal, &Books::default());
    until("the word", || (worker.counters().cursors_forgotten == 1).then_some(()));
    drop(worker);
}

#[test]
fn a_lost_broker_is_noticed_quickly() {
    let journal = Journal::start(NOON);
    let worker = start(&journal, &Books::default());
    until("the broker", || worker.unready().is_none().then_some(()));
    let begun = Instant::now();
    drop(journal);
    until("the loss", || worker.unready().filter(|why| why.contains("sends nothing")));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    drop(worker);
}
