//! Sending: the thread that collects readings and exchanges messages with the broker.

pub(crate) mod contact;
mod descriptor_table;
pub(crate) mod error;
mod grid;
pub(crate) mod link;
mod logging;
mod look;
mod orders;
mod repeats;
mod reports;
pub(crate) mod thread;

use self::error::BuildError;
use self::grid::Grid;
use self::link::{Dial, Link, Resend};
use self::logging::Logging;
use self::orders::{Orders, State};
use self::repeats::Repeats;
use self::reports::Reports;
use self::thread::Thread;
use crate::clock;
use crate::measurement::Level;
use crate::resources::Resources;
use crate::sdk::cells::lock;
use crate::sdk::cells::ticks::{self, Comparisons};
use crate::sdk::collection::Collector;
use crate::sdk::collection::batches::{Batch, Batches};
use crate::sdk::collection::ledger::{SELF_METRICS_LEVEL, SelfMetrics};
use crate::sdk::points::idle::Take;
use crate::sdk::points::names::LOOK_EVERY;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// When an unacknowledged batch is sent again, normally.
const RESEND: Resend = Resend { after: Duration::from_secs(2), at_most: Duration::from_secs(60) };

/// The same while a thread waits for a flush. The shorter maximum is for a batch that was already
/// sent often, to a broker that was in trouble: it is sent again soon after the broker has
/// recovered.
const RESEND_IN_A_HURRY: Resend =
    Resend { after: Duration::from_millis(100), at_most: Duration::from_millis(800) };

/// How often the sender checks for messages while a batch is in flight, and otherwise. It needs
/// their contents only at the end of the interval, and within two seconds.
const LISTEN_BUSY: Duration = Duration::from_millis(100);
const LISTEN_IDLE: Duration = Duration::from_millis(500);

/// How long an order may wait while the sender waits for the answer to a flush.
const ORDERS_IN_A_HURRY: Duration = Duration::from_millis(10);

/// How much longer than its deadline the last flush may take. After that, the thread is abandoned.
const GRACE: Duration = Duration::from_secs(1);

/// Maximum time to wait. An `Instant` may be unable to represent a later time.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Maximum time for the thread to open its sockets. It normally takes a few milliseconds.
const OPENING: Duration = Duration::from_secs(10);

/// Time between two attempts to open the sockets, if the system lacks resources.
const OPEN_AGAIN: Duration = Duration::from_secs(1);

/// Resources that must be available before anything is collected or sent. Without memory, Rust and
/// libzmq abort the process, so the sender waits while the application has used up all memory.
const ROOM: Resources = Resources { descriptors: 0, threads: 0, memory: 1 << 20, address_space: 0 };

/// The owner of the thread.
#[derive(Debug)]
pub(crate) struct Sender {
    orders: Arc<Orders>,
    thread: Mutex<Option<Thread>>,
    /// Passes notices to the logger of the application.
    logging: Mutex<Option<Logging>>,
}

/// What the sender does if the system lacks resources for its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// It ends.
    Fails,
    /// It tries again.
    Waits,
}

impl Sender {
    /// Starts the thread, which opens the sockets. With [`NoRoom::Fails`], waits until they are
    /// open; with [`NoRoom::Waits`], returns immediately.
    pub(crate) fn start(setup: Setup) -> Result<Self, BuildError> {
        let (orders, no_room) = (Arc::new(Orders::default()), setup.no_room);
        // Done here and not by the thread, so that no fork can interrupt it.
        ticks::begin();
        let its_orders = Arc::clone(&orders);
        let thread = Thread::spawn(c"zibrato-sender", move || setup.run(&its_orders));
        let thread = Mutex::new(Some(thread.map_err(BuildError::Thread)?));
        let sender = Self { orders, thread, logging: Mutex::default() };
        let sender = match no_room {
            NoRoom::Waits => sender,
            NoRoom::Fails => sender.opened()?,
        };
        // Not by the sender's thread, whose table of descriptors it would share.
        *lock(&sender.logging) = Logging::start();
        Ok(sender)
    }

