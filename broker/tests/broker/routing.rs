//! Routing: levels, forms, acknowledgements, duplicates, wanted levels.

use crate::harness::{ANNA, BERT, Bench, Seen, batch, batch_with};
use zibrato::wire::{BatchReader, Value, WantedLevels};
use zibrato::{Annotation, clock};

#[test]
fn levels_do_not_leak_into_each_other() {
    let bench = Bench::start();
    let levels = ["info", "information", "inf"];
    let subscribers = levels.map(|l| bench.subscribe(&[&format!("{l}|"), &format!("zb1|{l}|")]));
    let push = bench.push();
    for (sequence, level) in levels.iter().enumerate() {
        push.send(format!("{level}|Counter|n|1|1700000000|s").as_bytes(), 0).unwrap();
        push.send_multipart(batch(level, ANNA, sequence as u64 + 1), 0).unwrap();
    }
    for (level, subscriber) in levels.iter().zip(&subscribers) {
        // The line; the batch as a line and as a batch; the line folded into a batch.
        for seen in subscriber.take(4) {
            match seen {
                Seen::Line(line) => assert_eq!(line.split('|').next(), Some(*level)),
                Seen::Batch { level: found, .. } => assert_eq!(&found, level),
                other => panic!("{other:?}"),
            }
        }
    }
    bench.until("a second has passed", || bench.broker.counters().published_batches >= 6);
    assert!(subscribers.iter().all(|subscriber| subscriber.is_quiet()));
}

#[test]
fn a_batch_is_handed_on_as_it_came_with_a_stamp() {
    let bench = Bench::start();
    let subscriber = bench.subscribe(&["zb1|info|"]);
    let push = bench.push();
    let before = clock::unix_ms();
    let frames = batch("info", ANNA, 7);
    for sequence in [7, 8] {
        let mut frames = frames.clone();
        frames[1][23] = sequence;
        push.send_multipart(frames, 0).unwrap();
    }
    let seen = subscriber.take(2);
    let after = clock::unix_ms();
    for (at, seen) in seen.into_iter().enumerate() {
        let Seen::Batch { level, id, offset, received_ms, body } = seen else { panic!("{seen:?}") };
        assert_eq!((&*level, id.publisher, id.sequence), ("info", ANNA, 7 + at as u64));
        assert_eq!((offset, &body), (1 + at as u64, &frames[2]));
        assert!((before..=after).contains(&received_ms));
    }
}

#[test]
fn lines_from_both_ports_reach_those_who_want_lines_and_those_who_want_batches() {
    let bench = Bench::start();
    let lines = bench.subscribe(&["info|"]);
    let batches = bench.subscribe(&["zb1|info|"]);
    let (push, legacy) = (bench.push(), bench.legacy());
    let sent = ["info|Counter|n|1|1700000000|web-1", "info|Counter|n|2|1700000000|web-1"];
    push.send(sent[0], 0).unwrap();
    legacy.send(sent[1], 0).unwrap();
    let mut seen = lines.lines(2);
    seen.sort_unstable();
    assert_eq!(seen, sent);
    let mut sum = 0.0;
    while sum < 3.0 {
        for (name, more) in batches.next().expect("a folded batch").counters() {
            assert_eq!(name, "n");
            sum += more;
        }
    }
    assert_eq!(sum, 3.0);
    let counters = bench.broker.counters();
    assert_eq!(["zmq", "legacy"].map(|name| counters.intake(name).unwrap().lines), [1, 1]);
}

#[test]
fn a_frame_of_several_lines_is_handed_on_line_by_line_without_the_bad_ones() {
    let bench = Bench::start();
    let subscriber = bench.subscribe(&["info|", "warn|"]);
    let frame =
        "info|c|a|1|1|s\r\nbroken\n\nwarn|t|b|0.5|1|s\ninfo|c|a|b|1|1|s\ninfo|Set|u|bob|1|s";
    bench.push().send(frame, 0).unwrap();
    let lines = subscriber.lines(3);
    assert_eq!(lines, ["info|c|a|1|1|s", "warn|t|b|0.5|1|s", "info|Set|u|bob|1|s"]);
    bench.until("all are counted", || bench.broker.counters().lines() == 3);
    assert_eq!(bench.broker.counters().dropped.of("fields"), 2);
}

