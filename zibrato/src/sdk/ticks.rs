//! Time for timers: the processor's time stamp counter where it can be trusted, else `Instant`.
//!
//! Reading the counter costs a third of reading the clock. How long a tick is, the sender finds
//! out by comparing the two: nothing waits for it, and until it knows, timers use the clock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The length of a tick in seconds, as the bits of a double; 0 while it is not known.
static TICK: AtomicU64 = AtomicU64::new(0);

/// A first reading of both clocks, to compare later ones with.
static BEGINNING: OnceLock<(Instant, u64)> = OnceLock::new();

/// The shortest comparison that is good for anything: 50 ns of error in it are 5 ppm.
const SHORTEST_COMPARISON: Duration = Duration::from_millis(10);

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

    /// The ticks since then; `None` if it was taken from the clock. Never negative, even if the
    /// counter jumps back.
    #[inline]
    pub(crate) fn ticks(self) -> Option<i64> {
        // Both are below 2^63.
        let ticks = || counter::read().saturating_sub(self.0).cast_signed();
        (self.0 & BY_CLOCK == 0).then(ticks)
    }

    /// The seconds since then.
    pub(crate) fn age(self) -> f64 {
        match self.ticks() {
            Some(ticks) => ticks as f64 * tick(),
            None => self.seconds_by_clock(),
        }
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

    /// The seconds since then, if it was taken from the clock.
    pub(crate) fn seconds_by_clock(self) -> f64 {
        nanoseconds().saturating_sub(self.0 & !BY_CLOCK) as f64 / 1e9
    }
}

/// How many seconds a tick takes.
#[inline]
pub(crate) fn tick() -> f64 {
    f64::from_bits(TICK.load(Ordering::Relaxed))
}

fn nanoseconds() -> u64 {
    let (beginning, _) = beginning();
    u64::try_from(beginning.elapsed().as_nanos()).unwrap_or(u64::MAX) & !BY_CLOCK
}

fn beginning() -> (Instant, u64) {
    *BEGINNING.get_or_init(|| (Instant::now(), counter::read()))
}

/// Compares the counter with the clock. Called now and then by the sender.
pub(crate) fn calibrate() {
    if !counter::is_steady() {
        return;
    }
    let (instant, ticks) = beginning();
    // The clock is read between two readings of the counter, so the error can be seen.
    let before = counter::read();
    let elapsed = instant.elapsed();
    let after = counter::read();
    let passed = (before / 2 + after / 2).saturating_sub(ticks);
    if elapsed >= SHORTEST_COMPARISON && passed > 0 && after.saturating_sub(before) < 100_000 {
        TICK.store((elapsed.as_secs_f64() / passed as f64).to_bits(), Ordering::Relaxed);
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the intrinsics that read the counter are declared unsafe")]
mod counter {
    use std::arch::x86_64::{__cpuid, _rdtsc};
    use std::sync::OnceLock;

    #[inline]
    pub(super) fn read() -> u64 {
        // SAFETY: every x86-64 processor has the instruction, and it touches nothing.
        unsafe { _rdtsc() }
    }

    /// Whether the counter runs at one speed in all states of the processor, and on all cores
    /// alike: the flag "invariant TSC" (Intel SDM vol. 3, 18.17.1; AMD APM vol. 3, 8000_0007h).
    pub(super) fn is_steady() -> bool {
        static STEADY: OnceLock<bool> = OnceLock::new();
        *STEADY.get_or_init(|| {
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
    use super::{Moment, calibrate, counter, tick};
    use std::time::{Duration, Instant};

    #[test]
    fn ticks_and_clock_agree() {
        if !counter::is_steady() {
            return;
        }
        let (by_clock, begun) = (Moment::by_clock(), Instant::now());
        while begun.elapsed() < Duration::from_millis(20) {
            calibrate();
            std::thread::yield_now();
        }
        let (moment, begun) = (Moment::now(), Instant::now());
        let inside = begun.elapsed();
        while begun.elapsed() < Duration::from_millis(20) {
            std::thread::yield_now();
        }
        let least = begun.elapsed().as_secs_f64();
        let measured = moment.ticks().unwrap() as f64 * tick();
        let most = (begun.elapsed() + inside).as_secs_f64();
        assert!(
            measured >= least * 0.999 && measured <= most * 1.001 + 1e-4,
            "{measured} of {least}"
        );
        assert!(by_clock.seconds_by_clock() >= 0.04);
    }
}
