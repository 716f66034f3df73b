//! A broker with a journal: acknowledged batches are on disk, and readers get them at their own
//! pace.

use crate::client::{Client, Fetching};
use crate::harness::{Bench, Seen, batch};
use std::path::Path;
use std::time::{Duration, Instant};
use zibrato::wire::{
    Commit, Done, Named, Position, PublisherId, Refusal, ReplayAnswer, ReplayRequest, Reset,
    ResetTo,
};
use zibrato_broker::{Broker, Config, JournalConfig};

fn with_journal(directory: &Path) -> Bench {
    let journal = JournalConfig::new(directory).min_free_percent(0.0);
    Bench::with(Config::new().journal(journal))
}

fn publisher(n: u8) -> PublisherId {
    PublisherId([n; 16])
}

fn push(socket: &zmq::Socket, level: &str, publisher: PublisherId, sequence: u64) {
    socket.send_multipart(batch(level, publisher, sequence), 0).unwrap();
}

/// Waits until this sequence is acknowledged.
fn until_acknowledged(acks: &crate::harness::Subscriber, level: &str, sequence: u64) {
    loop {
        if let Some(Seen::Ack(_, ack)) = acks.next()
            && ack.sequences.get(level).is_some_and(|highest| *highest >= sequence)
        {
            return;
        }
    }
}

fn sequences(fetched: &Fetching) -> Vec<u64> {
    fetched.1.iter().map(|(_, id, _, _)| id.sequence).collect()
}

#[test]
fn a_reader_gets_what_it_missed_and_goes_on_after_its_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let bench = with_journal(dir.path());
    let (push_socket, me) = (bench.push(), publisher(1));
    let acks = bench.subscribe(&[&zibrato::wire::ack_topic(me)]);
    let client = Client::new(&bench, "a", "1", &["info"]);
    let (head, batches) = client.fetch(None, 0);
    assert_eq!((batches.len(), head.end), (0, 0), "a new name begins at the end");
    bench.until("the level is wanted", || bench.broker.wanted().wants("info"));
    for sequence in 1..=50 {
        push(&push_socket, "info", me, sequence);
        push(&push_socket, "warn", me, sequence);
    }
    until_acknowledged(&acks, "info", 50);
    let all = client.fetch_all(Some(head.next));
    assert_eq!(sequences(&all), (1..=50).collect::<Vec<_>>());
    assert!(all.1.iter().all(|(level, id, _, _)| level == "info" && id.publisher == me));
    assert!(all.1.is_sorted_by_key(|(_, _, offset, _)| *offset));
    let third = Position { offset: all.1[2].2, ..all.0.next };
    assert_eq!(client.commit(third), ReplayAnswer::Committed(third));
    let again = client.fetch_all(None);
    assert_eq!(sequences(&again), (4..=50).collect::<Vec<_>>());
    let cursors = client.cursors();
    assert_eq!((cursors[0].offset, cursors[0].behind), (3, 47), "warn is not kept for anybody");
    assert!(cursors[0].reader.starts_with("session 1 at 127.0.0.1"), "{}", cursors[0].reader);
}

#[test]
fn a_broker_that_starts_again_knows_batches_sequences_and_cursors() {
    let dir = tempfile::tempdir().unwrap();
    let me = publisher(1);
    let journal;
    {
        let bench = with_journal(dir.path());
        let client = Client::new(&bench, "a", "1", &["*"]);
        journal = client.fetch(None, 0).0.next.journal;
        bench.until("all is wanted", || bench.broker.wanted().all);
        let acks = bench.subscribe(&[&zibrato::wire::ack_topic(me)]);
        let push_socket = bench.push();
        for sequence in 1..=5 {
            push(&push_socket, "info", me, sequence);
        }
        until_acknowledged(&acks, "info", 5);
        // The broker's own numbers may stand among them.
        let all = client.fetch_all(Some(Position { journal, offset: 0 })).1;
        let second = all.iter().find(|(_, id, ..)| (id.publisher, id.sequence) == (me, 2));
        client.commit(Position { journal, offset: second.unwrap().2 });
    }
    let bench = with_journal(dir.path());
    assert!(bench.broker.wanted().all || bench.broker.counters().journal.is_none());
    let acks = bench.subscribe(&[&zibrato::wire::ack_topic(me)]);
    let push_socket = bench.push();
    // Sent again, because its acknowledgement was lost: accepted once.
    push(&push_socket, "info", me, 5);
    until_acknowledged(&acks, "info", 5);
    push(&push_socket, "info", me, 6);
    until_acknowledged(&acks, "info", 6);
    bench.until("it is counted", || bench.broker.counters().duplicates == 1);
    let client = Client::new(&bench, "a", "2", &["info"]);
    let all = client.fetch_all(None);
    assert_eq!((sequences(&all), all.0.next.journal), (vec![3, 4, 5, 6], journal));
}

