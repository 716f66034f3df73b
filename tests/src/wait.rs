//! Waits for a condition with a deadline: the only place where a test waits for time to pass.

use std::time::{Duration, Instant};

/// Maximum time to wait for something that should happen immediately. It is long because test
/// machines are slow and busy; a test that passes never waits that long.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Interval between two checks of the condition.
const STEP: Duration = Duration::from_millis(10);

/// Waits until `ready` returns a value.
///
/// # Panics
/// If it does not within `deadline`; `what` describes the condition.
///
/// ```
/// use zibrato_tests::{DEADLINE, wait_for};
/// let mut looks = 0;
/// let third = wait_for(DEADLINE, "the third look", || {
///     looks += 1;
///     (looks == 3).then_some(looks)
/// });
/// assert_eq!(third, 3);
/// ```
#[track_caller]
pub fn wait_for<T>(deadline: Duration, what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(begun.elapsed() < deadline, "timeout after {deadline:?}: {what}");
        // Waits a little before the next check.
        std::thread::park_timeout(STEP);
    }
}

/// Waits until `ready` is true.
///
/// # Panics
/// If it is not within `deadline`; `what` describes the condition.
#[track_caller]
pub fn wait_until(deadline: Duration, what: &str, mut ready: impl FnMut() -> bool) {
    wait_for(deadline, what, || ready().then_some(()));
}
