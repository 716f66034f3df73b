//! The models, and what must hold in each.
//!
//! The main thread measures, and the sender is spawned: loom runs the main thread first, and offers
//! the other thread, at each load, every value that may still be visible. The other way round, loom
//! would treat a load and a store of the same thread as if nothing could come before them.

use crate::Model;
use crate::blocks::Blocks;
use crate::counter::{Counted, CounterCell};
use crate::gauge::GaugeCell;
use crate::histogram::HistogramCell;
use crate::sketch::{SHIFT, key_of};
use crate::summary::Summary;
use crate::sync::{AtomicU32, OnceBox, Ordering, allow_attempts};
use crate::timer::TimerCell;
use crate::timer_totals::TimerTotals;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

pub(crate) const ALL: &[Model] = &[
    ("a counter is read while it counts", 4, counter_beside_reader),
    ("a gauge is taken while it is set", 4, gauge_beside_taker),
    ("a histogram is taken while it records", 3, histogram_beside_taker),
    ("a timer's first readings are taken while it reads", 3, first_readings),
    ("the sums that are seen belong to the same readings", 3, sums_together),
    ("sums of many readings are read while more are added", 3, many_sums_together),
    ("few readings are taken while they become many", 3, few_and_many),
    ("many readings are read twice while more are added", 2, many_twice),
    ("few readings are taken after many", 3, few_after_many),
    ("new readings overwrite the one that was last when the sender began", 0, many_at_once),
    ("many readings in one cell and one in another", 3, many_elsewhere),
    ("epochs end while a timer reads", 3, epochs),
    ("a block is handed on while it is read", 3, handing_on),
    ("threads request the same block at once", 3, wanting_one),
    ("a timer continues in the next thread", 3, timer_handed_on),
];

/// Not 1, which is stored in a separate word.
const AMOUNTS: [i64; 2] = [10, 20];

fn counter_beside_reader() {
    let cell = Arc::new(CounterCell::default());
    let counting = Arc::clone(&cell);
    let sender = thread::spawn(move || {
        let mut before = Counted::default();
        for _ in 0..2 {
            let mut now = Counted::default();
            cell.add_to(&mut now);
            // Counts are added to the sum; a count in the sum may not be visible in the number of
            // counts yet.
            let ones = now.sum % 10;
            let others = i128::from(now.times) - ones;
            assert!(now.sum - ones >= [0, 10, 30][others as usize], "{now:?}");
            assert!(now.times >= before.times && now.sum >= before.sum, "{before:?}, {now:?}");
            before = now;
        }
        cell
    });
    [1, 1].into_iter().chain(AMOUNTS).for_each(|amount| counting.add(amount));
    let cell = sender.join().unwrap();
    let mut all = Counted::default();
    cell.add_to(&mut all);
    assert_eq!(all, Counted { sum: 32, times: 4 });
}

/// Ascending, so that the first of some is the minimum and the last one is the maximum.
const VALUES: [f64; 4] = [1.0, 2.0, 4.0, 8.0];

/// Takes the readings after the first `taken` ones, and returns how many were taken now.
fn take_gauge(cell: &GaugeCell, taken: usize) -> usize {
    let untaken = cell.untaken();
    let Some((_, gauge)) = cell.take(0) else {
        assert_eq!(untaken, 0);
        return 0;
    };
    // A published reading is never held back.
    assert!(gauge.count >= untaken, "{gauge:?}");
    let readings = &VALUES[taken..taken + gauge.count as usize];
    let (first, last) = (readings[0], readings[readings.len() - 1]);
    assert_eq!((gauge.min, gauge.max, gauge.last), (first, last, last));
    assert_eq!(gauge.sum, readings.iter().sum::<f64>());
    readings.len()
}

