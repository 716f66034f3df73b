//! Counts at 256 call sites in turn, with all their data in the caches, and with none of it there.

use crate::first_use::{metrics, prometheus};
use crate::measure::ROUNDS;
use crate::places::{Place, counted, places};
use crate::table::{NANOSECONDS, Row};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// How often all sites are called per round while their data is in the caches.
const WARM_TURNS: u32 = 1_000;

/// How often all sites are called after the caches were emptied.
const COLD_TURNS: usize = 31;

/// More memory than the caches of a processor hold.
const MORE_THAN_CACHES: usize = 256 << 20;

macro_rules! local {
    ($prefix:literal, $a:literal, $b:literal) => {
        (|| {
            thread_local! {
                static PLACE: Cell<u64> = const { Cell::new(0) };
            }
            PLACE.set(PLACE.get().wrapping_add(1));
        }) as fn()
    };
}

struct Subject {
    name: &'static str,
    places: [[Place; 16]; 16],
    warm: f64,
    cold: Vec<f64>,
}

impl Subject {
    const fn new(name: &'static str, places: [[Place; 16]; 16]) -> Self {
        Self { name, places, warm: f64::INFINITY, cold: Vec::new() }
    }

    /// Calls every site this number of times, and returns the time per call in nanoseconds.
    fn call(&self, turns: u32) -> f64 {
        let begun = Instant::now();
        for _ in 0..turns {
            self.places.as_flattened().iter().for_each(|place| place());
        }
        let calls = f64::from(turns) * self.places.as_flattened().len() as f64;
        begun.elapsed().as_nanos() as f64 / calls
    }
}

/// Returns the rows, and the number of Zibrato's readings.
pub fn rows() -> (Vec<Row>, u64) {
    let mut all = [
        Subject::new("ours", places!(counted "turn")),
        Subject::new("thread-local adds", places!(local "turn")),
        Subject::new("metrics, macro", places!(metrics "metrics_turn_")),
        Subject::new("prometheus, LazyLock", places!(prometheus "prometheus_turn_")),
    ];
    let mut turns = 0;
    for _ in 0..ROUNDS {
        for subject in &mut all {
            subject.warm = subject.warm.min(subject.call(WARM_TURNS));
        }
        turns += u64::from(WARM_TURNS);
    }
    let mut memory = vec![0_u8; MORE_THAN_CACHES];
    for _ in 0..COLD_TURNS {
        for subject in &mut all {
            memory.iter_mut().step_by(64).for_each(|byte| *byte = byte.wrapping_add(1));
            black_box(&memory);
            // The clock's own code and data were evicted, too.
            black_box(Instant::now().elapsed() > Duration::ZERO);
            let ns = subject.call(1);
            subject.cold.push(ns);
        }
        turns += 1;
    }
    for subject in &mut all {
        subject.cold.sort_by(f64::total_cmp);
    }
    let row = |name, of: fn(&Subject) -> f64| {
        let [ours, floor, peers @ ..] = &all;
        let mut peers: Vec<_> = peers.iter().map(|peer| (peer.name, of(peer))).collect();
        peers.sort_by(|one, other| one.1.total_cmp(&other.1));
        Row::new(name, NANOSECONDS, of(ours), (floor.name, of(floor)), peers)
    };
    let rows = vec![
        row("count, 256 sites", |subject| subject.warm),
        row("count, 256 sites, cold", |subject| subject.cold[COLD_TURNS / 2]),
    ];
    (rows, turns * all[0].places.as_flattened().len() as u64)
}