#[test]
fn a_reader_of_a_journal_that_is_no_more_gets_all_of_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let levels = zibrato::wire::WantedLevels { all: true, ..Default::default() };
    let journal = JournalConfig::new(dir.path()).min_free_percent(0.0).keep_levels(levels);
    let bench = Bench::with(Config::new().journal(journal));
    push(&bench.push(), "info", publisher(1), 1);
    bench.until("it is safe", || bench.broker.counters().journal.is_some_and(|j| j.end == 1));
    let client = Client::new(&bench, "a", "1", &["info"]);
    let elsewhere = Position { journal: 1, offset: 42 };
    assert_eq!(sequences(&client.fetch(Some(elsewhere), 0)), [1]);
    let new = Client::new(&bench, "b", "1", &["info"]);
    assert_eq!(sequences(&new.fetch(None, 0)), [0_u64; 0]);
}

#[test]
fn a_fetch_waits_for_batches_or_for_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let bench = with_journal(dir.path());
    let client = Client::new(&bench, "a", "1", &["info"]);
    let begun = Instant::now();
    let (head, batches) = client.fetch(None, 200);
    assert!(begun.elapsed() >= Duration::from_millis(200) && batches.is_empty());
    assert!(head.complete_until_ms.is_some());
    client.socket.send_multipart(client.request(None, 10_000, 1).encode(), 0).unwrap();
    bench.until("the level is wanted", || bench.broker.wanted().wants("info"));
    let asked = Instant::now();
    push(&bench.push(), "info", publisher(1), 1);
    // However long the disk takes: then it is there at once, and not when the wait is over.
    bench.until("it is safe", || bench.broker.counters().journal.is_some_and(|j| j.end == 1));
    let safe = Instant::now();
    assert_eq!(sequences(&client.batches()), [1]);
    assert!(safe.elapsed() < Duration::from_secs(5) || asked.elapsed() > Duration::from_secs(10));
}

#[test]
fn the_complete_moment_is_current_although_nothing_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let bench = with_journal(dir.path());
    let client = Client::new(&bench, "a", "1", &["info"]);
    let after = Some(client.fetch(None, 0).0.next);
    let is_current = |_: &u32| {
        let asked_ms = zibrato::clock::unix_ms();
        client.fetch(after, 100).0.complete_until_ms.is_some_and(|until_ms| until_ms >= asked_ms)
    };
    // The watermark advances once a second by itself, which one or two of these requests see.
    assert!((0..10).filter(is_current).count() >= 5);
}

#[test]
fn everything_received_before_the_complete_moment_has_been_handed_out() {
    let dir = tempfile::tempdir().unwrap();
    let bench = with_journal(dir.path());
    let client = Client::new(&bench, "a", "1", &["info"]);
    let mut after = Some(client.fetch(None, 0).0.next);
    bench.until("the level is wanted", || bench.broker.wanted().wants("info"));
    let live = bench.subscribe(&["zb1|info|"]);
    let push_socket = bench.push();
    let (mut told_ms, mut seen) = (0, 0);
    for sequence in 1..=300 {
        push(&push_socket, "info", publisher(1), sequence);
        let received_ms = match live.next() {
            Some(Seen::Batch { received_ms, .. }) => received_ms,
            other => panic!("{other:?}"),
        };
        assert!(received_ms >= told_ms || seen >= sequence);
        let (head, batches) = client.fetch(after, 0);
        seen += batches.len() as u64;
        after = Some(head.next);
        told_ms = head.complete_until_ms.expect("there is little to fetch");
        if told_ms > received_ms {
            assert_eq!(seen, sequence, "complete, but not all there");
        }
    }
}

