//! The cells of one thread. Measuring touches no memory that other threads write.
//!
//! A call site has an index, and each thread has a block of cells in which this index is the cell
//! of the call site. Only the thread writes its cells, with plain loads and stores. Only the sender
//! reads them, and takes the difference from what it saw last. When a thread ends, its block is
//! handed on to the next new thread, with all totals. Blocks are never freed: there are as many as
//! there were threads at the same time.

use super::address::in_register;
use super::blocks::{Block, Blocks};
use super::counter::{Counted, CounterCell};
use super::gauge::GaugeCell;
use super::histogram::HistogramCell;
use super::sync::OnceBox;
use super::timer::TimerCell;
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of cells in the smallest block.
const SMALLEST: usize = 64;

/// The default limit of the memory of all cells together, in bytes; see [`limit_memory`].
pub(crate) const DEFAULT_MAX_MEMORY: usize = 16 << 20;

type Gauge = OnceBox<GaugeCell>;
type Histogram = OnceBox<HistogramCell>;
type Timer = OnceBox<TimerCell>;

/// A block of cells, which belongs to one thread at a time.
#[derive(Debug)]
struct Cells {
    counters: Box<[CounterCell]>,
    gauges: Box<[Gauge]>,
    histograms: Box<[Histogram]>,
    timers: Box<[Timer]>,
}

static BLOCKS: Blocks<Cells> = Blocks::new(OnceBox::new());
static BYTES: AtomicUsize = AtomicUsize::new(0);
static MAX_BYTES: AtomicUsize = AtomicUsize::new(DEFAULT_MAX_MEMORY);

thread_local! {
    // They have no destructors, so reading them is one load from a fixed address.
    static COUNTERS: Cell<&'static [CounterCell]> = const { Cell::new(&[]) };
    static GAUGES: Cell<&'static [Gauge]> = const { Cell::new(&[]) };
    static HISTOGRAMS: Cell<&'static [Histogram]> = const { Cell::new(&[]) };
    static TIMERS: Cell<&'static [Timer]> = const { Cell::new(&[]) };
    /// Hands the block on when the thread ends.
    static OWN_BLOCK: RefCell<OwnBlock> = const { RefCell::new(OwnBlock(None)) };
}

struct OwnBlock(Option<&'static Block<Cells>>);

impl OwnBlock {
    fn hand_on(&mut self) {
        if let Some(block) = self.0.take() {
            COUNTERS.set(&[]);
            GAUGES.set(&[]);
            HISTOGRAMS.set(&[]);
            TIMERS.set(&[]);
            block.hand_on();
        }
    }
}

impl Drop for OwnBlock {
    fn drop(&mut self) {
        self.hand_on();
    }
}

/// Sets the limit of the memory of all cells together, in bytes. Existing cells stay.
pub(crate) fn limit_memory(bytes: usize) {
    MAX_BYTES.store(bytes, Ordering::Relaxed);
}

/// This thread's cell of a counter, if it has one.
#[inline]
pub(crate) fn counter(index: u32) -> Option<&'static CounterCell> {
    COUNTERS.get().get(index as usize).map(in_register)
}

/// This thread's cell of a gauge, if it has one.
#[inline]
pub(crate) fn gauge(index: u32) -> Option<&'static GaugeCell> {
    GAUGES.get().get(index as usize)?.get()
}

/// This thread's cell of a histogram, if it has one.
#[inline]
pub(crate) fn histogram(index: u32) -> Option<&'static HistogramCell> {
    HISTOGRAMS.get().get(index as usize)?.get()
}

/// This thread's cell of a timer, if it has one.
#[inline]
pub(crate) fn timer(index: u32) -> Option<&'static TimerCell> {
    TIMERS.get().get(index as usize)?.get()
}

/// This thread's cell of a counter, which is created if it is missing. `None` if the thread is
/// about to end, or if the memory limit is reached; the caller then uses the shared cell.
#[cold]
pub(crate) fn counter_or_grow(index: u32) -> Option<&'static CounterCell> {
    counter(index).or_else(|| {
        own_block(index as usize)?;
        counter(index)
    })
}

