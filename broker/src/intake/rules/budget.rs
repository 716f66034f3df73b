//! What one call of a script may use: a number of operations, and time.
//!
//! The engine has a limit of operations too, but it counts those of callbacks, such as the function
//! that `map` gets, in a copy of its state that it discards. A script is used by several threads, and
//! the engine does not say which call an operation belongs to, so each thread has its own budget.

use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant};

/// Maximum number of operations of a call. With the maximum size of a text it bounds the memory of a
/// call, because the engine does not limit every way to add to a map.
pub(super) const MAX_OPERATIONS: u64 = 10_000;

/// Time after which a call has as much time of the processor left. On a busy machine its thread may
/// have waited until then. Without optimization, the engine is much slower.
const MAX_TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 25 });

/// Time after which a call ends even if its thread was asleep, and not only waiting for the processor.
const MAX_ELAPSED: Duration = MAX_TIME.saturating_mul(40);

/// What is left of a call's budget.
#[derive(Debug, Clone, Copy)]
struct Call {
    operations: u64,
    begun: Instant,
    /// The thread's time of the processor when [`MAX_TIME`] was over.
    late: Option<Duration>,
    /// What `now()` returns, in Unix seconds.
    now: f64,
    spent: Option<Spent>,
}

/// What a call has used up. The engine ends it, unless it is in a function that ignores the errors of
/// its callbacks, such as `sort`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spent {
    Operations,
    Time,
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operations => write!(f, "more than {MAX_OPERATIONS} operations")?,
            Self::Time => write!(f, "more than {} ms", (2 * MAX_TIME).as_millis())?,
        }
        f.write_str("; make the function simpler")
    }
}

thread_local! {
    static CALL: Cell<Option<Call>> = const { Cell::new(None) };
}

/// Begins a call in this thread. `now` is what `now()` returns in it.
pub(super) fn begin(now: f64) {
    CALL.set(Some(Call { operations: 0, begun: Instant::now(), late: None, now, spent: None }));
}

/// Ends the call. Returns what it has used up.
pub(super) fn end() -> Option<Spent> {
    CALL.take()?.spent
}

/// The time that the call has been given, in Unix seconds.
pub(super) fn now() -> f64 {
    CALL.get().map_or(0.0, |call| call.now)
}

/// Counts an operation. Returns what is used up, if the call has to end.
pub(super) fn count() -> Option<Spent> {
    let mut call = CALL.get()?;
    call.count();
    CALL.set(Some(call));
    call.spent
}

impl Call {
    fn count(&mut self) {
        if self.spent.is_some() {
            return;
        }
        self.operations += 1;
        if self.operations > MAX_OPERATIONS {
            self.spent = Some(Spent::Operations);
        } else if self.begun.elapsed() >= MAX_TIME {
            let late = *self.late.get_or_insert_with(processor_time);
            let is_over = processor_time().saturating_sub(late) >= MAX_TIME
                || self.begun.elapsed() >= MAX_ELAPSED;
            self.spent = is_over.then_some(Spent::Time);
        }
    }
}

/// The time for which the processor has executed this thread.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
