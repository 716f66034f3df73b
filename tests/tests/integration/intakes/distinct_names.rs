//! A name that is different each time: memory is bounded, what does not fit is counted, and the series
//! that were there before keep exact values.

use super::parts::{self, DERIVE, HOST, PLUGIN, TYPE, TYPE_INSTANCE, gauges, part, text, values};
use super::{Intakes, Series};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::ops::Range;
use std::time::Instant;
use zibrato::wire::Value;
use zibrato_tests::{DEADLINE, wait_until};

/// Number of names. `tests/run --all` sets `ZIBRATO_DISTINCT_NAMES` to ten million.
const NAMES: u64 = 150_000;

/// Number of names in a packet, after the known series.
const TOGETHER: u64 = 1_000;

/// Number of value lists of CollectD whose last readings the broker keeps.
const COLLECTD_LISTS: u64 = 500_000;

/// Number of statistics that the broker keeps for MetricsD.
const STATISTICS: u64 = 100_000;

/// What memory may grow by in the second half, in KiB. Two bytes for each name would be more in the
/// long run.
const MOST: u64 = 8 << 10;

/// What the broker may use, in KiB.
const PEAK: u64 = 1 << 20;

fn names() -> u64 {
    std::env::var("ZIBRATO_DISTINCT_NAMES").map_or(NAMES, |n| n.parse().unwrap())
}

