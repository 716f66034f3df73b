//! The part that all handles of one instrument share. It contains the pipeline, of which each
//! forked child creates its own.

use crate::curve::Curve;
use crate::measurement::{Level, Source};
use crate::sdk::cells::per_process::{PerProcess, generation};
use crate::sdk::cells::{busy, lock, try_lock};
use crate::sdk::collection::Collector;
use crate::sdk::collection::ledger::Stats;
use crate::sdk::points::capture;
use crate::sdk::points::instrument::{HasInstrument, Instrument};
use crate::sdk::points::point::sender_is_missing;
use crate::sdk::points::site;
use crate::sdk::sending::error::BuildError;
use crate::sdk::sending::link::Dial;
use crate::sdk::sending::{NoRoom, Sender, Setup};
use once_cell::race::OnceBox;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Time between two attempts to start a thread in a child, if the system had none available.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Checked settings. A child uses the same.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) source: Source,
    pub(crate) levels: Option<BTreeSet<Level>>,
    /// To send batches to, and to receive messages from.
    pub(crate) endpoints: [String; 2],
    pub(crate) curve: Option<Curve>,
    pub(crate) interval: Duration,
    pub(crate) flush_deadline: Duration,
    /// How often idle gauges are repeated; zero: never.
    pub(crate) repeat_gauges: Duration,
    /// Whether levels that no worker wants are skipped.
    pub(crate) demand: bool,
    /// How long the broker may be silent before it is reported.
    pub(crate) patience: Duration,
}

/// The collector and the sender of one process.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) collector: Arc<Collector>,
    /// Unset in a child as long as the system has no thread available. Its readings stay pending.
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

    /// Sets the sender. Called once.
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
        // In a child, pipelines of the parent do not count.
        if self.sender().is_none() && self.generation == generation() {
            sender_is_missing(false);
        }
    }
}

/// The pipeline of one process, after it was created.
#[derive(Debug, Default)]
struct Slot {
    pipeline: OnceBox<Pipeline>,
    /// Takes the place of the pipeline's if measuring is disabled. It wants no level, so only
    /// captures see what is recorded.
    disabled: OnceBox<Arc<Instrument>>,
    /// When the system was last asked for a thread. The lock is held while a pipeline or a sender
    /// is created.
    asked: Mutex<Option<Instant>>,
}

