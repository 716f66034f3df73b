//! What all handles to one instrument share: its pipeline, which a forked child makes anew.

use crate::curve::Curve;
use crate::measurement::{Level, Source};
use crate::sdk::cells::per_process::{PerProcess, generation};
use crate::sdk::cells::{busy, lock};
use crate::sdk::collection::Collector;
use crate::sdk::collection::ledger::Stats;
use crate::sdk::points::instrument::{HasInstrument, Instrument};
use crate::sdk::points::point::sender_is_missing;
use crate::sdk::points::site;
use crate::sdk::sending::error::BuildError;
use crate::sdk::sending::link::Dial;
use crate::sdk::sending::{NoRoom, Sender, Setup};
use once_cell::race::OnceBox;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a system that gave a child no thread is left alone.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Settings that were checked; a child starts over with the same.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) source: Source,
    pub(crate) levels: Option<BTreeSet<Level>>,
    /// To send to, and to hear from.
    pub(crate) endpoints: [String; 2],
    pub(crate) curve: Option<Curve>,
    pub(crate) interval: Duration,
    pub(crate) flush_deadline: Duration,
    /// Whether levels that nobody wants are left unmeasured.
    pub(crate) demand: bool,
}

/// What collects, and the thread that sends, in one process.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) collector: Arc<Collector>,
    /// Missing in a child as long as the system gives it no thread; what it measures stays pending.
    sender: OnceBox<Sender>,
    generation: u64,
}

impl Pipeline {
    fn new(collector: Arc<Collector>) -> Self {
        sender_is_missing(true);
        Self { collector, sender: OnceBox::new(), generation: generation() }
    }

    pub(crate) fn sender(&self) -> Option<&Sender> {
        self.sender.get()
    }

    /// The sender is there. Called once.
    fn set_sender(&self, sender: Sender) {
        if self.sender.set(Box::new(sender)).is_ok() {
            sender_is_missing(false);
        }
    }

    fn shut_down(&self, within: Duration) -> Stats {
        self.collector.close();
        if let Some(sender) = self.sender() {
            sender.stop(within);
        }
        let stats = self.collector.lose_the_rest();
        self.collector.leave_sites();
        stats
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // In a child the parent's are nobody's.
        if self.sender().is_none() && self.generation == generation() {
            sender_is_missing(false);
        }
    }
}

/// The pipeline of one process, once it has one.
#[derive(Debug, Default)]
struct Slot {
    pipeline: OnceBox<Pipeline>,
    /// When the system was last asked for a thread. Whoever makes something here has it locked.
    asked: Mutex<Option<Instant>>,
}

/// Flushes and ends the sender when the last handle goes.
#[derive(Debug)]
pub(crate) struct Owner {
    settings: Settings,
    slots: PerProcess<Slot>,
    /// Whether it was installed, and so the call sites are its, here and in children.
    has_sites: AtomicBool,
    ended: AtomicBool,
}

impl Owner {
    pub(crate) fn start(
        settings: Settings,
        context: Option<zmq::Context>,
    ) -> Result<Self, BuildError> {
        let pipeline = Pipeline::new(settings.collector());
        pipeline.set_sender(settings.sender(&pipeline.collector, context, NoRoom::Fails)?);
        let slot = Slot { pipeline: OnceBox::with_value(Box::new(pipeline)), ..Slot::default() };
        let (has_sites, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { settings, slots: PerProcess::of(generation(), slot), has_sites, ended })
    }

    /// The pipeline of this process. The first use in a child makes it; there is none if measuring
    /// had ended before the fork.
    pub(crate) fn pipeline(&self) -> Option<&Pipeline> {
        let slot = self.slot();
        let Some(pipeline) = slot.pipeline.get() else { return busy(|| self.make(slot)) };
        if pipeline.sender().is_none() {
            self.find_sender(slot, pipeline);
        }
        Some(pipeline)
    }

    /// Makes the call sites of the program this instrument's.
    pub(crate) fn take_sites(&self) {
        self.has_sites.store(true, Ordering::SeqCst);
        if let Some(pipeline) = self.pipeline() {
            pipeline.collector.take_sites();
        }
    }

    /// What became of every reading that this process made.
    pub(crate) fn stats(&self) -> Stats {
        // Asking must not be what starts a sender.
        let pipeline = self.slot().pipeline.get();
        pipeline.map(|pipeline| pipeline.collector.stats()).unwrap_or_default()
    }

    /// The last flush. A child that has measured nothing has nothing to flush, and leaves what is
    /// its parent's alone.
    pub(crate) fn shut_down(&self) -> Stats {
        let slot = self.slot();
        self.ended.store(true, Ordering::SeqCst);
        let had_sites = self.has_sites.swap(false, Ordering::SeqCst);
        if let Some(pipeline) = slot.pipeline.get() {
            // There may be room now.
            self.begin_sending(pipeline, &mut lock(&slot.asked));
            return pipeline.shut_down(self.settings.flush_deadline);
        }
        // Only once: later the call sites may belong to another installation.
        if had_sites {
            site::belong_to(0);
        }
        Stats::default()
    }

    fn slot(&self) -> &Slot {
        self.slots.get(|_| Slot::default())
    }

    fn make<'a>(&self, slot: &'a Slot) -> Option<&'a Pipeline> {
        let mut asked = lock(&slot.asked);
        if let Some(pipeline) = slot.pipeline.get() {
            return Some(pipeline);
        }
        if self.ended.load(Ordering::SeqCst) {
            return None;
        }
        let pipeline = Pipeline::new(self.settings.collector());
        if self.has_sites.load(Ordering::SeqCst) {
            // Takes all that the parent counted, in cells that were copied, as settled.
            pipeline.collector.take_sites();
        }
        self.begin_sending(&pipeline, &mut asked);
        Some(slot.pipeline.get_or_init(|| Box::new(pipeline)))
    }

    /// Asks the system for a thread, if the last time is a while ago.
    fn find_sender(&self, slot: &Slot, pipeline: &Pipeline) {
        let mut asked = lock(&slot.asked);
        if asked.is_none_or(|asked| asked.elapsed() >= ASK_AGAIN) {
            busy(|| self.begin_sending(pipeline, &mut asked));
        }
    }

    /// Starts the sender of a child unless it has one, if the system gives it a thread.
    fn begin_sending(&self, pipeline: &Pipeline, asked: &mut Option<Instant>) {
        if pipeline.sender().is_some() {
            return;
        }
        *asked = Some(Instant::now());
        // A context of its own, always: the one that the application gave is the parent's.
        if let Ok(sender) = self.settings.sender(&pipeline.collector, None, NoRoom::Waits) {
            pipeline.set_sender(sender);
        }
    }
}

impl HasInstrument for Owner {
    fn instrument(&self) -> Option<Arc<Instrument>> {
        Some(Arc::clone(&self.pipeline()?.collector.instrument))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Settings {
    fn collector(&self) -> Arc<Collector> {
        Arc::new(Collector::new(Instrument::new(self.source.clone(), self.levels.clone())))
    }

    fn sender(
        &self,
        collector: &Arc<Collector>,
        context: Option<zmq::Context>,
        no_room: NoRoom,
    ) -> Result<Sender, BuildError> {
        Sender::start(Setup {
            dial: Dial { endpoints: self.endpoints.clone(), curve: self.curve.clone(), context },
            no_room,
            collector: Arc::clone(collector),
            interval: self.interval,
            demand: self.demand,
        })
    }
}
