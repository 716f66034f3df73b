//! The capture of all threads. A process has one at a time; others wait for it.

use super::log::Log;
use crate::sdk::cells::per_process::PerProcess;
use crate::sdk::cells::{busy, lock};
use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// How long a thread waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Then it says what it waits for.
    pub(super) patience: Duration,
    /// Then it gives up, if the same capture was held all the time.
    pub(super) deadline: Duration,
    /// The deadline of a thread that took the capture itself. It waits for nobody, unless it has
    /// given the capture to another thread.
    pub(super) of_ours: Duration,
}

/// In a forked child it is a new one: a thread of the parent may have held its lock.
static PLACE: PerProcess<Place> = PerProcess::new(Place::new());

#[derive(Debug)]
struct Place {
    holder: Mutex<Option<Holder>>,
    /// Whether there is a holder, for threads that record.
    is_held: AtomicBool,
    freed: Condvar,
}

impl Place {
    const fn new() -> Self {
        Self { holder: Mutex::new(None), is_held: AtomicBool::new(false), freed: Condvar::new() }
    }
}

fn place() -> &'static Place {
    PLACE.get(|_| Place::new())
}

/// Whose capture it is.
#[derive(Debug, Clone)]
struct Holder {
    log: Weak<Log>,
    number: u64,
    thread: ThreadId,
    /// The name of the thread, which is that of the test.
    name: Arc<str>,
    at: &'static Location<'static>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread `{}`, which took it at {}", self.name, self.at)
    }
}

/// Why a thread did not get the capture of the process.
#[derive(Debug)]
pub(super) enum Refused {
    /// The thread took it itself, this long ago or longer.
    Ours(String, Duration),
    /// The holder has kept it for this long.
    Held(String, Duration),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(holder, waited) => write!(
                f,
                "the capture of the process is held by {holder}. That is the thread that asks for \
                 another one: it waits for itself. Drop the first capture before, or use a clone of \
                 it. If another thread or a task has the capture now, it was not dropped within \
                 {waited:?}; `capture_process_within` waits longer."
            ),
            Self::Held(holder, waited) => write!(
                f,
                "the capture of the process was not free within {waited:?}: it is held by {holder}. \
                 A capture is held until it and its clones are dropped. Is it in a static, was it \
                 forgotten, or is a clone in a task that still runs? A test that needs longer is \
                 waited for with `capture_process_within`. `cargo nextest run` runs each test in a \
                 process of its own, where none waits."
            ),
        }
    }
}

/// Holds the capture of the process until it is dropped.
#[derive(Debug)]
pub(super) struct Holding {
    number: u64,
}

/// What a thread that wants the capture of the process does next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Refuse,
    Take,
    Tell,
    Wait,
}

/// Makes all threads record into `log`. Waits while another capture does; what it waits for is given
/// to `tell`.
pub(super) fn hold(
    log: &Arc<Log>,
    at: &'static Location<'static>,
    Limits { patience, deadline, of_ours }: Limits,
    tell: impl Fn(String),
) -> Result<Holding, Refused> {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let this = thread::current();
    let name = this.name().unwrap_or("unnamed").into();
    let new = Holder { log: Arc::downgrade(log), number, thread: this.id(), name, at };
    let place = place();
    let (mut waits_for, mut since, mut has_told) = (0, Instant::now(), false);
    // The lock is released between two steps, because others need it to record.
    loop {
        let (step, held) = busy(|| {
            let mut holder = lock(&place.holder);
            let Some(held) = holder.clone() else {
                *holder = Some(new.clone());
                place.is_held.store(true, Ordering::SeqCst);
                return (Step::Take, None);
            };
            let deadline = if held.thread == new.thread { of_ours } else { deadline };
            if held.number != waits_for {
                (waits_for, since, has_told) = (held.number, Instant::now(), false);
            }
            let waited = since.elapsed();
            let step = match (waited >= deadline, !has_told && waited >= patience) {
                (true, _) => Step::Refuse,
                (false, true) => Step::Tell,
                (false, false) => {
                    let until = if has_told { deadline } else { patience.min(deadline) };
                    let freed = place.freed.wait_timeout(holder, until.saturating_sub(waited));
                    drop(freed.unwrap_or_else(PoisonError::into_inner));
                    Step::Wait
                }
            };
            (step, Some(held))
        });
        match (step, held) {
            (Step::Take, _) => return Ok(Holding { number }),
            (Step::Refuse, Some(held)) if held.thread == new.thread => {
                return Err(Refused::Ours(held.to_string(), of_ours));
            }
            (Step::Refuse, Some(held)) => {
                return Err(Refused::Held(held.to_string(), deadline));
            }
            (Step::Tell, Some(held)) => {
                has_told = true;
                let Holder { name, at, .. } = &new;
                tell(format!(
                    "thread `{name}` at {at} waits for the capture of the process, which is held by \
                     {held}."
                ));
            }
            (Step::Refuse | Step::Tell, None) | (Step::Wait, _) => {}
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        busy(|| {
            let place = place();
            let mut holder = lock(&place.holder);
            // Not in a forked child, where nobody holds what the parent does.
            let is_it = |holder: &mut Holder| holder.number == self.number;
            let ended = holder.take_if(is_it);
            if ended.is_some() {
                place.is_held.store(false, Ordering::SeqCst);
                place.freed.notify_all();
            }
            drop(holder);
            drop(ended);
        });
    }
}

/// What all threads record into, if they do.
pub(super) fn current() -> Option<Arc<Log>> {
    let place = place();
    if !place.is_held.load(Ordering::Relaxed) {
        return None;
    }
    // The lock is released before the result can be dropped, which may be the last reference.
    let holder = lock(&place.holder);
    let log = holder.as_ref()?.log.upgrade();
    drop(holder);
    log
}

#[cfg(test)]
mod tests {
    use super::{Limits, Log, hold};
    use std::panic::Location;
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_thread_that_waits_says_for_what_and_gets_the_capture_when_it_is_free() {
        let limits = Limits { patience: Duration::from_millis(1), deadline: LONG, of_ours: LONG };
        let at = Location::caller();
        let holding = hold(&Arc::new(Log::new()), at, limits, |text| panic!("{text}")).unwrap();
        let (told, tells) = mpsc::sync_channel(8);
        let wait = move || {
            let tell = |text| told.send(text).unwrap();
            hold(&Arc::new(Log::new()), at, limits, tell).map(drop).map_err(|why| why.to_string())
        };
        let other = std::thread::Builder::new().name("other".to_owned()).spawn(wait).unwrap();
        let text = tells.recv_timeout(LONG).unwrap();
        let this = std::thread::current();
        assert_eq!(
            text,
            format!(
                "thread `other` at {at} waits for the capture of the process, which is held by \
                 thread `{}`, which took it at {at}.",
                this.name().unwrap()
            )
        );
        drop(holding);
        other.join().unwrap().unwrap();
        assert!(tells.try_recv().is_err(), "it says so once");
    }
}