#[test]
fn a_batch_becomes_one_line_per_message_for_those_who_want_lines() {
    let bench = Bench::start();
    // Subscribes like Python's worker: without a bar.
    let lines = bench.subscribe(&["info"]);
    let push = bench.push();
    let frames = batch_with("info", ANNA, 1, |batch| {
        batch.counter("logins", &[], 3.0);
        batch.timer("query", &[], &(1..=5_000).map(f64::from).collect());
        batch.set("users", &[], ["alice", "bob"].into_iter());
    });
    push.send_multipart(frames, 0).unwrap();
    let lines = lines.lines(1_003);
    assert_eq!(lines[0], "info|Counter|logins|3|1700000001|web-1");
    assert_eq!(lines[1], "info|Timer|query|1|1700000001|web-1");
    assert_eq!(lines[1_000], "info|Timer|query|5000|1700000001|web-1");
    assert_eq!(lines[1_002], "info|Set|users|bob|1700000001|web-1");
}

#[test]
fn lines_that_were_folded_do_not_come_back_as_lines() {
    let bench = Bench::start();
    let subscriber = bench.subscribe(&["info|", "zb1|info|"]);
    let push = bench.push();
    push.send("info|c|n|1|1700000000|s", 0).unwrap();
    let seen = subscriber.take(2);
    assert_eq!(seen[0], Seen::Line("info|c|n|1|1700000000|s".to_owned()));
    assert_eq!(seen[1].counters(), [("n".to_owned(), 1.0)]);
    push.send("info|c|last|1|1700000000|s", 0).unwrap();
    assert_eq!(subscriber.lines(1), ["info|c|last|1|1700000000|s"]);
}