/// This thread's cell of a gauge; see [`counter_or_grow`].
#[cold]
pub(crate) fn gauge_or_grow(index: u32) -> Option<&'static GaugeCell> {
    counter_or_grow(index)?;
    make(GAUGES.get().get(index as usize)?, size_of::<GaugeCell>())
}

/// This thread's cell of a histogram; see [`counter_or_grow`].
#[cold]
pub(crate) fn histogram_or_grow(index: u32) -> Option<&'static HistogramCell> {
    counter_or_grow(index)?;
    make(HISTOGRAMS.get().get(index as usize)?, HistogramCell::BYTES)
}

/// This thread's cell of a timer; see [`counter_or_grow`].
#[cold]
pub(crate) fn timer_or_grow(index: u32) -> Option<&'static TimerCell> {
    counter_or_grow(index)?;
    make(TIMERS.get().get(index as usize)?, TimerCell::BYTES)
}

fn make<T: Default>(cell: &'static OnceBox<T>, bytes: usize) -> Option<&'static T> {
    if cell.get().is_none() && !reserve(bytes) {
        return None;
    }
    Some(cell.get_or_init(Box::default))
}

/// Gives this thread a block that has a cell `index`.
fn own_block(index: usize) -> Option<()> {
    // An error means that the destructors of the thread have run.
    OWN_BLOCK
        .try_with(|owner| {
            // An allocator that measures gets here while a block is created.
            let mut owner = owner.try_borrow_mut().ok()?;
            let block =
                BLOCKS.adopt(|cells| cells.counters.len() > index).or_else(|| new_block(index))?;
            owner.hand_on();
            owner.0 = Some(block);
            COUNTERS.set(&block.cells.counters);
            GAUGES.set(&block.cells.gauges);
            HISTOGRAMS.set(&block.cells.histograms);
            TIMERS.set(&block.cells.timers);
            Some(())
        })
        .ok()
        .flatten()
}

fn new_block(index: usize) -> Option<&'static Block<Cells>> {
    let count = (index + 1).next_power_of_two().max(SMALLEST);
    let pointers = size_of::<Gauge>() + size_of::<Histogram>() + size_of::<Timer>();
    if !reserve(count * (size_of::<CounterCell>() + pointers)) {
        return None;
    }
    BLOCKS.add(Cells {
        counters: (0..count).map(|_| CounterCell::default()).collect(),
        gauges: (0..count).map(|_| Gauge::new()).collect(),
        histograms: (0..count).map(|_| Histogram::new()).collect(),
        timers: (0..count).map(|_| Timer::new()).collect(),
    })
}

/// Reserves bytes of the memory limit. Returns false if they are not available.
pub(crate) fn reserve(bytes: usize) -> bool {
    let most = MAX_BYTES.load(Ordering::Relaxed);
    let take = |taken: usize| taken.checked_add(bytes).filter(|all| *all <= most);
    BYTES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
}

/// The counts of all threads at one call site, since the program started.
pub(crate) fn counted(index: u32) -> Counted {
    let mut counted = Counted::default();
    let cells = BLOCKS.iter().filter_map(|block| block.cells.counters.get(index as usize));
    cells.for_each(|cell| cell.add_to(&mut counted));
    counted
}

/// The cells of all threads for one gauge.
pub(crate) fn gauges(index: u32) -> impl Iterator<Item = &'static GaugeCell> {
    BLOCKS.iter().filter_map(move |block| block.cells.gauges.get(index as usize)?.get())
}

/// The cells of all threads for one histogram.
pub(crate) fn histograms(index: u32) -> impl Iterator<Item = &'static HistogramCell> {
    BLOCKS.iter().filter_map(move |block| block.cells.histograms.get(index as usize)?.get())
}

/// The cells of all threads for one timer.
pub(crate) fn timers(index: u32) -> impl Iterator<Item = &'static TimerCell> + Clone {
    BLOCKS.iter().filter_map(move |block| block.cells.timers.get(index as usize)?.get())
}