    /// Waits until the sockets are open.
    fn opened(self) -> Result<Self, BuildError> {
        let deadline = Instant::now() + OPENING;
        self.orders.wait_until(deadline, |state| state.opened.is_some() || state.finished);
        let opened = self.orders.change(|state| state.opened.take());
        match opened {
            Some(Ok(())) => Ok(self),
            Some(Err(error)) => {
                self.stop(Duration::ZERO);
                Err(error)
            }
            None => {
                self.orders.change(|state| state.stop_by = Some(deadline));
                Err(BuildError::Thread(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    /// Sends everything that was recorded before the call, and waits until the broker has
    /// acknowledged it, at most `within`.
    pub(crate) fn flush(&self, within: Duration) {
        let asked = self.orders.change(|state| {
            state.flushes_asked += 1;
            state.flushes_asked
        });
        let deadline = Instant::now() + within.min(LONGEST);
        self.orders.wait_until(deadline, |state| state.flushes_done >= asked || state.finished);
    }

    /// Flushes for the last time, at most for `within`, and ends the thread.
    pub(crate) fn stop(&self, within: Duration) {
        let deadline = Instant::now() + within.min(LONGEST);
        // Locked until the thread has ended, so that another thread that calls `stop` waits too:
        // the process must not end before that.
        let mut thread = lock(&self.thread);
        let Some(thread) = thread.take() else { return };
        self.orders.change(|state| state.stop_by = Some(deadline));
        // A thread that does not end in time is abandoned, so that the application is not blocked.
        if self.orders.wait_until(deadline + GRACE, |state| state.finished) {
            thread.join();
        }
        if let Some(logging) = lock(&self.logging).take() {
            logging.stop();
        }
    }
}

/// The settings of the thread.
pub(crate) struct Setup {
    pub(crate) dial: Dial,
    pub(crate) no_room: NoRoom,
    pub(crate) collector: Arc<Collector>,
    pub(crate) interval: Duration,
    /// How often idle gauges are repeated; zero: never.
    pub(crate) repeat_gauges: Duration,
    /// Whether levels that no worker wants are skipped.
    pub(crate) demand: bool,
    /// How long the broker may be silent before it is reported.
    pub(crate) patience: Duration,
}

/// Reports the end of the thread, even after a panic.
struct FinishOnDrop<'a>(&'a Orders);

impl Drop for FinishOnDrop<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.finished = true);
    }
}

impl Setup {
    fn run(self, orders: &Orders) {
        let _finish = FinishOnDrop(orders);
        // The threads of an application's context use the application's descriptors.
        if self.dial.context.is_none() {
            descriptor_table::leave();
        }
        let Some(link) = self.open(orders) else { return };
        if self.no_room == NoRoom::Fails {
            orders.change(|state| state.opened = Some(Ok(())));
        }
        let now = Instant::now();
        let worker = Worker {
            setup: &self,
            grid: Grid::new(self.interval, link.publisher, clock::unix_us()),
            collected: now,
            looked: now,
            repeats: Repeats::new(self.repeat_gauges),
            link,
            orders,
            started_ms: clock::unix_ms(),
            collected_ms: BTreeMap::new(),
            metrics: SelfMetrics::default(),
            comparisons: Comparisons::new(),
            reports: Reports::new(self.patience, now),
        };
        worker.run();
    }

    /// Opens the link, if necessary after waiting for resources. `None` if it was stopped before.
    fn open(&self, orders: &Orders) -> Option<Link> {
        loop {
            match self.dial.open() {
                Ok(link) => return Some(link),
                Err(error) if self.no_room == NoRoom::Fails => {
                    orders.change(|state| state.opened = Some(Err(error)));
                    return None;
                }
                // Readings stay in the cells meanwhile, and count as pending.
                Err(_) => {
                    if orders.wait_until(Instant::now() + OPEN_AGAIN, State::is_stopped) {
                        return None;
                    }
                }
            }
        }
    }
}

/// The state of the thread.
struct Worker<'a> {
    setup: &'a Setup,
    link: Link,
    grid: Grid,
    /// When the last interval ended.
    collected: Instant,
    /// When unused series were last looked for.
    looked: Instant,
    repeats: Repeats,
    orders: &'a Orders,
    started_ms: u64,
    /// When each level was last collected.
    collected_ms: BTreeMap<Level, u64>,
    metrics: SelfMetrics,
    /// Comparisons of the time stamp counter with the clock.
    comparisons: Comparisons,
    reports: Reports,
}

