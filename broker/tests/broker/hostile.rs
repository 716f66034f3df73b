//! With any invalid input, valid measurements arrive, and everything is counted.

use crate::client::Client;
use crate::harness::{ANNA, Bench, DEADLINE, Seen, batch};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use zibrato::wire::{Fetch, Position, Reader, ReplayRequest, WantedLevels};
use zibrato_broker::{Config, JournalConfig};

const GOOD: &str = "info|Counter|good|1|1700000000|s";

#[test]
fn bad_messages_are_counted_by_reason_and_good_ones_arrive() {
    let bench = Bench::start();
    let subscriber = bench.subscribe(&["info|", "zb1|info|"]);
    let push = bench.push();
    let one = |bytes: &[u8]| vec![bytes.to_vec()];
    let cases: [(&str, Vec<Vec<u8>>); 14] = [
        ("encoding", one(b"\xff\xfe\x00\x01")),
        ("fields", one(b"info|c|n|1|1700000000")),
        ("fields", one(b"info|c|n|1|1700000000|s|more")),
        ("value", one(b"info|c|n|nan|1700000000|s")),
        ("mtype", one(b"info|meter|n|1|1700000000|s")),
        ("empty", one(b"")),
        ("empty", one(b"\r\n\n")),
        ("frames", vec![b"zb1|info|".to_vec(); 2]),
        ("frames", vec![b"zb1|info|".to_vec(); 5]),
        ("frames", vec![b"x".to_vec(); 5_000]),
        ("id", vec![b"zb1|info|".to_vec(), b"short".to_vec(), b"\x80".to_vec()]),
        ("level", {
            let mut frames = batch("info", ANNA, 1);
            frames[0] = b"zb1||".to_vec();
            frames
        }),
        ("version", {
            let mut frames = batch("info", ANNA, 1);
            frames[0] = b"zb7|info|".to_vec();
            frames
        }),
        ("sequence", batch("info", ANNA, 0)),
    ];
    let mut expected = std::collections::BTreeMap::new();
    for (reason, frames) in cases {
        push.send_multipart(frames, 0).unwrap();
        push.send(GOOD, 0).unwrap();
        assert_eq!(subscriber_line(&subscriber), GOOD, "after {reason}");
        *expected.entry(reason).or_insert(0) += 1;
    }
    // Also a stamp is for the broker to give.
    let mut stamped = batch("info", ANNA, 1);
    stamped.insert(2, vec![0; 16]);
    push.send_multipart(stamped, 0).unwrap();
    *expected.entry("frames").or_insert(0) += 1;
    bench.until("all are counted", || {
        let counters = bench.broker.counters();
        expected.iter().all(|(reason, count)| counters.dropped.of(reason) == *count)
            && counters.dropped.total() == expected.values().sum::<u64>()
    });
}

fn subscriber_line(subscriber: &crate::harness::Subscriber) -> String {
    loop {
        match subscriber.next() {
            Some(Seen::Line(line)) => return line,
            Some(_) => {}
            None => panic!("no line"),
        }
    }
}

#[test]
fn a_batch_whose_body_is_no_batch_is_handed_on_but_not_expanded() {
    let bench = Bench::start();
    let subscriber = bench.subscribe(&["info|", "zb1|info|"]);
    let push = bench.push();
    let mut frames = batch("info", ANNA, 1);
    frames[2] = b"\xc1\xc1".to_vec();
    push.send_multipart(frames, 0).unwrap();
    let seen = subscriber.take(1);
    assert!(matches!(&seen[0], Seen::Batch { body, .. } if body == b"\xc1\xc1"), "{seen:?}");
    bench.until("it is counted", || bench.broker.counters().dropped.of("expansion") == 1);
}

#[test]
fn ten_thousand_empty_frames_are_one_bad_message() {
    let bench = Bench::start();
    let lines = bench.subscribe(&["info|"]);
    let push = bench.push();
    push.send_multipart((0..10_000).map(|_| Vec::<u8>::new()), 0).unwrap();
    push.send(GOOD, 0).unwrap();
    assert_eq!(lines.lines(1), [GOOD]);
    bench.until("it is counted", || bench.broker.counters().dropped.of("frames") == 1);
}

