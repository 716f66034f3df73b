//! Key lists that change while clients are connected: only removed clients are disconnected for
//! good.

use super::{Keyed, hears, key, list};
use crate::harness::{ANNA, DEADLINE, batch};
use zibrato::wire::{Fetch, Reader, ReplayAnswer, ReplayRequest};

/// The answer to the journal's reader.
fn ask(reader: &zmq::Socket, request: &ReplayRequest) -> ReplayAnswer {
    reader.send_multipart(request.encode(), 0).unwrap();
    let frames = reader.recv_multipart(0).unwrap();
    ReplayAnswer::decode(&frames[0], &frames[1]).unwrap()
}

/// A fetch that waits for a batch as long as the broker lets it.
fn fetch(session: &str) -> ReplayRequest {
    ReplayRequest::Fetch(Fetch {
        reader: Reader { name: session.to_owned(), session: session.to_owned() },
        about: session.to_owned(),
        levels: vec!["info".to_owned()],
        after: None,
        wait_ms: 60_000,
        max_bytes: 1 << 20,
    })
}

#[test]
fn a_revoked_key_gets_nothing_in_and_nothing_out_and_others_come_back() {
    let (stays, goes) = (key(), key());
    let keyed = Keyed::start(&[&stays, &goes]);
    let (witness, revoked) = (keyed.subscribe(&stays), keyed.subscribe(&goes));
    hears(&witness, b"zb!levels");
    hears(&revoked, b"zb!levels");
    let (push, gone) = (keyed.push(&stays), keyed.push(&goes));
    gone.send("info|c|before|1|1|s", 0).unwrap();
    hears(&witness, b"info|c|before|1|1|s");
    hears(&revoked, b"info|c|before|1|1|s");

    keyed.allow(&[&stays]);
    gone.send("info|c|after|1|1|s", 0).unwrap();
    keyed.bench.until("it is dropped", || keyed.bench.broker.counters().dropped.of("revoked") == 1);
    keyed.bench.until("all are cut", || !keyed.bench.broker.wanted().all);
    keyed.bench.until("it is refused", || keyed.refused("revoked_key") > 0);
    // Only after its first connection has ended; messages in flight may have arrived before.
    while revoked.poll(zmq::POLLIN, 0).unwrap() > 0 {
        revoked.recv_multipart(0).unwrap();
    }
    // A SUB socket asks for its topics again only when somebody looks at it.
    keyed.bench.until("the other is back", || {
        witness.poll(zmq::POLLIN, 0).unwrap();
        keyed.bench.broker.wanted().all
    });
    push.send("info|c|other|1|1|s", 0).unwrap();
    hears(&witness, b"info|c|other|1|1|s");
    keyed.bench.until("both are counted", || keyed.bench.broker.counters().lines() == 2);
    assert_eq!(revoked.poll(zmq::POLLIN, 0).unwrap(), 0);
    let again = keyed.subscribe(&goes);
    keyed.bench.until("it is refused again", || keyed.refused("revoked_key") > 1);
    assert_eq!(again.poll(zmq::POLLIN, 0).unwrap(), 0);
    // One socket is open at each of three endpoints, and those cut off are not counted as open.
    keyed.bench.until("peers are counted", || keyed.bench.broker.counters().peers[2].open() <= 1);

    keyed.allow(&[&stays, &goes]);
    gone.send("info|c|back|1|1|s", 0).unwrap();
    hears(&witness, b"info|c|back|1|1|s");
    hears(&keyed.subscribe(&goes), b"zb!levels");
}

#[test]
fn keys_that_are_added_come_in_and_nobody_is_cut_off() {
    let (first, second) = (key(), key());
    let keyed = Keyed::start(&[&first]);
    let witness = keyed.subscribe(&first);
    hears(&witness, b"zb!levels");
    keyed.allow(&[&first, &second]);
    let (push, other) = (keyed.push(&second), keyed.push(&first));
    push.send("info|c|second|1|1|s", 0).unwrap();
    other.send("info|c|first|1|1|s", 0).unwrap();
    let counters = || keyed.bench.broker.counters();
    keyed
        .bench
        .until("both are in", || counters().lines() == 2 || counters().keys.unwrap().admitted == 3);
    keyed.bench.until("peers are counted", || counters().peers[2].connects > 0);
    assert_eq!((counters().peers[2].connects, counters().peers[2].disconnects), (1, 0));
    std::fs::write(list(&keyed.folder), "public:nonsense").unwrap();
    let error = keyed.bench.broker.reload_keys().unwrap_err().to_string();
    assert!(error.contains("line 1"), "{error}");
    std::fs::remove_file(list(&keyed.folder)).unwrap();
    keyed.bench.broker.reload_keys().unwrap_err();
    push.send("info|c|still|1|1|s", 0).unwrap();
    hears(&witness, b"info|c|still|1|1|s");
    keyed.bench.until("both are counted", || counters().keys.unwrap().failed_reloads == 2);
}

