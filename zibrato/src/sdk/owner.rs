//! What all handles to one instrument share: its works, which a forked child makes anew.

use super::builder::InstallError;
use super::instrument::Instrument;
use super::ledger::Stats;
use super::link::{Link, endpoint};
use super::patience;
use super::process;
use super::sender::{self, Sender};
use crate::curve::Curve;
use crate::measurement::{Level, Source};
use crate::wire::Door;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    /// `None` in a child that the system gave no thread or sockets; what it measures stays
    /// pending, and is lost at its end.
    pub(crate) sender: Option<Sender>,
}

impl Works {
    fn shut_down(&self, within: Duration) -> Stats {
        self.instrument.close();
        if let Some(sender) = &self.sender {
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
    let made = make(&mut reborn());
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
    pub(crate) fn start(settings: Settings, context: &zmq::Context) -> Result<Self, InstallError> {
        process::survive_forks();
        let instrument = settings.instrument();
        let sender = Some(settings.sender(&instrument, context)?);
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
        if let Some(found) = place.and_then(|at| reborn.get(at))
            && found.generation == generation
        {
            return Some(Arc::clone(&found.works));
        }
        if matches!(missing, Missing::Leave) || self.ended.load(Ordering::SeqCst) {
            return None;
        }
        let instrument = self.settings.instrument();
        // A context of its own, always: the one that the application gave is the parent's.
        let sender = self.settings.sender(&instrument, &zmq::Context::new()).ok();
        if self.works.instrument.owns_sites() {
            // Takes all that the parent counted, in cells that were copied, as settled.
            instrument.take_sites();
        }
        let works = Arc::new(Works { instrument, sender });
        // Those of a process in between are that process's.
        reborn.retain(|r| r.number != number);
        reborn.push(Reborn { number, generation, works: Arc::clone(&works) });
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

    fn sender(
        &self,
        instrument: &Arc<Instrument>,
        context: &zmq::Context,
    ) -> Result<Sender, InstallError> {
        let endpoints = [
            endpoint(&self.host, Door::Publishers, self.port),
            endpoint(&self.host, Door::Subscribers, self.control_port),
        ];
        let link = Link::open(context, endpoints.clone(), self.curve.clone());
        let [endpoint, _] = endpoints;
        let link = link.map_err(|source| InstallError::Endpoint { endpoint, source })?;
        Sender::start(Arc::clone(instrument), link, self.interval, self.demand)
            .map_err(InstallError::Thread)
    }
}
