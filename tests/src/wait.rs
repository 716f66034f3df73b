//! Waiting for a condition with a deadline: the only place where a test lets time pass.

use std::time::{Duration, Instant};

/// How long a test waits for what should come at once. Generous, because test machines are slow
/// and busy; a test that is fine never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How often the condition is looked at.
const STEP: Duration = Duration::from_millis(10);

/// Waits until `ready` gives something.
///
/// # Panics
/// When it has not within `deadline`; `what` says what was waited for.
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
        assert!(begun.elapsed() < deadline, "waited {deadline:?} in vain for {what}");
        // Parked rather than asleep, only to look again a little later.
        std::thread::park_timeout(STEP);
    }
}

/// Waits until `ready` is true.
///
/// # Panics
/// When it is not within `deadline`; `what` says what was waited for.
#[track_caller]
pub fn wait_until(deadline: Duration, what: &str, mut ready: impl FnMut() -> bool) {
    wait_for(deadline, what, || ready().then_some(()));
}
