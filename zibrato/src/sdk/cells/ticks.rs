//! Time for timers: the processor's time stamp counter where it can be trusted, else `Instant`.
//!
//! Reading the counter costs a third of reading the clock. How long a tick is, the sender finds
//! out by comparing the two, again and again: nothing waits for it, and until it knows, timers use
//! the clock.

use super::per_process::PerProcess;
use once_cell::race::OnceBox;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The length of a tick in seconds, as the bits of a double; 0 while it is not known.
static TICK: AtomicU64 = AtomicU64::new(0);

/// What the nanoseconds of moments are counted from.
static BEGINNING: OnceBox<Instant> = OnceBox::new();

static COMPARISONS: PerProcess<Mutex<Comparisons>> =
    PerProcess::new(Mutex::new(Comparisons::new()));

/// The shortest first comparison that is good for anything: 50 ns of error in it are 5 ppm.
const FIRST_COMPARISON: Duration = Duration::from_millis(10);

/// The shortest of all others.
const SHORTEST_COMPARISON: Duration = Duration::from_secs(1);

/// The largest error of a comparison, as a part of it. Nearly all are far below it.
const LARGEST_ERROR: u64 = 10_000;

/// A moment: ticks, or, with the highest bit set, nanoseconds since the beginning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(u64);

const BY_CLOCK: u64 = 1 << 63;

impl Moment {
    #[inline]
    pub(crate) fn now() -> Self {
        if TICK.load(Ordering::Relaxed) == 0 { Self::by_clock() } else { Self(counter::read()) }
    }

    #[cold]
    fn by_clock() -> Self {
        Self(nanoseconds() | BY_CLOCK)
    }

    /// How long ago it was. Never negative, even if the counter jumps back.
    #[inline]
    pub(crate) fn elapsed(self) -> Elapsed {
        if self.0 & BY_CLOCK == 0 {
            // Both are below 2^63.
            Elapsed(counter::read().saturating_sub(self.0))
        } else {
            self.elapsed_by_clock()
        }
    }

    #[cold]
    fn elapsed_by_clock(self) -> Elapsed {
        Elapsed(nanoseconds().saturating_sub(self.0 & !BY_CLOCK) | BY_CLOCK)
    }

    /// Whether it was before another one.
    pub(crate) fn is_before(self, other: Self) -> bool {
        if (self.0 ^ other.0) & BY_CLOCK == 0 { self.0 < other.0 } else { self.age() > other.age() }
    }

    /// How many seconds ago it was.
    pub(crate) fn age(self) -> f64 {
        self.elapsed().seconds()
    }

    /// All of it in a word, for a cell.
    #[inline]
    pub(crate) const fn to_bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// How long something took: ticks, or, with the highest bit set, nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Elapsed(u64);

impl Elapsed {
    /// `None` if it was taken from the clock. Never negative.
    #[inline]
    pub(crate) fn ticks(self) -> Option<i64> {
        (self.0 & BY_CLOCK == 0).then_some(self.0.cast_signed())
    }