fn gauge_beside_taker() {
    let cell = Arc::new(GaugeCell::default());
    let setting = Arc::clone(&cell);
    let sender = thread::spawn(move || {
        let taken = (0..2).fold(0, |taken, _| taken + take_gauge(&cell, taken));
        (cell, taken)
    });
    VALUES.iter().for_each(|value| setting.set(*value));
    let (cell, taken) = sender.join().unwrap();
    assert_eq!(taken + take_gauge(&cell, taken), VALUES.len());
    assert_eq!(cell.untaken(), 0);
}

/// In the two buckets of one octave.
const SIZES: [f64; 4] = [1.0, 1.5, 1.0, 1.5];

/// Takes the readings after the first `taken` ones, and returns how many were taken now.
fn take_histogram(cell: &HistogramCell, taken: usize) -> usize {
    let untaken = cell.untaken();
    let Some(summary) = cell.take() else {
        assert_eq!(untaken, 0);
        return 0;
    };
    assert!(summary.count >= untaken);
    let sizes = &SIZES[taken..taken + summary.count as usize];
    assert_eq!(summary.sum, sizes.iter().sum::<f64>());
    assert_eq!(summary.min, sizes.iter().copied().fold(f64::MAX, f64::min));
    assert_eq!(summary.max, sizes.iter().copied().fold(f64::MIN, f64::max));
    for size in [1.0, 1.5] {
        let of_size = sizes.iter().filter(|other| **other == size).count();
        let bucket = key_of(size);
        let counted = summary.sketch.buckets().find(|(other, _)| *other == bucket);
        assert_eq!(counted.map_or(0, |(_, count)| count as usize), of_size, "{sizes:?}");
    }
    sizes.len()
}

fn histogram_beside_taker() {
    let cell = Arc::new(HistogramCell::default());
    assert!(cell.make_room(1.0, |_| true));
    let recording = Arc::clone(&cell);
    let sender = thread::spawn(move || {
        let taken = (0..2).fold(0, |taken, _| taken + take_histogram(&cell, taken));
        (cell, taken)
    });
    SIZES.iter().for_each(|size| assert!(recording.record(*size)));
    let (cell, taken) = sender.join().unwrap();
    assert_eq!(taken + take_histogram(&cell, taken), SIZES.len());
    assert_eq!(cell.untaken(), 0);
}

/// Readings take 4 ticks or 1, so that the sum shows which ones it contains. A tick takes a second.
const LONG: i64 = 4;

fn read(cell: &TimerCell, ticks: i64, epoch: u32) {
    cell.record(ticks, 1.0, epoch);
}

/// The readings of one timer that were taken so far.
struct Taken {
    cells: Vec<Arc<TimerCell>>,
    totals: TimerTotals,
    count: u64,
    sum: f64,
}

impl Taken {
    /// The expected readings of cells with these contents.
    fn of(readings: &[&[i64]]) -> Self {
        let cells = readings.iter().map(|readings| {
            let cell = TimerCell::default();
            readings.iter().for_each(|ticks| read(&cell, *ticks, 1));
            Arc::new(cell)
        });
        let (cells, totals) = (cells.collect(), TimerTotals::new());
        Self { cells, totals, count: 0, sum: 0.0 }
    }

    fn take(&mut self, ended: u32) -> Option<Summary> {
        let cells = self.cells.iter().map(|cell| &**cell);
        let summary = self.totals.take(cells, ended, 1.0)?;
        self.count += summary.count;
        self.sum += summary.sum;
        let in_buckets: u64 = summary.sketch.buckets().map(|(_, count)| u64::from(count)).sum();
        assert_eq!(summary.count, in_buckets);
        assert!(summary.min <= summary.max, "{summary:?}");
        // For readings of 1, 4 and 64 ticks; if the sums did not belong together, it would be much
        // larger.
        let variance = summary.deviations / summary.count as f64;
        assert!((0.0..=32.0 * 32.0).contains(&variance), "{summary:?}");
        // Every reading in a bucket is in the sum, which may be ahead.
        let least: f64 = self.each().map(|(ticks, count)| ticks * f64::from(count)).sum();
        assert!(self.sum >= least, "{} {least}", self.sum);
        Some(summary)
    }

