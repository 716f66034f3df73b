//! The clock of timers: the processor's time stamp counter if it is reliable, else `Instant`.
//!
//! Reading the counter costs a third of reading the clock. The speed of the counter is measured
//! against the clock: for a millisecond when the first instrument is built, and then by the sender
//! once a second.

use once_cell::race::OnceBox;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The length of a tick in seconds, as the bits of a double. A tick of the clock is a nanosecond.
static TICK: AtomicU64 = AtomicU64::new(1e-9_f64.to_bits());

/// The source of ticks: [`UNKNOWN`], [`COUNTER`] or [`CLOCK`]. It changes only once.
static SOURCE: AtomicU8 = AtomicU8::new(UNKNOWN);

const UNKNOWN: u8 = 0;
const COUNTER: u8 = 1;
const CLOCK: u8 = 2;

/// Minimum length of the comparison before the first use. An error of 50 ns is 50 ppm of it.
const FIRST_COMPARISON: Duration = Duration::from_millis(1);

/// Minimum length of all other comparisons.
const COMPARISON: Duration = Duration::from_secs(1);

/// Maximum time for the first comparison. If it takes longer, the clock is used.
const LONGEST_COMPARISON: Duration = Duration::from_millis(100);

/// A comparison is used only if its error is at most one part in this many. Nearly all errors are
/// far smaller.
const LARGEST_ERROR: u64 = 10_000;

/// A point in time, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Moment(u64);

impl Moment {
    #[inline]
    pub(crate) fn now() -> Self {
        if SOURCE.load(Ordering::Relaxed) == COUNTER {
            Self(counter::read())
        } else {
            Self::now_slowly()
        }
    }

    #[cold]
    fn now_slowly() -> Self {
        begin();
        let by_clock = SOURCE.load(Ordering::Relaxed) == CLOCK;
        Self(if by_clock { nanoseconds() } else { counter::read() })
    }

    /// The number of ticks since then. Never negative, even if the counter jumps back.
    #[inline]
    pub(crate) fn elapsed(self) -> i64 {
        // A counter that starts at zero takes a century to reach 2^63.
        Self::now().0.saturating_sub(self.0).cast_signed()
    }

    /// The number of seconds since then.
    pub(crate) fn age(self) -> f64 {
        seconds(self.elapsed())
    }