#[test]
fn a_name_is_for_one_reader_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let bench = with_journal(dir.path());
    let first = Client::new(&bench, "a", "1", &["info"]);
    let head = first.fetch(None, 0).0;
    let second = Client::new(&bench, "a", "2", &["info"]);
    let (why, text) = second.refused(&second.request(None, 0, 1));
    assert_eq!(why, Refusal::Owned);
    assert!(text.contains("session 1 at 127.0.0.1") && text.contains("--name"), "{text}");
    let commit = Commit { reader: second.reader.clone(), at: head.next };
    assert_eq!(second.refused(&ReplayRequest::Commit(commit)).0, Refusal::Owned);
    let delete = ReplayRequest::Delete(Named { name: "a".to_owned() });
    assert_eq!(second.refused(&delete).0, Refusal::Owned);
    // A pending request of the first one does not acquire the name again.
    first.socket.send_multipart(first.request(None, 10_000, 1).encode(), 0).unwrap();
    first.ask(&ReplayRequest::Release(first.reader.clone()));
    bench.until("the level is wanted", || bench.broker.wanted().wants("info"));
    push(&bench.push(), "info", publisher(1), 1);
    bench.until("it is safe", || bench.broker.counters().journal.is_some_and(|j| j.end == 1));
    second.fetch(None, 0);
    assert_eq!(first.refused(&first.request(None, 0, 1)).0, Refusal::Owned);
}

#[test]
fn cursors_are_reset_and_deleted_when_nobody_reads() {
    let dir = tempfile::tempdir().unwrap();
    let bench = with_journal(dir.path());
    let client = Client::new(&bench, "a", "1", &["info"]);
    client.fetch(None, 0);
    bench.until("the level is wanted", || bench.broker.wanted().wants("info"));
    let push_socket = bench.push();
    for sequence in 1..=9 {
        push(&push_socket, "info", publisher(1), sequence);
    }
    bench.until("all are safe", || bench.broker.counters().journal.is_some_and(|j| j.end == 9));
    client.ask(&ReplayRequest::Release(client.reader.clone()));
    let reset = |to| ReplayRequest::Reset(Reset { name: "a".to_owned(), to });
    for (to, offset) in [
        (ResetTo::End, 9),
        (ResetTo::Offset(4), 4),
        (ResetTo::Time(0), 0),
        (ResetTo::Time(u64::MAX), 9),
        (ResetTo::Offset(0), 0),
    ] {
        assert_eq!(client.ask(&reset(to)).0, ReplayAnswer::Done(Done { offset }), "{to:?}");
    }
    assert_eq!(client.refused(&reset(ResetTo::Offset(10))).0, Refusal::Malformed);
    assert_eq!(sequences(&client.fetch_all(None)), (1..=9).collect::<Vec<_>>());
    client.ask(&ReplayRequest::Release(client.reader.clone()));
    let delete = ReplayRequest::Delete(Named { name: "a".to_owned() });
    assert_eq!(client.ask(&delete).0, ReplayAnswer::Done(Done { offset: 0 }));
    assert_eq!(client.refused(&delete).0, Refusal::Unknown);
    bench.until("the level is wanted no more", || !bench.broker.wanted().wants("info"));
    assert_eq!(client.cursors(), []);
}

#[test]
fn requests_that_cannot_be_are_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let bench = with_journal(dir.path());
    let client = Client::new(&bench, "a", "1", &["info"]);
    client.fetch(None, 0);
    for (name, session, levels) in [
        ("", "1", vec!["info"]),
        ("a|b", "1", vec!["info"]),
        ("b", "", vec!["info"]),
        ("b", "1", vec![]),
        ("b", "1", vec!["in|fo"]),
        ("b", "1", vec!["info"; 1_001]),
    ] {
        let client = Client::new(&bench, name, session, &levels);
        let (why, text) = client.refused(&client.request(None, 0, 1));
        assert_eq!(why, Refusal::Malformed, "{name:?} {session:?}: {text}");
    }
    let far = Position { journal: client.fetch(None, 0).0.next.journal, offset: 99 };
    let other = Position { journal: 1, offset: 0 };
    for at in [far, other] {
        let commit = Commit { reader: client.reader.clone(), at };
        assert_eq!(client.refused(&ReplayRequest::Commit(commit)).0, Refusal::Malformed);
    }
    for frames in [vec![&b"zb!fetch"[..]], vec![b"zb!fetch", b"x", b"y"], vec![b"", b""]] {
        client.socket.send_multipart(&frames, 0).unwrap();
        eprintln!("{frames:?}");
        assert!(
            matches!(client.answer().0, ReplayAnswer::Refused(r) if r.why == Refusal::Malformed)
        );
    }
}

#[test]
fn without_a_journal_every_request_is_refused_with_the_way_out() {
    let bench = Bench::start();
    let client = Client::new(&bench, "a", "1", &["info"]);
    let (why, text) = client.refused(&client.request(None, 0, 1));
    assert_eq!(why, Refusal::NoJournal);
    assert!(text.contains("--no-journal") && text.contains("--live"), "{text}");
}