#[test]
fn garbage_on_every_port_cuts_its_sender_and_nobody_else() {
    let bench = Bench::start();
    let lines = bench.subscribe(&["info|"]);
    let (push, legacy) = (bench.push(), bench.legacy());
    // Random bytes, and bytes with a valid greeting and an invalid continuation.
    let noise: Vec<u8> =
        (0..1_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
    greeting.extend_from_slice(b"NULL");
    greeting.resize(64, 0);
    for port in [bench.broker.port(), bench.broker.publish_port(), bench.broker.legacy_port()] {
        for bytes in [noise.clone(), [&greeting[..], &noise].concat(), vec![0xff; 1 << 20]] {
            let mut peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
            peer.set_write_timeout(Some(DEADLINE)).unwrap();
            // Being cut while writing is what is hoped for.
            peer.write_all(&bytes).ok();
            drop(peer);
            push.send(GOOD, 0).unwrap();
            legacy.send(GOOD, 0).unwrap();
            assert_eq!(lines.lines(2), [GOOD, GOOD], "port {port}");
        }
    }
    bench.until("the bad peers are gone", || {
        bench.broker.counters().peers.iter().all(|peers| peers.open() == 1)
    });
}

#[test]
fn who_sends_too_large_a_frame_is_cut_and_others_go_on() {
    let bench = Bench::with(Config::new().max_frame(1 << 20));
    let lines = bench.subscribe(&["info|"]);
    let push = bench.push();
    push.send(GOOD, 0).unwrap();
    assert_eq!(lines.lines(1), [GOOD]);
    let bad = bench.push();
    bad.set_linger(0).unwrap();
    bad.send(vec![b'x'; 100 << 20], 0).unwrap();
    bench.until("it is cut", || bench.broker.counters().peers[0].disconnects > 0);
    push.send(GOOD, 0).unwrap();
    assert_eq!(lines.lines(1), [GOOD]);
    assert!(bench.broker.counters().bytes() < 1 << 20, "it was never taken in");
}

#[test]
fn a_peer_that_connects_and_says_nothing_holds_nothing_up() {
    let bench = Bench::start();
    let ports = [bench.broker.port(), bench.broker.publish_port(), bench.broker.legacy_port()];
    let silent: Vec<_> =
        ports.iter().map(|port| TcpStream::connect(("127.0.0.1", *port)).unwrap()).collect();
    let lines = bench.subscribe(&["info|"]);
    bench.push().send(GOOD, 0).unwrap();
    assert_eq!(lines.lines(1), [GOOD]);
    // It gets a greeting, so the connection is alive; and it does not prevent the broker from
    // stopping.
    for mut peer in silent {
        peer.set_read_timeout(Some(DEADLINE)).unwrap();
        assert!(peer.read(&mut [0; 10]).unwrap() > 0);
    }
    let begun = Instant::now();
    drop(bench.broker);
    assert!(begun.elapsed() < DEADLINE);
}

#[test]
fn what_subscribers_send_that_is_no_subscription_is_counted_and_ignored() {
    let bench = Bench::start();
    let lines = bench.subscribe(&["info|"]);
    let strange = bench.context.socket(zmq::XSUB).unwrap();
    strange.connect(&bench.broker.endpoint(bench.broker.publish_port())).unwrap();
    strange.send("hello", 0).unwrap();
    strange.send_multipart(["a", "b", "c"], 0).unwrap();
    strange.send(&b"\x01ok|"[..], 0).unwrap();
    bench.until("they are counted", || {
        bench.broker.counters().strange_subscriptions == 2 && bench.broker.wanted().wants("ok")
    });
    bench.push().send(GOOD, 0).unwrap();
    assert_eq!(lines.lines(1), [GOOD]);
    drop(strange);
}

#[test]
fn who_has_sent_half_of_much_is_cut_before_the_broker_has_no_memory_left() {
    // More than parallel tests use, and less than what is sent.
    let bench = Bench::with(Config::new().max_memory(300 << 20));
    let lines = bench.subscribe(&["info|"]);
    let mut half = handshake("PUSH");
    half.push(2);
    half.extend_from_slice(&(4_u64 << 20).to_be_bytes());
    half.resize(4 << 20, b'x');
    let mut held = Vec::new();
    let push = bench.push();
    let begun = Instant::now();
    while bench.broker.counters().memory_cuts == 0 {
        assert!(begun.elapsed() < DEADLINE, "{} connections hold nothing", held.len());
        push.send(GOOD, 0).unwrap();
        let peer = TcpStream::connect(("127.0.0.1", bench.broker.port()));
        let Ok(mut peer) = peer else { continue };
        peer.set_write_timeout(Some(DEADLINE)).unwrap();
        // Being cut while writing is what is hoped for.
        peer.write_all(&half).ok();
        held.push(peer);
    }
    // A client that has sent little is not disconnected, and has lost nothing.
    push.send(GOOD, 0).unwrap();
    let sent = held.len() + 1;
    assert_eq!(lines.lines(sent), vec![GOOD; sent]);
    assert!(held.len() < 200, "{}", held.len());
}

/// What a peer says first that is not libzmq: so it is known when it reads.
fn handshake(kind: &str) -> Vec<u8> {
    let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
    bytes.extend_from_slice(b"NULL");
    bytes.resize(64, 0);
    let length = kind.len() as u8;
    bytes.extend_from_slice(&[4, 22 + length]);
    bytes.extend_from_slice(b"\x05READY\x0bSocket-Type\0\0\0");
    bytes.push(length);
    bytes.extend_from_slice(kind.as_bytes());
    bytes
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn who_reads_nothing_of_the_journal_is_cut_off_and_others_are_answered() {
    const READERS: u64 = 100;
    const BYTES: u64 = 3 << 20;
    // On a busy machine, reading so many large answers from the journal takes long.
    const LONG: Duration = Duration::from_secs(60);
    let dir = tempfile::tempdir().unwrap();
    let all = WantedLevels { all: true, ..WantedLevels::default() };
    let journal = JournalConfig::new(dir.path()).min_free_percent(0.0).keep_levels(all);
    let bench = Bench::with(Config::new().journal(journal));
    let acks = bench.subscribe(&[&zibrato::wire::ack_topic(ANNA)]);
    let mut large = batch("info", ANNA, 1);
    large[2] = vec![0xc1; BYTES as usize];
    bench.push().send_multipart(large, 0).unwrap();
    assert!(matches!(acks.next(), Some(Seen::Ack(..))));
    let begin = |client: &Client| client.fetch(Some(Position { journal: 0, offset: 0 }), 0);

    let before = resident_bytes();
    let mut stalled = Vec::new();
    let mut peak = 0;
    for n in 0..READERS {
        let reader = Reader { name: format!("stalled-{n}"), session: "1".to_owned() };
        let fetch = Fetch {
            reader,
            about: String::new(),
            levels: vec!["info".to_owned()],
            after: Some(Position { journal: 0, offset: 0 }),
            wait_ms: 0,
            max_bytes: u64::MAX,
        };
        let [topic, body] = ReplayRequest::Fetch(fetch).encode();
        let mut bytes = Vec::new();
        for _ in 0..5 {
            bytes.extend_from_slice(&[1, topic.len() as u8]);
            bytes.extend_from_slice(&topic);
            bytes.extend_from_slice(&[0, body.len() as u8]);
            bytes.extend_from_slice(&body);
        }
        let mut peer = TcpStream::connect(("127.0.0.1", bench.broker.replay_port())).unwrap();
        // So that the system does not buffer the answer.
        rustix::net::sockopt::set_socket_recv_buffer_size(&peer, 4_096).unwrap();
        peer.write_all(&handshake("DEALER")).unwrap();
        // Who sends more before it has read what the broker is, is cut off.
        peer.read_exact(&mut [0; 107]).unwrap();
        peer.write_all(&bytes).unwrap();
        stalled.push(peer);
        peak = peak.max(resident_bytes());
    }
    let mut empty = 0;
    for n in 0..50 {
        let client = Client::new(&bench, &format!("reads-{n}"), "1", &["info"]);
        client.socket.set_rcvtimeo(LONG.as_millis() as i32).unwrap();
        let begun = Instant::now();
        // Who has waited for others for two seconds is told so, and asks again.
        while begin(&client).1.is_empty() {
            empty += 1;
            assert!(begun.elapsed() < LONG, "reader {n}");
        }
        peak = peak.max(resident_bytes());
    }
    assert!(empty < 10, "{empty}");
    bench.until("some are cut off", || bench.broker.counters().memory_cuts > 0);
    // Each would have had four answers, and there are tests beside this one.
    let more = peak.saturating_sub(before);
    assert!(more < READERS * BYTES / 2, "{} MiB more", more >> 20);
    drop(stalled);
}
