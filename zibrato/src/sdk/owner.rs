//! What all handles to one instrument share: its works, which a forked child makes anew.

use super::builder::InstallError;
use super::instrument::Instrument;
use super::ledger::Stats;
use super::link::{Dial, endpoint};
use super::patience;
use super::process;
use super::sender::{self, NoRoom, Sender};
use crate::curve::Curve;
use crate::measurement::{Level, Source};
use crate::wire::Door;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long a system that gave a child no thread is left alone.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Settings that were checked; a child starts over with the same.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) source: Source,
    pub(crate) levels: Option<BTreeSet<Level>>,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) control_port: u16,
    pub(crate) curve: Option<Curve>,
    pub(crate) interval: Duration,
    pub(crate) flush_deadline: Duration,
    /// Whether levels that nobody wants are left unmeasured.
    pub(crate) demand: bool,
}

/// An instrument, and the thread that sends for it in this process.
#[derive(Debug)]
pub(crate) struct Works {
    pub(crate) instrument: Arc<Instrument>,
    /// Missing in a child as long as the system gives it no thread; what it measures stays pending.
    sender: OnceLock<Sender>,
}

impl Works {
    pub(crate) fn sender(&self) -> Option<&Sender> {
        self.sender.get()
    }

    fn shut_down(&self, within: Duration) -> Stats {
        self.instrument.close();
        if let Some(sender) = self.sender() {
            sender.stop(within);
        }
        let stats = sender::lose_the_rest(&self.instrument);
        self.instrument.leave_sites();
        stats
    }
}

/// Flushes and ends the sender when the last handle goes.
#[derive(Debug)]
pub(crate) struct Owner {
    settings: Settings,
    /// The process that `works` belong to.
    generation: u64,
    works: Works,
    ended: AtomicBool,
}

/// What a child has in place of its parent's works.
struct Reborn {
    /// The number of the instrument that the parent had.
    number: u64,
    generation: u64,
    works: Arc<Works>,
    /// When the system was last asked for a thread.
    asked: Instant,
}

impl Reborn {
    /// Asks the system for a thread, if there is none and the last time is a while ago.
    fn find_sender(&mut self, settings: &Settings) {
        if self.works.sender().is_none() && self.asked.elapsed() >= ASK_AGAIN {
            self.asked = Instant::now();
            settings.begin_sending(&self.works);
        }
    }
}

/// Whether some works of this process have no sender yet. Call sites then ask at each use, which is
/// how a program without a thread of ours finds out that it may have one.
static SENDER_MISSING: AtomicBool = AtomicBool::new(false);

pub(crate) fn is_sender_missing() -> bool {
    SENDER_MISSING.load(Ordering::Relaxed)
}

/// In one place for all, because a fork has to find all locks.
static REBORN: Mutex<Vec<Reborn>> = Mutex::new(Vec::new());

fn reborn() -> MutexGuard<'static, Vec<Reborn>> {
    REBORN.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static MAKING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread makes or drops works just now. An allocator that measures comes by
/// meanwhile; it has to go without.
pub(crate) fn is_making() -> bool {
    MAKING.get()
}

/// Makes or drops works.
fn making<T>(make: impl FnOnce(&mut Vec<Reborn>) -> T) -> T {
    let before = MAKING.replace(true);
    let mut reborn = reborn();
    let made = make(&mut reborn);
    let generation = process::generation();
    let missing = |r: &Reborn| r.generation == generation && r.works.sender().is_none();
    SENDER_MISSING.store(reborn.iter().any(missing), Ordering::Relaxed);
    drop(reborn);
    MAKING.set(before);
    made
}

/// Keeps the lock of this file for a fork.
pub(crate) struct Held(
    #[expect(dead_code, reason = "held, not read")] MutexGuard<'static, Vec<Reborn>>,
);

pub(crate) fn hold() -> Option<Held> {
    patience::lock(&REBORN).map(Held)
}

impl Owner {
    pub(crate) fn start(
        settings: Settings,
        context: Option<zmq::Context>,
    ) -> Result<Self, InstallError> {
        process::survive_forks();
        let instrument = settings.instrument();
        let sender = settings.sender(&instrument, context, NoRoom::Fails)?.into();
        let works = Works { instrument, sender };
        let (generation, ended) = (process::generation(), AtomicBool::new(false));
        Ok(Self { settings, generation, works, ended })
    }