/// Owns the pipeline. Flushes and ends the sender when the last handle is dropped.
#[derive(Debug)]
pub(crate) struct Owner {
    /// If measuring is disabled, only the source.
    settings: Result<Settings, Source>,
    slots: PerProcess<Slot>,
    /// The number of the instrument to which the call sites belong, if it is installed; else 0. A
    /// child inherits it.
    installation: AtomicU64,
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
        Ok(Self::new(Ok(settings), slot))
    }

    /// An instrument that measures nothing. Captured readings have this source.
    pub(crate) fn disabled(source: Source) -> Self {
        Self::new(Err(source), Slot::default())
    }

    fn new(settings: Result<Settings, Source>, slot: Slot) -> Self {
        let (installation, ended) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { settings, slots: PerProcess::of(generation(), slot), installation, ended }
    }

    /// The pipeline of this process. The first use in a child makes it; there is none if measuring
    /// is disabled, or had ended before the fork.
    #[inline]
    pub(crate) fn pipeline(&self) -> Option<&Pipeline> {
        let slot = self.slot();
        let Some(pipeline) = slot.pipeline.get() else {
            let settings = self.settings.as_ref().ok()?;
            return busy(|| self.make(slot, settings));
        };
        if pipeline.sender().is_none() {
            self.find_sender(slot, pipeline);
        }
        Some(pipeline)
    }

    /// The instrument of this process, for what is looked up once.
    pub(crate) fn instrument(&self) -> Option<&Arc<Instrument>> {
        match &self.settings {
            Ok(_) => Some(&self.pipeline()?.collector.instrument),
            Err(source) => {
                let levels = Some(BTreeSet::new());
                let make = || Box::new(Arc::new(Instrument::new(source.clone(), levels)));
                Some(busy(|| self.slot().disabled.get_or_init(make)))
            }
        }
    }

    /// The instrument of this process, unless it is certain that nobody takes a reading.
    #[inline]
    pub(crate) fn recorder(&self) -> Option<&Arc<Instrument>> {
        match self.pipeline() {
            Some(pipeline) => Some(&pipeline.collector.instrument),
            None if capture::captures().load(Ordering::Relaxed) == 0 => None,
            None => self.instrument(),
        }
    }

    /// Assigns the call sites of the program to this instrument.
    pub(crate) fn take_sites(&self) {
        if let Some(pipeline) = self.pipeline() {
            self.take_sites_for(&pipeline.collector);
        }
    }

    fn take_sites_for(&self, collector: &Collector) {
        self.installation.store(collector.instrument.number, Ordering::SeqCst);
        collector.take_sites();
    }

    /// The statistics of this process.
    pub(crate) fn stats(&self) -> Stats {
        // Reading statistics must not start a sender.
        let pipeline = self.slot().pipeline.get();
        pipeline.map_or_else(|| self.no_stats(), |pipeline| pipeline.collector.stats())
    }

    /// Flushes for the last time, and ends measuring. A child that has measured nothing has nothing
    /// to flush, and does not touch the parent's pipeline.
    pub(crate) fn shut_down(&self) -> Stats {
        let slot = self.slot();
        self.ended.store(true, Ordering::SeqCst);
        let installation = self.installation.swap(0, Ordering::SeqCst);
        if let Some(pipeline) = slot.pipeline.get() {
            // The system may have a thread available now.
            busy(|| self.begin_sending(pipeline, &mut lock(&slot.asked)));
            let within = self.settings.as_ref().map(|settings| settings.flush_deadline);
            return pipeline.shut_down(within.unwrap_or_default());
        }
        if installation != 0 {
            site::leave(installation);
        }
        self.no_stats()
    }

    /// The statistics of a process that has measured nothing.
    fn no_stats(&self) -> Stats {
        Stats { disabled: self.settings.is_err(), ..Stats::default() }
    }

    #[inline]
    fn slot(&self) -> &Slot {
        self.slots.get(|_| Slot::default())
    }

    #[cold]
    fn make<'a>(&self, slot: &'a Slot, settings: &Settings) -> Option<&'a Pipeline> {
        let mut asked = lock(&slot.asked);
        if let Some(pipeline) = slot.pipeline.get() {
            return Some(pipeline);
        }
        if self.ended.load(Ordering::SeqCst) {
            return None;
        }
        let pipeline = Pipeline::new(settings.collector());
        if self.installation.load(Ordering::SeqCst) != 0 {
            // Marks everything that the parent counted, in the copied cells, as taken.
            self.take_sites_for(&pipeline.collector);
        }
        self.begin_sending(&pipeline, &mut asked);
        Some(slot.pipeline.get_or_init(|| Box::new(pipeline)))
    }

    /// Asks the system for a thread, if the last attempt was a while ago and no other thread asks.
    #[cold]
    fn find_sender(&self, slot: &Slot, pipeline: &Pipeline) {
        let Some(mut asked) = try_lock(&slot.asked) else { return };
        if asked.is_none_or(|asked| asked.elapsed() >= ASK_AGAIN) {
            busy(|| self.begin_sending(pipeline, &mut asked));
        }
    }

    /// Starts the sender of a child unless it has one, if the system has a thread available.
    fn begin_sending(&self, pipeline: &Pipeline, asked: &mut Option<Instant>) {
        let Ok(settings) = &self.settings else { return };
        if pipeline.sender().is_some() {
            return;
        }
        *asked = Some(Instant::now());
        // Always a separate context, because the context of the application belongs to the parent.
        if let Ok(sender) = settings.sender(&pipeline.collector, None, NoRoom::Waits) {
            pipeline.set_sender(sender);
        }
    }
}

impl HasInstrument for Owner {
    fn instrument(&self) -> Option<Arc<Instrument>> {
        Self::instrument(self).cloned()
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
            repeat_gauges: self.repeat_gauges,
            demand: self.demand,
            patience: self.patience,
        })
    }
}