/// A number from the status of the broker, in KiB.
fn status(intakes: &mut Intakes, key: &str) -> u64 {
    let status = format!("/proc/{}/status", intakes.broker.running().id());
    let status = std::fs::read_to_string(status).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    value.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

/// Sends all names with `send`, which gets their range, and returns when they are received. Compares
/// memory in the middle and at the end.
#[track_caller]
#[expect(clippy::print_stdout, reason = "what `tests/run names` shows")]
fn flood(intake: &str, intakes: &mut Intakes, mut send: impl FnMut(&Intakes, Range<u64>)) {
    let (begun, names) = (Instant::now(), names());
    let before = status(intakes, "VmRSS:");
    send(intakes, 0..names / 2);
    let half = status(intakes, "VmHWM:");
    send(intakes, names / 2..names);
    let peak = status(intakes, "VmHWM:");
    let seconds = begun.elapsed().as_secs_f64();
    let [before_mib, half_mib, peak_mib] = [before, half, peak].map(|kib| kib >> 10);
    println!(
        "{intake}: {names} names in {seconds:.1} s; resident memory is {before_mib} MiB before, at most \
         {half_mib} MiB in the first half, and at most {peak_mib} MiB in all"
    );
    assert!(peak < PEAK, "{peak} KiB");
    // With few names, not all buffers are there in the first half.
    if names > NAMES {
        assert!(peak - half < MOST, "{half} KiB, then {peak} KiB");
    }
}

/// The packets with these names: `known` gives the series that are in each, by the number of the packet.
fn packets(
    range: Range<u64>,
    known: impl Fn(u64) -> Vec<u8>,
    name: impl Fn(u64) -> Vec<u8>,
) -> impl Iterator<Item = Vec<u8>> {
    range.clone().step_by(TOGETHER as usize).map(move |first| {
        let mut packet = known(first / TOGETHER);
        (first..(first + TOGETHER).min(range.end)).for_each(|n| packet.extend(name(n)));
        packet
    })
}

/// The value of an entry, if it is a counter or a gauge.
fn number(value: &Value<'_>) -> f64 {
    match value {
        Value::Counter(sum) => *sum,
        Value::Gauge(gauge) => gauge.last,
        _ => 0.0,
    }
}

/// The sum of all counters.
fn sum(received: &Series) -> f64 {
    let counters = received.values().filter_map(|reading| reading.strip_prefix("c "));
    counters.map(|sum| sum.parse::<f64>().unwrap()).sum()
}

#[test]
fn names_of_statsd() {
    let (names, max) = (names(), names() / 10);
    let flags = ["--statsd-max-series".to_owned(), max.to_string()];
    let mut intakes = Intakes::start_with(|_| flags.into());
    let (packets_sent, mut sent) = (names.div_ceil(TOGETHER), 0);
    // Over TCP, which loses nothing.
    let mut stream = &TcpStream::connect(intakes.address("statsd")).unwrap();
    let known = |_| b"known:1|c\nknown.t:500|ms\nknown.s:anna|s\n".to_vec();
    let name = |n| format!("name.{n}:1|c\n").into_bytes();
    flood("statsd", &mut intakes, |intakes, range| {
        let count = range.end - range.start;
        sent += count + 3 * count.div_ceil(TOGETHER);
        packets(range, known, name).for_each(|packet| stream.write_all(&packet).unwrap());
        wait_until(DEADLINE, "all names", || intakes.lines("statsd") >= sent);
    });
    let total = (names + packets_sent) as f64;
    let (mut left, mut left_of_timer) = (total, packets_sent);
    let received = intakes.read_until(|batch| {
        for entry in batch.entries().map(Result::unwrap) {
            left -= number(&entry.value);
            left_of_timer -= match &entry.value {
                Value::Timer(timer) => timer.count,
                Value::TimerReadings(readings) => readings.clone().count() as u64,
                _ => 0,
            };
        }
        left <= 0.0 && left_of_timer == 0
    });
    assert_eq!(sum(&received), total);
    assert_eq!(received["known"], format!("c {packets_sent}"));
    let seconds = packets_sent as f64 / 2.0;
    assert_eq!(received["known.t"], format!("t {packets_sent} {seconds} 0.5 0.5"));
    assert_eq!(received["known.s"], "s anna");
    // Three series are known.
    let overflowed = intakes.broker.metric("zibrato_broker_overflowed_total");
    assert_eq!(overflowed, (names - (max - 3)) as f64);
    intakes.check_rejected("statsd", &[]);
    intakes.broker.running().says(&["too_many_series", "intake=\"statsd\"", "_overflow"]);
}

#[test]
fn names_of_collectd() {
    let (names, begun) = (names(), parts::now() - 30);
    let mut intakes = Intakes::start();
    // A gauge, and a derive that grows by 1 in 2^-10 s.
    let known = |packet: u64| {
        let time = (begun << 30) + (packet << 20);
        let host = [text(HOST, "known"), text(PLUGIN, "p"), part(8, &time.to_be_bytes())].concat();
        let gauge = [text(TYPE, "gauge"), gauges(&[packet as f64])].concat();
        let derive = [text(TYPE, "derive"), values(&[(DERIVE, packet.to_be_bytes())])].concat();
        [host, gauge, derive, text(HOST, "h")].concat()
    };
    // A gauge, then a derive.
    let name = |n: u64| {
        let list = match n % 2 {
            0 => [text(TYPE, "gauge"), gauges(&[1.0])].concat(),
            _ => [text(TYPE, "derive"), values(&[(DERIVE, [0; 8])])].concat(),
        };
        [text(TYPE_INSTANCE, &n.to_string()), list].concat()
    };
    flood("collectd", &mut intakes, |intakes, range| {
        let known = |packet| [known(packet), text(TYPE_INSTANCE, "")].concat();
        intakes.send_all("collectd", packets(range, known, name));
    });
    let packets_sent = names.div_ceil(TOGETHER);
    let last = (packets_sent - 1) as f64;
    let received = intakes.read_until(|batch| {
        let mut entries = batch.entries().map(Result::unwrap);
        batch.source() == "known"
            && entries.any(|entry| entry.name == "p.gauge" && number(&entry.value) == last)
    });
    assert_eq!(received["p.gauge@known"], format!("g {last}"));
    assert_eq!(received["p.derive@known"], "g 1024");
    // Gauges need no earlier reading; half of the names are derives.
    assert_eq!(intakes.lines("collectd"), names / 2 + 2 * packets_sent - 1);
    let unknown = (names / 2).saturating_sub(COLLECTD_LISTS / 2 - 1);
    let reasons = [("series", unknown)];
    intakes.check_rejected("collectd", if unknown > 0 { &reasons } else { &[] });
}

#[test]
fn names_of_metricsd() {
    let names = names();
    let flags = ["--metricsd-interval", "2"].map(str::to_owned);
    let mut intakes = Intakes::start_with(|_| flags.into());
    let known = |packet: u64| {
        let counter = parts::change(0x00, "counter", 1.0);
        [parts::host("known"), counter, parts::change(0x10, "gauge", packet as f64)].concat()
    };
    let name = |n: u64| parts::change(0x10, &format!("n{n}"), 1.0);
    flood("metricsd", &mut intakes, |intakes, range| {
        intakes.send_all("metricsd", packets(range, known, name));
    });
    let packets_sent = names.div_ceil(TOGETHER);
    // One publication is several batches.
    let mut last = BTreeMap::new();
    let received = intakes.read_until(|batch| {
        for entry in batch.entries().map(Result::unwrap) {
            last.insert(entry.name.to_owned(), number(&entry.value));
        }
        let is = |name: &str, value: u64| last.get(name) == Some(&(value as f64));
        last.len() as u64 == STATISTICS
            && is("counter", packets_sent)
            && is("gauge", packets_sent - 1)
    });
    assert_eq!(received["counter@known"], format!("g {packets_sent}"));
    assert_eq!(received["gauge@known"], format!("g {}", packets_sent - 1));
    assert_eq!(received.len() as u64, STATISTICS);
    assert_eq!(intakes.lines("metricsd"), STATISTICS - 2 + 2 * packets_sent);
    intakes.check_rejected("metricsd", &[("series", names - (STATISTICS - 2))]);
}
