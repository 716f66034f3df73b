//! The cells that belong to one thread, so that measuring touches no memory that others write.
//!
//! A call site has an index, and each thread a block of cells in which that index is its cell. Only
//! the thread writes there, with plain loads and stores; only the sender reads, and takes the
//! difference to what it saw last. When a thread ends, its block, totals intact, is the next
//! thread's. Blocks are never given back: there are as many as there were threads at once.

use super::blocks::{Block, Blocks};
use super::counter::{Counted, CounterCell};
use super::gauge::GaugeCell;
use super::sync::OnceBox;
use super::timer::TimerCell;
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The smallest block.
const SMALLEST: usize = 64;

/// How many bytes all cells together may have unless [`limit_memory`] says otherwise.
pub(crate) const DEFAULT_MAX_MEMORY: usize = 16 << 20;

type Gauge = OnceBox<GaugeCell>;
type Timer = OnceBox<TimerCell>;

/// The cells of one thread at a time.
#[derive(Debug)]
struct Cells {
    counters: Box<[CounterCell]>,
    gauges: Box<[Gauge]>,
    timers: Box<[Timer]>,
}

static BLOCKS: Blocks<Cells> = Blocks::new(OnceBox::new());
static BYTES: AtomicUsize = AtomicUsize::new(0);
static MAX_BYTES: AtomicUsize = AtomicUsize::new(DEFAULT_MAX_MEMORY);

thread_local! {
    // Without destructors, so that reading them is one load from a fixed place.
    static COUNTERS: Cell<&'static [CounterCell]> = const { Cell::new(&[]) };
    static GAUGES: Cell<&'static [Gauge]> = const { Cell::new(&[]) };
    static TIMERS: Cell<&'static [Timer]> = const { Cell::new(&[]) };
    /// What hands the block on when the thread ends.
    static OWN_BLOCK: RefCell<OwnBlock> = const { RefCell::new(OwnBlock(None)) };
}

struct OwnBlock(Option<&'static Block<Cells>>);

impl OwnBlock {
    fn hand_on(&mut self) {
        if let Some(block) = self.0.take() {
            COUNTERS.set(&[]);
            GAUGES.set(&[]);
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

/// From now on all cells together may have so many bytes. What there is already stays.
pub(crate) fn limit_memory(bytes: usize) {
    MAX_BYTES.store(bytes, Ordering::Relaxed);
}

/// This thread's cell of a counter, if it has one.
#[inline]
pub(crate) fn counter(index: u32) -> Option<&'static CounterCell> {
    COUNTERS.get().get(index as usize)
}

/// This thread's cell of a gauge, if it has one.
#[inline]
pub(crate) fn gauge(index: u32) -> Option<&'static GaugeCell> {
    GAUGES.get().get(index as usize)?.get()
}

/// This thread's cell of a timer, if it has one.
#[inline]
pub(crate) fn timer(index: u32) -> Option<&'static TimerCell> {
    TIMERS.get().get(index as usize)?.get()
}

/// This thread's cell of a counter. `None` when the thread is about to end, or when there is no
/// memory left for cells; then a shared cell has to do.
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

/// Makes a block with the cell `index` this thread's.
fn own_block(index: usize) -> Option<()> {
    // An error means that the thread's destructors have run.
    OWN_BLOCK
        .try_with(|owner| {
            // An allocator that measures comes by here while a block is made.
            let mut owner = owner.try_borrow_mut().ok()?;
            let block =
                BLOCKS.adopt(|cells| cells.counters.len() > index).or_else(|| new_block(index))?;
            owner.hand_on();
            owner.0 = Some(block);
            COUNTERS.set(&block.cells.counters);
            GAUGES.set(&block.cells.gauges);
            TIMERS.set(&block.cells.timers);
            Some(())
        })
        .ok()
        .flatten()
}

fn new_block(index: usize) -> Option<&'static Block<Cells>> {
    let count = (index + 1).next_power_of_two().max(SMALLEST);
    if !reserve(count * (size_of::<CounterCell>() + size_of::<Gauge>() + size_of::<Timer>())) {
        return None;
    }
    BLOCKS.add(Cells {
        counters: (0..count).map(|_| CounterCell::default()).collect(),
        gauges: (0..count).map(|_| Gauge::new()).collect(),
        timers: (0..count).map(|_| Timer::new()).collect(),
    })
}

/// Takes so many bytes out of what cells may have, if they are there.
pub(crate) fn reserve(bytes: usize) -> bool {
    let most = MAX_BYTES.load(Ordering::Relaxed);
    let take = |taken: usize| taken.checked_add(bytes).filter(|all| *all <= most);
    BYTES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
}

/// What all threads have ever counted at one call site.
pub(crate) fn counted(index: u32) -> Counted {
    let mut counted = Counted::default();
    let cells = BLOCKS.iter().filter_map(|block| block.cells.counters.get(index as usize));
    cells.for_each(|cell| cell.add_to(&mut counted));
    counted
}

/// Every thread's cell of one gauge.
pub(crate) fn gauges(index: u32) -> impl Iterator<Item = &'static GaugeCell> {
    BLOCKS.iter().filter_map(move |block| block.cells.gauges.get(index as usize)?.get())
}

/// Every thread's cell of one timer.
pub(crate) fn timers(index: u32) -> impl Iterator<Item = &'static TimerCell> + Clone {
    BLOCKS.iter().filter_map(move |block| block.cells.timers.get(index as usize)?.get())
}