    #[inline]
    pub(crate) fn seconds(self) -> f64 {
        match self.ticks() {
            Some(ticks) => ticks as f64 * tick(),
            None => (self.0 & !BY_CLOCK) as f64 / 1e9,
        }
    }
}

impl AddAssign for Elapsed {
    #[inline]
    fn add_assign(&mut self, more: Self) {
        if (self.0 | more.0) & BY_CLOCK == 0 {
            // A century of ticks would have to come together to reach the highest bit.
            self.0 += more.0;
        } else {
            self.add_by_clock(more);
        }
    }
}

impl Elapsed {
    /// Ticks and nanoseconds together are nanoseconds.
    #[cold]
    fn add_by_clock(&mut self, more: Self) {
        let nanoseconds = |elapsed: Self| match elapsed.ticks() {
            Some(_) => (elapsed.seconds() * 1e9) as u64,
            None => elapsed.0 & !BY_CLOCK,
        };
        self.0 = (nanoseconds(*self) + nanoseconds(more)) | BY_CLOCK;
    }
}

/// How many seconds a tick takes.
#[inline]
pub(crate) fn tick() -> f64 {
    f64::from_bits(TICK.load(Ordering::Relaxed))
}

fn nanoseconds() -> u64 {
    u64::try_from(beginning().elapsed().as_nanos()).unwrap_or(u64::MAX) & !BY_CLOCK
}

fn beginning() -> Instant {
    *BEGINNING.get_or_init(|| Box::new(Instant::now()))
}

/// Compares the counter with the clock. Called now and then by the sender.
pub(crate) fn calibrate() {
    if !counter::is_steady() {
        return;
    }
    let beginning = beginning();
    let mut comparisons = comparisons();
    // The clock is read between two readings of the counter, so the error can be seen.
    let before = counter::read();
    let clock = beginning.elapsed();
    let apart = counter::read().saturating_sub(before);
    if let Some(tick) = comparisons.add(Both { clock, ticks: before + apart / 2, apart }) {
        TICK.store(tick.to_bits(), Ordering::Relaxed);
    }
}

fn comparisons() -> MutexGuard<'static, Comparisons> {
    let comparisons = COMPARISONS.get(|_| Mutex::new(Comparisons::new()));
    comparisons.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both clocks, read at once but for as many ticks as they are `apart`.
#[derive(Debug, Clone, Copy)]
struct Both {
    clock: Duration,
    ticks: u64,
    apart: u64,
}

/// How long a tick was between readings of both clocks.
///
/// A tick is always as long, but the two may come apart: while a machine is suspended, its clock
/// stands still, and its counter goes on, or begins anew. So each comparison is with the last
/// reading and not with the first one, and what holds is the median of three: what happens in one
/// of them changes nothing.
#[derive(Debug)]
struct Comparisons {
    last: Option<Both>,
    /// How many there were.
    made: usize,
    lengths: [f64; 3],
}

impl Comparisons {
    const fn new() -> Self {
        Self { last: None, made: 0, lengths: [0.0; 3] }
    }

