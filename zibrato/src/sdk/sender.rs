//! The one thread that empties the cells and talks to the broker.

use super::account::{ACCOUNT_LEVEL, Account};
use super::batches::{Batch, Batches};
use super::instrument::Instrument;
use super::ledger::{Loss, Stats};
use super::link::{ContextEnded, Link, SILENCE};
use super::thread::Thread;
use super::ticks;
use crate::clock;
use crate::measurement::Level;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How soon an unacknowledged batch is sent again, in the ordinary run of things.
const RESEND: Duration = Duration::from_secs(2);

/// The same while somebody waits for a flush.
const RESEND_IN_A_HURRY: Duration = Duration::from_millis(100);

/// How much longer than its deadline the last flush may take before the thread is given up.
const GRACE: Duration = Duration::from_secs(1);

/// The longest that is waited; beyond it an `Instant` may have no room for the end.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Owns the thread.
#[derive(Debug)]
pub(crate) struct Sender {
    orders: Arc<Orders>,
    thread: Mutex<Option<Thread>>,
}

/// What the thread is asked to do. The condition variable tells when it has.
#[derive(Debug)]
struct Orders {
    state: Mutex<State>,
    changed: Condvar,
    wake: UnixStream,
}

#[derive(Debug, Default)]
struct State {
    flushes_asked: u64,
    flushes_done: u64,
    stop_by: Option<Instant>,
    finished: bool,
    given_up: bool,
}

impl Orders {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the orders and wakes the thread.
    fn give<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        // A full pipe is readable already, which is all that is wanted.
        (&self.wake).write_all(&[0]).ok();
        result
    }

    fn wait_until(&self, deadline: Instant, done: impl Fn(&State) -> bool) -> bool {
        let mut state = self.state();
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Sender {
    pub(crate) fn start(
        instrument: Arc<Instrument>,
        link: Link,
        interval: Duration,
        heeds_demand: bool,
    ) -> io::Result<Self> {
        let (asleep, wake) = UnixStream::pair()?;
        asleep.set_nonblocking(true)?;
        wake.set_nonblocking(true)?;
        let (state, changed) = (Mutex::default(), Condvar::new());
        let orders = Arc::new(Orders { state, changed, wake });
        let since_ms = clock::unix_ms();
        // Here and not first by the thread, so that no fork comes in the middle of it.
        ticks::calibrate();
        let worker = Worker {
            instrument,
            link,
            interval,
            orders: Arc::clone(&orders),
            asleep,
            started_ms: since_ms,
            collected_ms: BTreeMap::new(),
            heeds_demand,
            account: Account::default(),
        };
        let thread = Mutex::new(Some(Thread::spawn(move || worker.run())?));
        Ok(Self { orders, thread })
    }

    /// Sends everything that was recorded before the call, and waits until the broker has it, or
    /// for `within`.
    pub(crate) fn flush(&self, within: Duration) {
        let asked = self.orders.give(|state| {
            state.flushes_asked += 1;
            state.flushes_asked
        });
        let deadline = Instant::now() + within.min(LONGEST);
        self.orders.wait_until(deadline, |state| state.flushes_done >= asked || state.finished);
    }

    /// Flushes one last time, at most for `within`, and ends the thread.
    pub(crate) fn stop(&self, within: Duration) {
        let deadline = Instant::now() + within.min(LONGEST);
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            // Another thread stops it, or has: the process must not end before that is done.
            self.orders.wait_until(deadline + GRACE, |state| state.finished || state.given_up);
            return;
        };
        self.orders.give(|state| state.stop_by = Some(deadline));
        // A thread that does not come to its end is left behind: the application goes first.
        if self.orders.wait_until(deadline + GRACE, |state| state.finished) {
            thread.join();
        } else {
            self.orders.give(|state| state.given_up = true);
            self.orders.changed.notify_all();
        }
    }
}

/// The thread itself.
struct Worker {
    instrument: Arc<Instrument>,
    link: Link,
    interval: Duration,
    orders: Arc<Orders>,
    asleep: UnixStream,
    started_ms: u64,
    /// When each level was last collected.
    collected_ms: BTreeMap<Level, u64>,
    heeds_demand: bool,
    account: Account,
}