    /// Uses the works of this process. The first use in a child makes them; there are none if
    /// measuring had ended before the fork.
    pub(crate) fn with<T>(&self, use_them: impl FnOnce(&Works) -> T) -> Option<T> {
        if self.generation == process::generation() {
            return Some(use_them(&self.works));
        }
        self.works_of_child(Missing::Start).map(|works| use_them(&works))
    }

    /// What became of every reading that this process made.
    pub(crate) fn stats(&self) -> Stats {
        if self.generation == process::generation() {
            return self.works.instrument.stats();
        }
        // Asking must not be what starts a sender.
        let works = self.works_of_child(Missing::Leave);
        works.map(|works| works.instrument.stats()).unwrap_or_default()
    }

    /// The last flush. A child that has measured nothing has nothing to flush, and leaves what is
    /// its parent's alone.
    pub(crate) fn shut_down(&self) -> Stats {
        let within = self.settings.flush_deadline;
        if self.generation == process::generation() {
            self.ended.store(true, Ordering::SeqCst);
            return self.works.shut_down(within);
        }
        let works = self.works_of_child(Missing::Leave);
        let again = self.ended.swap(true, Ordering::SeqCst);
        if let Some(works) = works {
            // There may be room now.
            if works.sender().is_none() {
                making(|_| self.settings.begin_sending(&works));
            }
            return works.shut_down(within);
        }
        // Only once: by the next time they may be another installation's.
        if !again {
            self.works.instrument.close();
        }
        Stats::default()
    }

    fn works_of_child(&self, missing: Missing) -> Option<Arc<Works>> {
        if is_making() {
            return None;
        }
        making(|reborn| self.find_or_make(missing, reborn))
    }

    fn find_or_make(&self, missing: Missing, reborn: &mut Vec<Reborn>) -> Option<Arc<Works>> {
        let (number, generation) = (self.works.instrument.number(), process::generation());
        let place = reborn.iter().position(|r| r.number == number);
        if let Some(found) = place.and_then(|at| reborn.get_mut(at))
            && found.generation == generation
        {
            if matches!(missing, Missing::Start) {
                found.find_sender(&self.settings);
            }
            return Some(Arc::clone(&found.works));
        }
        if matches!(missing, Missing::Leave) || self.ended.load(Ordering::SeqCst) {
            return None;
        }
        let instrument = self.settings.instrument();
        if self.works.instrument.owns_sites() {
            // Takes all that the parent counted, in cells that were copied, as settled.
            instrument.take_sites();
        }
        let works = Arc::new(Works { instrument, sender: OnceLock::new() });
        self.settings.begin_sending(&works);
        // Those of a process in between are that process's.
        reborn.retain(|r| r.number != number);
        let (asked, ours) = (Instant::now(), Arc::clone(&works));
        reborn.push(Reborn { number, generation, works: ours, asked });
        Some(works)
    }
}

/// What is done about a child's works that are not there.
#[derive(Clone, Copy)]
enum Missing {
    Leave,
    Start,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shut_down();
        let number = self.works.instrument.number();
        making(|reborn| reborn.retain(|r| r.number != number));
    }
}

impl Settings {
    fn instrument(&self) -> Arc<Instrument> {
        Arc::new(Instrument::new(self.source.clone(), self.levels.clone()))
    }

    /// Starts the sender of a child, if the system gives it a thread.
    fn begin_sending(&self, works: &Works) {
        // A context of its own, always: the one that the application gave is the parent's.
        if let Ok(sender) = self.sender(&works.instrument, None, NoRoom::Waits)
            && let Err(second) = works.sender.set(sender)
        {
            // Another thread was quicker.
            second.stop(Duration::ZERO);
        }
    }

    fn sender(
        &self,
        instrument: &Arc<Instrument>,
        context: Option<zmq::Context>,
        no_room: NoRoom,
    ) -> Result<Sender, InstallError> {
        let endpoints = [
            endpoint(&self.host, Door::Publishers, self.port),
            endpoint(&self.host, Door::Subscribers, self.control_port),
        ];
        let dial = Dial { endpoints, curve: self.curve.clone(), context };
        Sender::start(Arc::clone(instrument), dial, self.interval, self.demand, no_room)
    }
}
