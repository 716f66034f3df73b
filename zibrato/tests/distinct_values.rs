//! A tag whose value is different at each call: memory stays as it is, and no reading is lost.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

mod sent;

use sent::sent;
use std::thread::Builder;
use std::time::Instant;
use zibrato::{count, count_me};

/// Number of values. `tests/run --all` sets `ZIBRATO_DISTINCT_VALUES` to ten million.
const VALUES: u64 = 400_000;

/// Number of values before memory is compared: by then every series, cache and buffer is there.
const FIRST: u64 = 100_000;

/// What memory may grow by afterwards, in bytes. One byte for each value would be more in the long
/// run.
const MOST: u64 = 4 << 20;

#[count_me(name = "distinct.result", tags(id = |id| *id, shard = shard))]
fn answer(id: u64, shard: u8) -> u64 {
    id
}

fn measure(ids: impl Iterator<Item = u64>) {
    for id in ids {
        if id % 2 == 0 {
            count!("info", "distinct.count", tags(id = id, user = format!("user-{id}")));
        } else {
            assert_eq!(answer(id, 7), id);
        }
    }
}

/// Memory of this process that is resident, in bytes.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn memory_does_not_grow_with_the_number_of_values() {
    let values = std::env::var("ZIBRATO_DISTINCT_VALUES").map_or(VALUES, |n| n.parse().unwrap());
    let threads = 2;
    let (mut before, mut after) = (0, 0);
    let begun = Instant::now();
    let (series, stats) = sent(|| {
        let all = |from: u64, to: u64| {
            let part = |n| move || measure((from..to).filter(move |id| id / 2 % threads == n));
            let threads: Vec<_> =
                (0..threads).map(|n| Builder::new().spawn(part(n)).unwrap()).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        };
        all(0, FIRST);
        before = resident();
        all(FIRST, values);
        after = resident();
    });
    let took = begun.elapsed();
    let of = |name: &str| -> Vec<(&String, f64)> {
        let of = series.iter().filter(|(series, _)| series.starts_with(name));
        of.map(|(series, times)| (series, *times)).collect()
    };
    for (name, overflow) in [
        ("distinct.count", "distinct.count;id=_overflow;user=_overflow"),
        ("distinct.result", "distinct.result;id=_overflow;shard=_overflow"),
    ] {
        let of = of(name);
        let sum: f64 = of.iter().map(|(_, times)| times).sum();
        println!(
            "{name}: {} series, {sum} readings, {} of them in {overflow}",
            of.len(),
            series[overflow]
        );
        assert_eq!((of.len(), sum), (1_001, values as f64 / 2.0));
        assert_eq!(series[overflow], values as f64 / 2.0 - 1_000.0);
    }
    println!(
        "{values} values in {took:.1?}; resident {before} bytes after {FIRST} of them, {after} at the end; \
         overflowing: {:?}; recorded {}, lost {}",
        stats.overflowing,
        stats.recorded,
        stats.total_lost()
    );
    assert!(after <= before + MOST, "memory grew from {before} to {after} bytes");
    assert!(stats.balances() && stats.recorded == values && stats.total_lost() == 0, "{stats:?}");
    let named = stats.overflowing.unwrap();
    assert!(["distinct.count", "distinct.result"].contains(&named.as_str()), "{named}");
}
