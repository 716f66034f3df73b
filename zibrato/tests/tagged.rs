//! Tags and names made at run time in batches.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;
use zibrato::wire::{Ack, BatchReader, Message, Value, ack_topic, message};
use zibrato::{
    CountMe, Stats, TagValue, TimeMe, Zibrato, count, count_me, gauge, time, time_me, zmq,
};

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
fn names_made_at_run_time_go_out_and_bad_ones_are_made_legal() {
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
    assert_eq!(series, [("fine".to_owned(), 2.0), ("not_fine".to_owned(), 2.0)].into());
    assert_eq!((stats.recorded, stats.total_lost(), stats.renamed), (4, 0, 1), "{stats:?}");
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

/// A status as an application has it: it can be displayed, and that is all.
#[derive(Clone, Copy)]
struct Status(u16);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[time_me(name = "http.request", tags(method = method, route = route, status = status))]
#[count_me(name = "http.requests", tags(route = route, status = status), value = bytes)]
fn answer(method: Method, route: &str, status: Status, bytes: u64) {}

#[test]
fn tags_of_any_value_that_can_be_displayed_go_out() {
    let (series, stats) = sent(|| {
        for (method, route, status) in
            [(Method::Get, "/", 200), (Method::Post, "/cart", 404), (Method::Get, "/", 200)]
        {
            answer(method, route, Status(status), 10);
        }
        let (tenant, shard) = (String::from("acme"), 7_i8);
        count!("info", "macro", tags(tenant = tenant, shard = shard, last = shard == 7));
        gauge!("info", "depth", 3, tags(queue = 'q', region = "eu"));
        time!("info", "took", (), tags(ratio = 0.5));
        let mut time = time!("info", "request", tags(route = tenant));
        time.tag("status", Status(503));
        time.tag("status", 200);
        drop(time);
        let mut time = time!("info", "plain");
        time.tag("status", "ok");
        drop(time);
        let mut time = TimeMe::new("info", "by.name");
        time.tag("n", 1);
        let mut count = CountMe::new("info", "by.name.counted");
        count.tag("n", -1);
        for shard in 0..2 {
            count!("info", format!("shard.{shard}"), 5, tags(even = shard % 2 == 0, n = shard));
        }
    });
    let expected = [
        ("http.request;method=get;route=/;status=200", 2.0),
        ("http.request;method=post;route=/cart;status=404", 1.0),
        ("http.requests;route=/;status=200", 20.0),
        ("http.requests;route=/cart;status=404", 10.0),
        ("macro;last=true;shard=7;tenant=acme", 1.0),
        ("depth;queue=q;region=eu", 1.0),
        ("took;ratio=0.5", 1.0),
        ("request;route=acme;status=200", 1.0),
        ("plain;status=ok", 1.0),
        ("by.name;n=1", 1.0),
        ("by.name.counted;n=-1", 1.0),
        ("shard.0;even=true;n=0", 5.0),
        ("shard.1;even=false;n=1", 5.0),
    ];
    assert_eq!(series, expected.map(|(series, times)| (series.to_owned(), times)).into());
    assert!(stats.balances() && stats.recorded == 15, "{stats:?}");
}

#[test]
fn values_of_tags_that_may_not_be_are_made_legal_and_none_is_lost() {
    struct Panics;
    impl fmt::Display for Panics {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("on purpose")
        }
    }
    /// One that counts while it is displayed.
    struct Counts;
    impl fmt::Display for Counts {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            count!("info", "inside", tags(n = f.alternate(), text = "x".to_owned()));
            f.write_str("outside")
        }
    }
    let control: String = (0..=0x1f).map(char::from).collect();
    let long = "x".repeat(1 << 20);
    let (series, stats) = sent(|| {
        for _ in 0..2 {
            count!("info", "a", tags(text = control));
            count!("info", "a", tags(text = "a|b".to_owned()));
            count!("info", "a", tags(text = String::new()));
            count!("info", "a", tags(text = &*long));
            count!("info", "a", tags(text = Panics));
            count!("info", "a", tags(text = Counts));
        }
    });
    let expected = [
        (format!("a;text={}", "_".repeat(32)), 2.0),
        ("a;text=a_b".to_owned(), 2.0),
        ("a;text=_empty".to_owned(), 2.0),
        (format!("a;text={}", "x".repeat(255)), 2.0),
        ("a;text=_panicked".to_owned(), 2.0),
        ("a;text=outside".to_owned(), 2.0),
        ("inside;n=false;text=x".to_owned(), 2.0),
    ];
    assert_eq!(series, expected.into());
    assert!(stats.balances() && stats.recorded == 14 && stats.total_lost() == 0, "{stats:?}");
    assert_eq!(stats.renamed, 4);
}

#[test]
fn a_call_site_has_at_most_so_many_series() {
    fn count_many(from: u32) {
        for n in from..from + 3_000 {
            count!("info", "many", tags(n = n, region = "eu"));
            count!("info", "few", tags(n = n), max_series = 10);
            let mut time = time!("info", "ends");
            time.tag("n", n);
        }
    }
    let threads = 3;
    let (series, stats) = sent(|| {
        let threads: Vec<_> = (0..threads)
            .map(|n| Builder::new().spawn(move || count_many(n * 2_000)).unwrap())
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let of = |name: &str| -> Vec<_> {
        series.iter().filter(|(series, _)| series.starts_with(name)).collect()
    };
    for (name, most, overflow) in [
        ("many", 1_000, "many;n=_overflow;region=eu"),
        ("few", 10, "few;n=_overflow"),
        ("ends", 1_000, "ends;n=_overflow"),
    ] {
        let times: f64 = of(name).iter().map(|(_, times)| **times).sum();
        assert_eq!(times, 9_000.0, "{name}");
        assert_eq!(of(name).len(), most + 1, "{name}");
        assert!(series[overflow] >= 6_000.0 - most as f64, "{}", series[overflow]);
    }
    assert!(stats.balances(), "{stats:?}");
    assert!(stats.overflowing.is_some(), "the offender is named");
}