impl Worker<'_> {
    fn run(mut self) {
        let mut flushing = None;
        // Levels that had a batch in flight when the flush was requested. Later readings of these
        // levels stay in the cells until the batch is acknowledged, so that flushes without a
        // broker do not fill the memory.
        let mut owed = BTreeSet::new();
        let stop_by = loop {
            let (asked, stop_by) = {
                let state = lock(&self.orders.state);
                let is_asked = state.flushes_asked > state.flushes_done;
                (is_asked.then_some(state.flushes_asked), state.stop_by)
            };
            if let Some(stop_by) = stop_by {
                break stop_by;
            }
            if ROOM.probe().is_err() {
                self.orders.wait_until(Instant::now() + LISTEN_BUSY, State::is_stopped);
                continue;
            }
            self.comparisons.go_on();
            let now = Instant::now();
            self.link.receive(now, &self.setup.collector.ledger);
            self.reports.step(now, &self.link, &self.setup.dial, &self.setup.collector);
            if let Some(demand) = self.link.demand(now).filter(|_| self.setup.demand) {
                self.setup.collector.instrument.demand(demand);
            }
            let free;
            (free, owed) = owed.into_iter().partition(|level| self.link.is_idle(level));
            if !free.is_empty() {
                self.collect(|_, level| Take::new_if(free.contains(level)));
            }
            if self.grid.ends(clock::unix_us(), now.duration_since(self.collected)) {
                self.collected = now;
                self.collect_and_repeat();
                self.send_self_metrics();
                if now.duration_since(self.looked) >= LOOK_EVERY {
                    self.looked = now;
                    self.setup.collector.let_go();
                }
            }
            if flushing.is_none() && asked.is_some() {
                flushing = asked;
                owed = self.link.busy();
                self.collect(|link, level| Take::new_if(link.is_idle(level)));
            }
            let hurry = flushing.is_some();
            self.link.pump(now, self.resend(hurry));
            if hurry && owed.is_empty() && self.link.is_empty() {
                let done = flushing.take().unwrap_or_default();
                self.orders.change(|state| state.flushes_done = done);
                // Another flush may have been requested meanwhile.
                continue;
            }
            let slept = if hurry { self.link.wait(ORDERS_IN_A_HURRY) } else { self.sleep() };
            if slept.is_err() {
                break now;
            }
        };
        self.finish(stop_by);
    }

    /// The last flush.
    fn finish(mut self, deadline: Instant) {
        // Without memory, the readings are lost; aborting the application would be worse.
        if ROOM.probe().is_ok() {
            self.collect(|_, _| Take::New);
        }
        loop {
            let now = Instant::now();
            self.link.receive(now, &self.setup.collector.ledger);
            self.link.pump(now, self.resend(true));
            let left = deadline.saturating_duration_since(now);
            if self.link.is_empty()
                || left.is_zero()
                || self.link.wait(left.min(RESEND_IN_A_HURRY.after)).is_err()
            {
                break;
            }
        }
        let linger =
            deadline.saturating_duration_since(Instant::now()).max(RESEND_IN_A_HURRY.after);
        self.link.close(linger, &self.setup.collector.ledger);
        reports::at_the_end(&self.setup.dial, &self.setup.collector);
    }

    fn resend(&self, hurry: bool) -> Resend {
        if hurry {
            return RESEND_IN_A_HURRY;
        }
        Resend { after: RESEND.after.max(self.setup.interval * 2), ..RESEND }
    }

    /// Waits until there is an order or a message, or until the interval ends.
    fn sleep(&self) -> zmq::Result<()> {
        let listen = if self.link.is_empty() { LISTEN_IDLE } else { LISTEN_BUSY };
        let wait = self.grid.wait(clock::unix_us()).min(listen);
        self.orders.wait_until(Instant::now() + wait, State::is_asked);
        self.link.wait(Duration::ZERO)
    }

    /// Collects at the end of an interval, and repeats idle gauges if it is time.
    fn collect_and_repeat(&mut self) {
        let due = self.repeats.due(clock::unix_ms(), self.link.busy());
        let instrument = Arc::clone(&self.setup.collector.instrument);
        self.collect(|link, level| {
            if !link.is_idle(level) {
                Take::Nothing
            } else if due.contains(level) && instrument.wants(level.as_str()) {
                Take::Repeat
            } else {
                Take::New
            }
        });
    }

    /// Collects the readings of each level as `of` says, and queues batches of them, one or more
    /// per level and source. While a level has a batch in flight, its readings mostly stay in the
    /// cells.
    fn collect(&mut self, of: impl Fn(&Link, &Level) -> Take) {
        let mut batches = Batches::new(&self.collected_ms, self.started_ms);
        let of = |level: &Level| of(&self.link, level);
        self.setup.collector.collect(of, |series, taken| batches.add(series, &taken));
        let annotations = self.setup.collector.annotations(|level| of(level) != Take::Nothing);
        annotations.iter().for_each(|recorded| batches.add_annotation(recorded));
        let (done, now_ms) = (batches.finish(), clock::unix_ms());
        for Batch { level, body, readings } in done {
            self.link.push(&level, body, readings);
            self.collected_ms.insert(level, now_ms);
        }
    }

    /// Sends the statistics as measurements, if a worker wants them. These are not counted as
    /// readings, because they would never end.
    fn send_self_metrics(&mut self) {
        let Ok(level) = Level::new(SELF_METRICS_LEVEL) else { return };
        if !self.link.is_named(&level) || !self.link.is_idle(&level) {
            return;
        }
        let stats = self.setup.collector.stats();
        let since_ms = *self.collected_ms.get(&level).unwrap_or(&self.started_ms);
        let now_ms = clock::unix_ms();
        let body =
            self.metrics.batch(&stats, &self.setup.collector.instrument.source, since_ms, now_ms);
        self.link.push(&level, body, 0);
        self.collected_ms.insert(level, now_ms);
    }
}