    fn untaken(&self) -> u64 {
        self.totals.count_since(self.cells.iter().map(|cell| &**cell))
    }

    /// The number of readings for each duration in ticks.
    fn each(&self) -> impl Iterator<Item = (f64, u32)> {
        let buckets = self.totals.buckets();
        buckets.map(|(key, count)| (f64::from_bits((key as u64) << SHIFT), count))
    }

    fn is(&self, each: &[(f64, u32)]) {
        assert_eq!(self.each().collect::<Vec<_>>(), each);
        assert_eq!(self.count, each.iter().map(|(_, count)| u64::from(*count)).sum::<u64>());
        assert_eq!(self.sum, each.iter().map(|(ticks, count)| ticks * f64::from(*count)).sum());
        assert_eq!(self.untaken(), 0);
    }
}

/// The main thread records `readings` in the last cell, while the sender reads it `looks` times.
fn read_beside(taken: Taken, readings: &[i64], looks: usize) -> Taken {
    let (cell, mut taken) = (Arc::clone(taken.cells.last().unwrap()), taken);
    let sender = thread::spawn(move || {
        for _ in 0..looks {
            let untaken = taken.untaken();
            // A reading of a single cell that was counted is never held back.
            let taken_now = taken.take(1).map_or(0, |summary| summary.count);
            assert!(untaken <= taken_now || taken.cells.len() > 1);
        }
        taken
    });
    readings.iter().for_each(|ticks| read(&cell, *ticks, 1));
    let mut taken = sender.join().unwrap();
    taken.take(1);
    taken
}

/// The variance checks in `take` check these sums.
fn sums_together() {
    allow_attempts(true);
    let taken = read_beside(Taken::of(&[&[]]), &[1, LONG], 2);
    allow_attempts(false);
    taken.is(&[(1.0, 1), (4.0, 1)]);
}

fn many_sums_together() {
    allow_attempts(true);
    let taken = read_beside(Taken::of(&[&[LONG, 1, 1]]), &[LONG, 1], 1);
    allow_attempts(false);
    taken.is(&[(1.0, 3), (4.0, 2)]);
}

fn first_readings() {
    read_beside(Taken::of(&[&[]]), &[1, LONG], 2).is(&[(1.0, 1), (4.0, 1)]);
}

/// Three readings can be taken one by one. The last one here overwrites the first one.
fn few_and_many() {
    read_beside(Taken::of(&[&[LONG, 1, 1]]), &[LONG, 1], 1).is(&[(1.0, 3), (4.0, 2)]);
}

fn many_twice() {
    read_beside(Taken::of(&[&[LONG, 1, 1, 1]]), &[LONG, 1], 2).is(&[(1.0, 4), (4.0, 2)]);
}

fn few_after_many() {
    let mut taken = Taken::of(&[&[LONG, 1, 1, 1]]);
    taken.take(1);
    read_beside(taken, &[LONG, 1], 2).is(&[(1.0, 4), (4.0, 2)]);
}

/// The last reading here overwrites the one that was last when the sender began to read.
fn many_at_once() {
    read_beside(Taken::of(&[&[LONG, 1, 1, 1]]), &[1, 1, 1, LONG], 2).is(&[(1.0, 6), (4.0, 2)]);
}

/// Because of the other cell, the sender reads buckets in which a reading is missing that it has
/// already taken.
fn many_elsewhere() {
    let mut taken = Taken::of(&[&[], &[LONG, 1]]);
    taken.take(1);
    (0..4).for_each(|_| read(&taken.cells[0], LONG, 1));
    read_beside(taken, &[LONG, 1], 1).is(&[(1.0, 2), (4.0, 6)]);
}