#[test]
fn batches_that_come_twice_are_acknowledged_twice_and_published_once() {
    let bench = Bench::start();
    let subscriber = bench.subscribe(&["zb1|"]);
    let acks = bench.subscribe(&["zb!ack|"]);
    let push = bench.push();
    let acknowledged = |publisher: &str, level: &str, sequence| {
        let Some(Seen::Ack(id, ack)) = acks.next() else { panic!("no acknowledgement") };
        assert_eq!(id, publisher.repeat(16));
        assert_eq!(ack.sequences, [(level.to_owned(), sequence)].into());
    };
    for (id, publisher, level, sequence) in
        [("0a", ANNA, "info", 2), ("0a", ANNA, "warn", 1), ("0b", BERT, "info", 1)]
    {
        push.send_multipart(batch(level, publisher, sequence), 0).unwrap();
        acknowledged(id, level, sequence);
        push.send_multipart(batch(level, publisher, sequence), 0).unwrap();
        acknowledged(id, level, sequence);
    }
    // An older batch is acknowledged with the highest sequence that was accepted.
    push.send_multipart(batch("info", ANNA, 1), 0).unwrap();
    acknowledged("0a", "info", 2);
    let levels: Vec<_> = subscriber
        .take(3)
        .into_iter()
        .map(|seen| match seen {
            Seen::Batch { level, id, .. } => (level, id.publisher, id.sequence),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [("info", ANNA, 2), ("warn", ANNA, 1), ("info", BERT, 1)];
    assert_eq!(levels, expected.map(|(level, id, sequence)| (level.to_owned(), id, sequence)));
    assert!(subscriber.is_quiet());
    // Counters are updated a moment after the acknowledgement.
    bench.until("all are counted", || bench.broker.counters().duplicates == 4);
    assert_eq!(bench.broker.counters().batches(), 3);
}

#[test]
fn wanted_levels_are_told_on_change_and_every_second() {
    let bench = Bench::start();
    let levels = bench.subscribe(&["zb!levels"]);
    let wanted = |names: &[&str]| WantedLevels {
        all: false,
        levels: names.iter().map(|name| name.parse().unwrap()).collect(),
    };
    let tell_of = |expected: WantedLevels| {
        // A probe of `subscribe` may still be subscribed, and earlier messages may be in flight.
        bench.until("it is wanted", || bench.broker.wanted() == expected);
        while levels.next() != Some(Seen::Levels(expected.clone())) {}
    };
    tell_of(wanted(&[]));
    let info = bench.subscribe(&["zb1|info|"]);
    tell_of(wanted(&["info"]));
    let warn = bench.subscribe(&["warn|"]);
    tell_of(wanted(&["info", "warn"]));
    // Again without any change, and more often than canaries have made it told.
    (0..3).for_each(|_| tell_of(wanted(&["info", "warn"])));
    drop(info);
    tell_of(wanted(&["warn"]));
    let all = bench.subscribe(&["zb1|"]);
    tell_of(WantedLevels { all: true, ..wanted(&["warn"]) });
    drop((warn, all));
    tell_of(wanted(&[]));
}

#[test]
fn the_brokers_own_numbers_are_published_while_somebody_wants_them() {
    let bench = Bench::start();
    let push = bench.push();
    let lines = bench.subscribe(&["info|"]);
    push.send("info|c|unwatched|1|1|s", 0).unwrap();
    lines.lines(1);
    bench.until("a second has passed", || bench.broker.counters().lines() == 1);
    assert_eq!(bench.broker.counters().published_batches, 0, "nobody wants any");

    let own = bench.subscribe(&["zb1|zibrato|"]);
    push.send("info|c|n|1|1|s\ninfo|c|bad", 0).unwrap();
    lines.lines(1);
    let (mut taken, mut dropped) = (0.0, 0.0);
    while taken == 0.0 || dropped == 0.0 {
        let seen = own.next().expect("the broker's own batch");
        let Seen::Batch { level, body, .. } = &seen else { panic!("{seen:?}") };
        assert_eq!(level, "zibrato");
        assert_ne!(BatchReader::new(body).unwrap().source(), "");
        for (name, more) in seen.counters() {
            match &*name {
                "zibrato.broker.lines" => taken += more,
                "zibrato.broker.dropped.fields" => dropped += more,
                _ => {}
            }
        }
    }
    assert_eq!(dropped, 1.0);
    assert!(taken <= 2.0, "what nobody wanted is not told later: {taken}");
}

#[test]
fn peers_are_counted_as_they_come_and_go() {
    let bench = Bench::start();
    let (push, legacy) = (bench.push(), bench.legacy());
    let subscriber = bench.subscribe(&["info|"]);
    let open = || {
        let counters = bench.broker.counters();
        [0, 1, 2].map(|at: usize| counters.peers[at].open())
    };
    bench.until("all have come", || open() == [1, 1, 1]);
    drop((push, legacy, subscriber));
    bench.until("all have gone", || open() == [0, 0, 0]);
}

#[test]
fn what_nobody_wants_is_counted() {
    let bench = Bench::start();
    let subscribers = [bench.subscribe(&["info|"]), bench.subscribe(&["zb1|warn|"])];
    let push = bench.push();
    for level in ["info", "warn", "debug"] {
        push.send(format!("{level}|c|n|1|1|s\n{level}|c|n|1|1|s").as_bytes(), 0).unwrap();
        push.send_multipart(batch(level, ANNA, 1), 0).unwrap();
    }
    bench.until("all are taken", || bench.broker.counters().batches() == 3);
    let counters = bench.broker.counters();
    assert_eq!((counters.unwanted_lines, counters.unwanted_batches), (2, 1));
    drop(subscribers);
}

#[test]
fn members_for_which_a_set_has_no_room_are_counted() {
    let bench = Bench::start();
    let _batches = bench.subscribe(&["zb1|info|"]);
    let lines: Vec<_> = (0..100_005).map(|n| format!("info|s|users|{n}|1|web-1")).collect();
    bench.push().send(lines.join("\n").as_bytes(), 0).unwrap();
    bench.until("they are counted", || bench.broker.counters().dropped.of("members") == 5);
}

#[test]
fn an_annotation_reaches_subscribers_to_batches_and_has_no_line() {
    let bench = Bench::start();
    let lines = bench.subscribe(&["info|"]);
    let batches = bench.subscribe(&["zb1|info|"]);
    let deploy = Annotation::new("deploys", "version | 7", 1_700_000_000_000).unwrap();
    let message = batch_with("info", ANNA, 1, |batch| {
        batch.annotation(&deploy);
        batch.counter("after", &[], 1.0);
    });
    bench.push().send_multipart(message, 0).unwrap();
    assert_eq!(lines.lines(1), ["info|Counter|after|1|1700000001|web-1"]);
    let seen = batches.take(1);
    let Seen::Batch { body, .. } = &seen[0] else { panic!("{seen:?}") };
    let entry = BatchReader::new(body).unwrap().entries().next().unwrap().unwrap();
    assert_eq!(entry.value, Value::Annotation(Box::new(deploy)));
    bench.until("it is counted", || bench.broker.counters().dropped.of("annotation") == 1);
    assert_eq!(bench.broker.counters().dropped.total(), 1);
}
