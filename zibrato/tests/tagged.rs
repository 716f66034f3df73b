//! Tags and names made at run time in batches.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;
use zibrato::wire::{Ack, BatchReader, Message, Value, ack_topic, message};
use zibrato::{Loss, Stats, TagValue, Zibrato, count, count_me, gauge, time, time_me, zmq};

#[derive(TagValue, Clone, Copy)]
enum Method {
    Get,
    Post,
}

#[time_me(name = "shop.request", tags(method = method, secure = secure, region = "eu"))]
fn handle(method: Method, secure: bool) {
    count!("info", "shop.handled", tags(region = "eu"));
    gauge!("info", "shop.open", 3, tags(method = method));
}

#[count_me(name = format!("shard.{shard}"))]
fn write(shard: usize) -> usize {
    shard
}

/// How often each series of level `info` was measured, with its tags, by what `measure` does; and
/// what became of all readings.
fn sent(measure: impl FnOnce()) -> (BTreeMap<String, f64>, Stats) {
    // There is one place for an instrument, and tests run side by side.
    static PLACE: Mutex<()> = Mutex::new(());
    let _place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    let context = zmq::Context::new();
    let open = |kind| {
        let socket = context.socket(kind).unwrap();
        socket.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = socket.get_last_endpoint().unwrap().unwrap();
        (socket, endpoint.rsplit_once(':').unwrap().1.parse().unwrap())
    };
    let ((pull, port), (publish, control_port)) = (open(zmq::PULL), open(zmq::XPUB));
    pull.set_rcvtimeo(10_000).unwrap();
    let guard = Zibrato::builder()
        .port(port)
        .control_port(control_port)
        .levels(["info"])
        .interval(Duration::from_secs(3600))
        .flush_deadline(Duration::from_secs(20))
        .install()
        .unwrap();
    measure();
    let ending = Builder::new().spawn(move || guard.shutdown()).unwrap();
    let (mut series, mut seen) = (BTreeMap::new(), BTreeSet::new());
    while !ending.is_finished() || pull.poll(zmq::POLLIN, 0).unwrap() > 0 {
        if pull.poll(zmq::POLLIN, 10).unwrap() == 0 {
            continue;
        }
        let frames = pull.recv_multipart(0).unwrap();
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        let Message::Batch { level: "info", id, body, .. } = message(&frames).unwrap() else {
            panic!("not a batch of level info: {frames:?}")
        };
        let ack = Ack { sequences: [("info".to_owned(), id.sequence)].into() }.encode();
        publish.send_multipart([ack_topic(id.publisher).as_bytes(), &ack], 0).unwrap();
        // Until it is heard, a batch comes several times.
        if !seen.insert(id.sequence) {
            continue;
        }
        for entry in BatchReader::new(body).unwrap().entries().map(Result::unwrap) {
            let tags = entry.tags.map(|(tag, value)| format!(";{tag}={value}"));
            let times = match entry.value {
                Value::Counter(sum) => sum,
                Value::Gauge(gauge) => gauge.count as f64,
                Value::Timer(timer) => timer.count as f64,
                Value::TimerReadings(readings) => readings.count() as f64,
                other => panic!("{other:?}"),
            };
            *series.entry(format!("{}{}", entry.name, tags.collect::<String>())).or_default() +=
                times;
        }
    }
    (series, ending.join().unwrap())
}

#[test]
fn tags_go_out_with_every_kind_of_reading() {
    let (series, stats) = sent(|| {
        handle(Method::Get, true);
        handle(Method::Post, false);
        handle(Method::Get, true);
    });
    let expected = [
        ("shop.handled;region=eu", 3.0),
        ("shop.open;method=get", 2.0),
        ("shop.open;method=post", 1.0),
        ("shop.request;method=get;region=eu;secure=true", 2.0),
        ("shop.request;method=post;region=eu;secure=false", 1.0),
    ];
    assert_eq!(series, expected.map(|(series, times)| (series.to_owned(), times)).into());
    assert!(stats.balances() && stats.recorded == 9, "{stats:?}");
}

#[test]
fn names_made_at_run_time_go_out_and_bad_ones_are_counted_as_lost() {
    let mut made = 0;
    let mut name = |name: &'static str| {
        made += 1;
        name
    };
    let (series, stats) = sent(|| {
        for _ in 0..2 {
            count!("info", name("fine"));
            count!("info", name("not|fine"));
            drop(time!("debug", name("nobody.wants.it")));
        }
    });
    assert_eq!(series, [(String::from("fine"), 2.0)].into());
    assert_eq!((stats.recorded, &stats.lost), (4, &[(Loss::Name, 2)].into()), "{stats:?}");
    assert!(stats.balances(), "{stats:?}");
    assert_eq!(made, 4, "a name is only made for a level that is wanted");
}

#[test]
fn too_many_names_made_at_run_time_are_counted_together() {
    let threads = 4;
    let (series, stats) = sent(|| {
        let write_all = || (0..102_000).for_each(|shard| assert_eq!(write(shard), shard));
        let threads: Vec<_> =
            (0..threads).map(|_| Builder::new().spawn(write_all).unwrap()).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let times = f64::from(threads);
    assert_eq!(series["shard.0"], times);
    assert!(series.values().sum::<f64>() == times * 102_000.0 && stats.balances(), "{stats:?}");
    assert!(series["_overflow"] >= times * 1_900.0, "{}", series["_overflow"]);
    assert!(series.len() <= 100_001 + 4, "threads that make names at once may make a few more");
}