fn epochs() {
    // Also checks the reading that remains in the slot that the third epoch uses.
    let (mut taken, epoch) = (Taken::of(&[&[64]]), Arc::new(AtomicU32::new(2)));
    assert_eq!(taken.take(1).unwrap().max, 64.0);
    let (cell, current) = (Arc::clone(&taken.cells[0]), Arc::clone(&epoch));
    let sender = thread::spawn(move || {
        for ended in [2, 3] {
            epoch.store(ended + 1, Ordering::Relaxed);
            let Some(summary) = taken.take(ended) else { continue };
            // The middle of the bucket, if the reading was too late for the epoch.
            assert!([4.0, 5.0].contains(&summary.max), "{summary:?}");
            assert_eq!(summary.deviations, 0.0, "{summary:?}");
        }
        taken
    });
    (0..2).for_each(|_| read(&cell, LONG, current.load(Ordering::Relaxed)));
    let mut taken = sender.join().unwrap();
    taken.take(4);
    taken.is(&[(4.0, 2), (64.0, 1)]);
}

/// A cell, and memory that only the owner of the block may access.
type Owned = (CounterCell, UnsafeCell<u32>);

fn blocks() -> Arc<Blocks<Owned>> {
    Arc::new(Blocks::new(OnceBox::new()))
}

/// The life of a thread: it takes a block, counts once in it, and ends.
fn count_in_a_block(blocks: &Blocks<Owned>) {
    let new = || (CounterCell::default(), UnsafeCell::new(0));
    let block = blocks.adopt(|_| true).or_else(|| blocks.add(new())).unwrap();
    // SAFETY: the model checks that no other thread is here.
    block.cells.1.with_mut(|owned| unsafe { *owned += 1 });
    block.cells.0.add(10);
    block.hand_on();
}

fn counted(blocks: &Blocks<Owned>) -> Counted {
    let mut counted = Counted::default();
    blocks.iter().for_each(|block| block.cells.0.add_to(&mut counted));
    counted
}

fn handing_on() {
    let blocks = blocks();
    let threads = [(); 2].map(|()| Arc::clone(&blocks));
    let [sender, other] = [Arc::clone(&blocks), Arc::clone(&blocks)];
    let threads_begin = || threads.map(|blocks| move || count_in_a_block(&blocks));
    let [first, second] = threads_begin();
    let second = thread::spawn(second);
    let sender = thread::spawn(move || {
        let seen = counted(&sender);
        assert!(seen.sum >= i128::from(seen.times) * 10 && seen.times <= 2, "{seen:?}");
    });
    first();
    second.join().unwrap();
    sender.join().unwrap();
    assert_eq!(counted(&other), Counted { sum: 20, times: 2 });
    assert!((1..=2).contains(&other.iter().count()));
}

fn wanting_one() {
    let blocks = blocks();
    count_in_a_block(&blocks);
    let other = Arc::clone(&blocks);
    let thread = thread::spawn(move || count_in_a_block(&other));
    count_in_a_block(&blocks);
    count_in_a_block(&blocks);
    thread.join().unwrap();
    assert_eq!(counted(&blocks), Counted { sum: 40, times: 4 });
    assert!((1..=2).contains(&blocks.iter().count()));
}

fn timer_handed_on() {
    let blocks: Arc<Blocks<Arc<TimerCell>>> = Arc::new(Blocks::new(OnceBox::new()));
    let mut taken = Taken::of(&[&[]]);
    blocks.add(Arc::clone(&taken.cells[0])).unwrap().hand_on();
    let adopt_and_read = |blocks: &Blocks<Arc<TimerCell>>, ticks| {
        let Some(block) = blocks.adopt(|_| true) else { return 0 };
        read(&block.cells, ticks, 1);
        block.hand_on();
        1
    };
    let others = Arc::clone(&blocks);
    let other = thread::spawn(move || adopt_and_read(&others, LONG));
    let sender = thread::spawn(move || {
        taken.take(1);
        taken
    });
    let short = adopt_and_read(&blocks, 1);
    let (long, mut taken) = (other.join().unwrap(), sender.join().unwrap());
    taken.take(1);
    let each = [(1.0, short), (4.0, long)];
    taken.is(&each.into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>());
}