    /// The ticks as one word, for a cell.
    #[inline]
    pub(crate) const fn to_bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// The length of a tick in seconds.
#[inline]
pub(crate) fn tick() -> f64 {
    f64::from_bits(TICK.load(Ordering::Relaxed))
}

/// The length of a number of ticks, in seconds.
#[inline]
pub(crate) fn seconds(ticks: i64) -> f64 {
    ticks as f64 * tick()
}

/// Chooses the source of ticks. The first call takes about a millisecond.
pub(crate) fn begin() {
    if SOURCE.load(Ordering::Relaxed) != UNKNOWN {
        return;
    }
    let (mut comparisons, begun) = (Comparisons::new(), Instant::now());
    let mut source = CLOCK;
    while source == CLOCK && counter::is_steady() && begun.elapsed() < LONGEST_COMPARISON {
        if comparisons.compare(FIRST_COMPARISON) {
            source = COUNTER;
        }
    }
    // If several threads choose at the same time, the first one wins.
    SOURCE.compare_exchange(UNKNOWN, source, Ordering::Relaxed, Ordering::Relaxed).ok();
}

fn nanoseconds() -> u64 {
    static BEGINNING: OnceBox<Instant> = OnceBox::new();
    let beginning = BEGINNING.get_or_init(|| Box::new(Instant::now()));
    u64::try_from(beginning.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Both clocks at the same time. The counter was read before and after the clock, and `apart` is
/// the number of ticks between these two reads.
#[derive(Debug, Clone, Copy)]
struct Both {
    clock: Instant,
    ticks: u64,
    apart: u64,
}

/// The length of a tick between readings of both clocks.
///
/// The length of a tick is constant, but the two clocks may diverge: while a machine is suspended,
/// its clock stops, and its counter continues or restarts. So each reading is compared with the
/// previous one and not with the first one. The result is the median of the last three comparisons,
/// so that one wrong comparison has no effect.
#[derive(Debug)]
pub(crate) struct Comparisons {
    last: Option<Both>,
    /// The number of comparisons.
    made: usize,
    lengths: [f64; 3],
}

impl Comparisons {
    pub(crate) const fn new() -> Self {
        Self { last: None, made: 0, lengths: [0.0; 3] }
    }

    /// Compares the counter with the clock again, if the previous comparison was at least a second
    /// ago. The sender calls it regularly.
    pub(crate) fn go_on(&mut self) {
        if SOURCE.load(Ordering::Relaxed) == COUNTER {
            self.compare(COMPARISON);
        }
    }

    /// Compares both clocks. Returns true if the length of a tick is known from the comparison.
    fn compare(&mut self, shortest: Duration) -> bool {
        // The clock is read between two reads of the counter, so the error is known.
        let before = counter::read();
        let clock = Instant::now();
        let apart = counter::read().saturating_sub(before);
        let tick = self.add(Both { clock, ticks: before + apart / 2, apart }, shortest);
        tick.inspect(|tick| TICK.store(tick.to_bits(), Ordering::Relaxed)).is_some()
    }

    /// The length of a tick in seconds, if this reading and the previous one are far enough apart.
    fn add(&mut self, now: Both, shortest: Duration) -> Option<f64> {
        let Some(last) = self.last.filter(|last| last.ticks < now.ticks) else {
            self.last = Some(now);
            return None;
        };
        let elapsed = now.clock.saturating_duration_since(last.clock);
        let passed = now.ticks - last.ticks;
        if now.apart.saturating_add(last.apart) > passed / LARGEST_ERROR {
            // The thread was interrupted during one of the readings. The better reading is kept.
            if now.apart < last.apart {
                self.last = Some(now);
            }
            return None;
        }
        if elapsed < shortest {
            return None;
        }
        self.last = Some(now);
        self.lengths[self.made % 3] = elapsed.as_secs_f64() / passed as f64;
        self.made = self.made.saturating_add(1);
        let mut lengths = self.lengths;
        let lengths = &mut lengths[..self.made.min(3)];
        lengths.sort_unstable_by(f64::total_cmp);
        Some(lengths[lengths.len() / 2])
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the intrinsics that read the counter are declared unsafe")]
mod counter {
    use std::arch::x86_64::{__cpuid, _rdtsc};

    #[inline]
    pub(super) fn read() -> u64 {
        // SAFETY: every x86-64 processor has the instruction, and it accesses no memory.
        unsafe { _rdtsc() }
    }

    /// Whether the counter has the same constant speed in all states of the processor and on all
    /// cores: the flag "invariant TSC" (Intel SDM vol. 3, 18.17.1; AMD APM vol. 3, 8000_0007h).
    pub(super) fn is_steady() -> bool {
        const HIGHEST: u32 = 0x8000_0000;
        const POWER: u32 = 0x8000_0007;
        __cpuid(HIGHEST).eax >= POWER && __cpuid(POWER).edx & (1 << 8) != 0
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod counter {
    pub(super) const fn read() -> u64 {
        0
    }

    pub(super) const fn is_steady() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Both, COMPARISON, Comparisons, Moment, Ordering, SOURCE, begin, counter, nanoseconds,
        seconds, tick,
    };
    use std::time::{Duration, Instant};

    /// Both clocks after this many milliseconds of the clock and microseconds of the counter, whose
    /// ticks are nanoseconds.
    fn both(begun: Instant, clock_ms: u64, counter_us: u64) -> Both {
        let clock = begun + Duration::from_millis(clock_ms);
        Both { clock, ticks: counter_us * 1000, apart: 100 }
    }

    #[test]
    fn clocks_that_come_apart_do_not_change_the_length_of_a_tick() {
        let begun = Instant::now();
        for (what, apart_us) in [("suspended", 8 * 3_600_000_000_i64), ("begun anew", -59_000_000)]
        {
            let mut comparisons = Comparisons::new();
            let mut ticks = Vec::new();
            for second in 0..100_u64 {
                let apart = if second < 60 { 0 } else { apart_us };
                let counter_us = (second * 1_000_000).saturating_add_signed(apart);
                let both = both(begun, second * 1000, counter_us);
                ticks.extend(comparisons.add(both, COMPARISON));
            }
            assert!(ticks.len() > 90, "{what}");
            assert!(ticks.iter().all(|tick| (tick - 1e-9).abs() < 1e-15), "{what}: {ticks:?}");
        }
    }

    #[test]
    fn a_reading_that_was_interrupted_is_not_compared_with() {
        let (begun, mut comparisons) = (Instant::now(), Comparisons::new());
        let mut add = |both| comparisons.add(both, Duration::from_millis(10));
        // The counter was read 5 ms late.
        assert_eq!(add(Both { apart: 10_000_000, ..both(begun, 0, 5_000) }), None);
        assert_eq!(add(both(begun, 11, 11_000)), None);
        let tick = add(both(begun, 22, 22_000)).unwrap();
        assert!((tick - 1e-9).abs() < 1e-15, "{tick}");
    }

    #[test]
    fn ticks_and_clock_agree() {
        begin();
        // The clock is read before and after each moment, because the thread may be interrupted in
        // between.
        let before = Instant::now();
        let moment = Moment::now();
        let after = Instant::now();
        while after.elapsed() < Duration::from_millis(20) {
            std::thread::yield_now();
        }
        let least = after.elapsed().as_secs_f64();
        let elapsed = moment.elapsed();
        let most = before.elapsed().as_secs_f64();
        let measured = elapsed as f64 * tick();
        assert!((seconds(elapsed) - measured).abs() < 1e-9);
        assert!(
            measured >= least * 0.999 && measured <= most * 1.001,
            "{measured}, at least {least}, at most {most}"
        );
        for moment in [moment, Moment::from_bits(moment.to_bits())] {
            assert!((0.02..10.0).contains(&moment.age()), "{moment:?}");
        }
        assert!(moment < Moment::now());
    }

    #[test]
    fn the_counter_is_read_where_it_is_steady() {
        let (begun, first) = (Instant::now(), nanoseconds());
        begin();
        let is_counter = SOURCE.load(Ordering::Relaxed) == super::COUNTER;
        assert!(is_counter || !counter::is_steady() || begun.elapsed() > Duration::from_millis(50));
        // The clock of processors without a reliable counter.
        while nanoseconds() - first < 1_000_000 {
            std::thread::yield_now();
        }
        assert!(begun.elapsed() >= Duration::from_millis(1));
    }
}