#[test]
fn lists_that_change_all_the_time_harm_nobody_who_stays_on_them() {
    const TURNS: usize = 20;
    let (stays, goes) = (key(), key());
    let keyed = Keyed::start(&[&stays, &goes]);
    let (witness, push) = (keyed.subscribe(&stays), keyed.push(&stays));
    let others: Vec<_> = (0..8).map(|_| (keyed.subscribe(&goes), keyed.push(&goes))).collect();
    for turn in 0..TURNS {
        // Read twice while the first change is still being carried out.
        for modulus in [2, 3] {
            let both = [&stays, &goes];
            keyed.allow(if turn % modulus == 0 { &both[..1] } else { &both });
        }
        for (subscriber, push) in &others {
            push.send("info|c|other|1|1|s", zmq::DONTWAIT).ok();
            // Begins anew in the middle of whatever goes on.
            let endpoint = keyed.bench.broker.endpoint(keyed.bench.broker.publish_port());
            subscriber.disconnect(&endpoint).unwrap();
            subscriber.connect(&endpoint).unwrap();
        }
        let line = format!("info|c|turn-{turn}|1|1|s");
        keyed.bench.until(&line, || {
            // Repeated until it arrives: a live stream misses messages while it is disconnected.
            push.send(&line, 0).unwrap();
            witness.poll(zmq::POLLIN, 100).unwrap();
            let mut heard = false;
            while let Ok(frames) = witness.recv_multipart(zmq::DONTWAIT) {
                heard |= frames[0] == line.as_bytes();
            }
            heard
        });
    }
    let keys = keyed.bench.broker.counters().keys.unwrap();
    assert_eq!((keys.reloads, keys.failed_reloads), (2 * TURNS as u64, 0));
}

#[test]
fn a_broker_stops_in_time_while_an_endpoint_is_closed() {
    let (stays, goes) = (key(), key());
    let keyed = Keyed::start(&[&stays, &goes]);
    hears(&keyed.subscribe(&goes), b"zb!levels");
    keyed.allow(&[&stays]);
    let report = keyed.bench.broker.stop(DEADLINE);
    assert_eq!(report.end, zibrato_broker::End::Clean);
}

#[test]
fn the_journal_is_read_by_those_who_are_allowed_and_nobody_else() {
    let (stays, goes, stranger) = (key(), key(), key());
    let keyed = Keyed::start(&[&stays, &goes]);
    let (reader, revoked) = (keyed.reader(&stays), keyed.reader(&goes));
    let refused = keyed.reader(&stranger);
    let plain = keyed.socket(zmq::DEALER);
    plain.connect(&keyed.bench.broker.endpoint(keyed.bench.broker.replay_port())).unwrap();
    for socket in [&refused, &plain] {
        socket.send_multipart(ReplayRequest::Cursors.encode(), zmq::DONTWAIT).unwrap();
    }
    for socket in [&reader, &revoked] {
        assert!(matches!(ask(socket, &ReplayRequest::Cursors), ReplayAnswer::Cursors(_)));
        // Both wait for the first batch.
        let session = if std::ptr::eq(socket, &reader) { "stays" } else { "goes" };
        socket.send_multipart(fetch(session).encode(), 0).unwrap();
    }
    keyed.bench.until("the stranger is refused", || keyed.refused("unknown_key") > 0);
    // Who has the broker's own key is let in without being on the list.
    let own = keyed.reader(&keyed.own);
    keyed.bench.until("both wait", || match ask(&own, &ReplayRequest::Cursors) {
        ReplayAnswer::Cursors(cursors) => cursors.len() == 2,
        other => panic!("{other:?}"),
    });

    keyed.allow(&[&stays]);
    keyed.bench.until("the other is refused", || keyed.refused("revoked_key") > 0);
    keyed.push(&stays).send_multipart(batch("info", ANNA, 1), 0).unwrap();
    let answer = ask(&reader, &fetch("stays"));
    assert!(matches!(answer, ReplayAnswer::Batches(_)), "{answer:?}");
    for socket in [&revoked, &refused, &plain] {
        assert_eq!(socket.poll(zmq::POLLIN, 0).unwrap(), 0);
    }
}