#[test]
fn levels_to_keep_are_wanted_and_kept_without_anybody() {
    let dir = tempfile::tempdir().unwrap();
    let levels =
        zibrato::wire::WantedLevels { all: false, levels: ["billing".parse().unwrap()].into() };
    let journal = JournalConfig::new(dir.path()).min_free_percent(0.0).keep_levels(levels);
    let bench = Bench::with(Config::new().journal(journal));
    bench.until("the level is wanted", || bench.broker.wanted().wants("billing"));
    let push_socket = bench.push();
    push(&push_socket, "billing", publisher(1), 1);
    push(&push_socket, "info", publisher(1), 1);
    push_socket.send("billing|Counter|calls|2|0|web", 0).unwrap();
    bench.until("two are safe", || bench.broker.counters().journal.is_some_and(|j| j.end == 2));
    let client = Client::new(&bench, "a", "1", &["*"]);
    client.fetch(None, 0);
    client.ask(&ReplayRequest::Release(client.reader.clone()));
    client.ask(&ReplayRequest::Reset(Reset { name: "a".to_owned(), to: ResetTo::Offset(0) }));
    let all = client.fetch_all(None);
    assert!(all.1.iter().all(|(level, ..)| level == "billing"));
    assert_eq!(all.1.len(), 2);
}

#[test]
fn one_broker_at_a_time_uses_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    let bench = with_journal(dir.path());
    let config = Config::new().port(0).journal(JournalConfig::new(dir.path()));
    let error = Broker::start(config).unwrap_err().to_string();
    assert!(error.contains("in use by another zibrato-broker"), "{error}");
    drop(bench);
    with_journal(dir.path());
}

#[test]
fn while_the_disk_is_full_nothing_is_acknowledged_and_readiness_says_so() {
    let dir = tempfile::tempdir().unwrap();
    // No disk has all its bytes free.
    let levels = zibrato::wire::WantedLevels { all: true, ..Default::default() };
    let journal = JournalConfig::new(dir.path()).min_free_percent(100.0).keep_levels(levels);
    let http = "127.0.0.1:0".parse().unwrap();
    let bench = Bench::with(Config::new().journal(journal).http(Some(http)));
    let acks = bench.subscribe(&[&zibrato::wire::ack_topic(publisher(1)), "zb1|info|"]);
    push(&bench.push(), "info", publisher(1), 1);
    let page = || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(bench.broker.http_addr().unwrap()).unwrap();
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    bench.until("it says so", || page().contains("percent of its disk is free"));
    assert!(page().contains(" 503 "));
    acks.socket.set_rcvtimeo(300).unwrap();
    assert_eq!(acks.next(), None);
}

#[test]
fn every_request_of_many_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let bench = with_journal(dir.path());
    let client = Client::new(&bench, "a", "1", &["info"]);
    for _ in 0..5_000 {
        client.fetch(None, 0);
    }
}

#[test]
fn what_is_gone_is_counted_once_however_often_the_same_place_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    // Every batch has a segment of its own, and few of them stay.
    let journal = JournalConfig::new(dir.path()).min_free_percent(0.0).segment_bytes(1);
    let config = Config::new().journal(journal.max_bytes(1_000));
    let bench = Bench::with(config.clone());
    let (push_socket, me) = (bench.push(), publisher(1));
    let acks = bench.subscribe(&[&zibrato::wire::ack_topic(me)]);
    let client = Client::new(&bench, "a", "1", &["info"]);
    client.fetch(None, 0);
    bench.until("the level is wanted", || bench.broker.wanted().wants("info"));
    for sequence in 1..=50 {
        push(&push_socket, "info", me, sequence);
        until_acknowledged(&acks, "info", sequence);
    }
    bench.until("all is kept and the rest deleted", || {
        let journal = bench.broker.counters().journal;
        journal.is_some_and(|journal| journal.end == 50 && journal.kept_bytes <= 1_000)
    });
    let gone = client.fetch(None, 0).0.gone;
    assert!(gone > 0);
    for _ in 0..3 {
        assert_eq!(client.fetch(None, 0).0.gone, gone);
    }
    assert_eq!(client.cursors()[0].gone, gone);
    // Neither does a restart of the broker count them again, before or after they are passed.
    drop((client, acks, push_socket, bench));
    let bench = Bench::with(config.clone());
    let client = Client::new(&bench, "a", "2", &["info"]);
    let head = client.fetch(None, 0).0;
    assert_eq!((head.gone, client.cursors()[0].gone), (gone, gone));
    client.commit(head.next);
    drop((client, bench));
    let bench = Bench::with(config);
    let client = Client::new(&bench, "a", "3", &["info"]);
    let head = client.fetch(None, 0).0;
    assert_eq!((head.gone, client.cursors()[0].gone), (0, gone));
}