    /// The length of a tick in seconds, if this says something new about it.
    fn add(&mut self, now: Both) -> Option<f64> {
        let Some(last) = self.last.filter(|last| last.ticks < now.ticks) else {
            self.last = Some(now);
            return None;
        };
        let (elapsed, passed) = (now.clock.saturating_sub(last.clock), now.ticks - last.ticks);
        let shortest = if self.made == 0 { FIRST_COMPARISON } else { SHORTEST_COMPARISON };
        if now.apart.saturating_add(last.apart) > passed / LARGEST_ERROR {
            // Whoever was interrupted while it read begins anew with a better reading.
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
    use once_cell::race::OnceBool;
    use std::arch::x86_64::{__cpuid, _rdtsc};

    #[inline]
    pub(super) fn read() -> u64 {
        // SAFETY: every x86-64 processor has the instruction, and it touches nothing.
        unsafe { _rdtsc() }
    }

    /// Whether the counter runs at one speed in all states of the processor, and on all cores
    /// alike: the flag "invariant TSC" (Intel SDM vol. 3, 18.17.1; AMD APM vol. 3, 8000_0007h).
    pub(super) fn is_steady() -> bool {
        static STEADY: OnceBool = OnceBool::new();
        STEADY.get_or_init(|| {
            const HIGHEST: u32 = 0x8000_0000;
            const POWER: u32 = 0x8000_0007;
            let steady = __cpuid(HIGHEST).eax >= POWER && __cpuid(POWER).edx & (1 << 8) != 0;
            // The highest bit is ours. It takes a counter that begins at zero a century to get
            // there.
            steady && read() < super::BY_CLOCK / 2
        })
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
    use super::{BY_CLOCK, Both, Comparisons, Elapsed, Moment, calibrate, counter, tick};
    use std::time::{Duration, Instant};

    /// Both clocks after so many milliseconds by the clock, and microseconds by the counter, whose
    /// ticks take a nanosecond.
    fn both(clock_ms: u64, counter_us: u64) -> Both {
        Both { clock: Duration::from_millis(clock_ms), ticks: counter_us * 1000, apart: 100 }
    }

    #[test]
    fn clocks_that_come_apart_do_not_change_the_length_of_a_tick() {
        for (what, apart_us) in [("suspended", 8 * 3_600_000_000_i64), ("begun anew", -59_000_000)]
        {
            let mut comparisons = Comparisons::new();
            let mut ticks = Vec::new();
            for second in 0..100_u64 {
                let apart = if second < 60 { 0 } else { apart_us };
                let counter_us = (second * 1_000_000).saturating_add_signed(apart);
                ticks.extend(comparisons.add(both(second * 1000, counter_us)));
            }
            assert!(ticks.len() > 90, "{what}");
            assert!(ticks.iter().all(|tick| (tick - 1e-9).abs() < 1e-15), "{what}: {ticks:?}");
        }
    }

    #[test]
    fn a_reading_that_was_interrupted_is_not_compared_with() {
        let mut comparisons = Comparisons::new();
        // The counter was read 5 ms late.
        assert_eq!(comparisons.add(Both { apart: 10_000_000, ..both(0, 5_000) }), None);
        assert_eq!(comparisons.add(both(11, 11_000)), None);
        let tick = comparisons.add(both(22, 22_000)).unwrap();
        assert!((tick - 1e-9).abs() < 1e-15, "{tick}");
    }

    #[test]
    fn ticks_and_clock_agree() {
        if !counter::is_steady() {
            return;
        }
        let (by_clock, begun) = (Moment::by_clock(), Instant::now());
        // On a busy machine most comparisons are interrupted, and do not count.
        while begun.elapsed() < Duration::from_millis(20) || tick() == 0.0 {
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not find out");
            calibrate();
            std::thread::yield_now();
        }
        // The clock is read on both sides of each moment: the thread may be interrupted between them.
        let before = Instant::now();
        let moment = Moment::now();
        let after = Instant::now();
        while after.elapsed() < Duration::from_millis(20) {
            std::thread::yield_now();
        }
        let least = after.elapsed().as_secs_f64();
        let elapsed = moment.elapsed();
        let most = before.elapsed().as_secs_f64();
        let measured = elapsed.ticks().unwrap() as f64 * tick();
        assert!((elapsed.seconds() - measured).abs() < 1e-9);
        assert!(
            measured >= least * 0.999 && measured <= most * 1.001,
            "{measured}, at least {least}, at most {most}"
        );
        assert!(by_clock.elapsed().seconds() >= 0.04);
        assert_eq!(by_clock.elapsed().ticks(), None);
        for moment in [moment, by_clock, Moment::from_bits(by_clock.to_bits())] {
            assert!((0.02..10.0).contains(&moment.age()), "{moment:?}");
        }
    }

    #[test]
    fn times_add_up_whichever_clock_they_are_of() {
        let (ticks, nanoseconds) = (|n| Elapsed(n), |n| Elapsed(n | BY_CLOCK));
        for (first, second, sum) in [
            (Elapsed::default(), ticks(7), ticks(7)),
            (ticks(3), ticks(7), ticks(10)),
            (Elapsed::default(), nanoseconds(7), nanoseconds(7)),
            (nanoseconds(3), nanoseconds(7), nanoseconds(10)),
            (nanoseconds(3), Elapsed::default(), nanoseconds(3)),
        ] {
            let mut all = first;
            all += second;
            assert_eq!(all.0, sum.0, "{first:?} {second:?}");
        }
        let begun = Instant::now();
        while tick() == 0.0 && counter::is_steady() {
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not find out");
            calibrate();
        }
        let mut both = ticks(1_000_000);
        both += nanoseconds(1_000_000);
        assert!((both.seconds() - 1e6 * tick() - 1e-3).abs() < 1e-8, "{both:?}");
    }
}