impl Worker {
    fn run(mut self) {
        let mut next = Instant::now() + self.interval;
        let mut flushing = None;
        // Levels of which something was on its way when the flush was asked for. What gathers
        // behind it stays in the cells, so that flushes without a broker pile nothing up.
        let mut owed = BTreeSet::new();
        let stop_by = loop {
            let (asked, stop_by) = {
                let state = self.orders.state();
                let asked =
                    (state.flushes_asked > state.flushes_done).then_some(state.flushes_asked);
                (asked, state.stop_by)
            };
            if let Some(stop_by) = stop_by {
                break stop_by;
            }
            ticks::calibrate();
            let now = Instant::now();
            self.link.hear(now, self.instrument.ledger());
            if let Some(demand) = self.link.demand(now).filter(|_| self.heeds_demand) {
                self.instrument.demand(demand);
            }
            let free;
            (free, owed) = owed.into_iter().partition(|level| self.link.is_idle(level));
            if !free.is_empty() {
                self.collect(Which::These(&free));
            }
            if now >= next {
                next = now + self.interval;
                self.collect(Which::Idle);
                self.give_account();
            }
            if flushing.is_none() && asked.is_some() {
                flushing = asked;
                owed = self.link.busy();
                self.collect(Which::Idle);
            }
            let hurry = flushing.is_some();
            self.link.pump(now, self.resend(hurry), self.instrument.ledger());
            if hurry && owed.is_empty() && self.link.is_empty() {
                self.orders.state().flushes_done = flushing.take().unwrap_or_default();
                self.orders.changed.notify_all();
                // Another one may have been asked for meanwhile.
                continue;
            }
            if self.sleep(next.saturating_duration_since(now), hurry).is_err() {
                break now;
            }
        };
        self.finish(stop_by);
    }

    /// The last flush.
    fn finish(mut self, deadline: Instant) {
        self.collect(Which::All);
        loop {
            let now = Instant::now();
            self.link.hear(now, self.instrument.ledger());
            self.link.pump(now, self.resend(true), self.instrument.ledger());
            if self.link.is_empty()
                || now >= deadline
                || self.sleep(deadline.saturating_duration_since(now), true).is_err()
            {
                break;
            }
        }
        let linger = deadline.saturating_duration_since(Instant::now()).max(RESEND_IN_A_HURRY);
        self.link.close(linger, self.instrument.ledger());
        self.orders.state().finished = true;
        self.orders.changed.notify_all();
    }

    fn resend(&self, hurry: bool) -> Duration {
        if hurry { RESEND_IN_A_HURRY } else { RESEND.max(self.interval * 2) }
    }

    fn sleep(&mut self, at_most: Duration, hurry: bool) -> Result<(), ContextEnded> {
        let resend = self.resend(hurry);
        // Silence is noticed in time, however long the interval is.
        let wait = if self.link.is_empty() { at_most.min(SILENCE) } else { at_most.min(resend) };
        self.link.wait(self.asleep.as_raw_fd(), wait)?;
        let mut bytes = [0; 64];
        // Nothing to read is the common case.
        while matches!(self.asleep.read(&mut bytes), Ok(n) if n == bytes.len()) {}
        Ok(())
    }

    /// Takes what has gathered and makes batches of it, per level and source.
    fn collect(&mut self, which: Which<'_>) {
        let mut batches = Batches::new(&self.collected_ms, self.started_ms);
        let link = &self.link;
        let wanted = |level: &Level| match which {
            Which::All => true,
            Which::Idle => link.is_idle(level),
            Which::These(levels) => levels.contains(level),
        };
        self.instrument.collect(wanted, |series, taken| batches.add(series, &taken));
        let (done, now_ms) = (batches.finish(), clock::unix_ms());
        for Batch { level, body, readings } in done {
            self.link.push(&level, body, readings);
            self.collected_ms.insert(level, now_ms);
        }
    }

    /// Says what became of all readings, if somebody wants to know. What it says is not counted
    /// among the readings, or it would never come to an end.
    fn give_account(&mut self) {
        let Ok(level) = Level::new(ACCOUNT_LEVEL) else { return };
        if !self.link.is_named(&level) || !self.link.is_idle(&level) {
            return;
        }
        let stats = self.instrument.stats();
        let since_ms = *self.collected_ms.get(&level).unwrap_or(&self.started_ms);
        let now_ms = clock::unix_ms();
        let body = self.account.batch(&stats, self.instrument.source(), since_ms, now_ms);
        self.link.push(&level, body, 0);
        self.collected_ms.insert(level, now_ms);
    }
}

/// Which levels are collected.
#[derive(Clone, Copy)]
enum Which<'a> {
    /// All of them.
    All,
    /// Those of which nothing is on its way; the others go on gathering in their cells.
    Idle,
    /// Those.
    These(&'a BTreeSet<Level>),
}

/// What was never sent, because there is nobody to send it any more.
pub(crate) fn lose_the_rest(instrument: &Instrument) -> Stats {
    let mut left = 0;
    instrument.collect(|_| true, |_, taken| left += taken.readings);
    instrument.ledger().lose(Loss::Deadline, left);
    instrument.stats()
}
