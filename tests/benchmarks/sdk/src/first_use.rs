//! The first use of a call site, which happens once: 256 call sites, each timed separately.

use crate::places::{Place, counted, places};
use crate::table::{MICROSECONDS, Row};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

macro_rules! plain {
    ($prefix:literal, $a:literal, $b:literal) => {
        (|| {
            static PLACE: AtomicU64 = AtomicU64::new(0);
            PLACE.fetch_add(1, Ordering::Relaxed);
        }) as fn()
    };
}

macro_rules! metrics {
    ($prefix:literal, $a:literal, $b:literal) => {
        (|| metrics::counter!(concat!($prefix, $a, $b)).increment(1)) as fn()
    };
}

macro_rules! prometheus {
    ($prefix:literal, $a:literal, $b:literal) => {
        (|| {
            static PLACE: LazyLock<prometheus::IntCounter> = LazyLock::new(|| {
                let name = concat!($prefix, $a, $b);
                prometheus::register_int_counter!(name, "counted").expect("a unique name")
            });
            PLACE.inc();
        }) as fn()
    };
}

pub(crate) use {metrics, prometheus};

/// Returns the rows, and the number of Zibrato's readings.
pub fn rows() -> (Vec<Row>, u64) {
    let floor = timed(places!(plain "plain"));
    let ours = timed(places!(counted "first"));
    let peers = [
        ("metrics, macro", timed(places!(metrics "metrics_first_"))),
        ("prometheus, LazyLock", timed(places!(prometheus "prometheus_first_"))),
    ];
    let row = |name, of: fn(&[f64]) -> f64| {
        let floor = ("first add to a static", of(&floor));
        let peers = peers.iter().map(|(peer, times)| (*peer, of(times))).collect();
        Row::new(name, MICROSECONDS, of(&ours), floor, peers)
    };
    let rows = vec![
        row("first use", |times| times[times.len() / 2]),
        row("first use, longest", |times| times[times.len() - 1]),
    ];
    (rows, ours.len() as u64)
}

/// The time of each call in microseconds, in ascending order.
fn timed(places: [[Place; 16]; 16]) -> Vec<f64> {
    let time = |place: Place| {
        let begun = Instant::now();
        place();
        begun.elapsed().as_nanos() as f64 / 1e3
    };
    let mut all: Vec<_> = places.into_iter().flatten().map(time).collect();
    all.sort_by(f64::total_cmp);
    all
}
