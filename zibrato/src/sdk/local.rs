//! The cells that belong to one thread, so that counting touches no memory that others write.
//!
//! A call site has an index, and each thread a block of cells in which that index is its cell. Only
//! the thread writes there, with plain loads and stores; only the sender reads, and takes the
//! difference to what it saw last. When a thread ends, its block, totals intact, is the next
//! thread's. Blocks are never given back: there are as many as there were threads at once.

use super::timer_cell::TimerCell;
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The smallest block.
const SMALLEST: usize = 64;

/// All blocks together have at most so many bytes, but for what some timers have more octaves than
/// most.
const MAX_BYTES: usize = 16 << 20;

/// One thread's counts at one call site.
#[derive(Debug, Default)]
pub(crate) struct CounterCell {
    /// Counts of one, which nearly all are: one word for the sum and for how many there were.
    ones: AtomicU64,
    /// The sum of all other counts; an `i64` in wrapping arithmetic.
    sum: AtomicU64,
    /// How many of those there were.
    others: AtomicU64,
}

impl CounterCell {
    /// Called by one thread at a time.
    #[inline]
    pub(crate) fn add(&self, amount: i64) {
        if amount == 1 {
            grow(&self.ones, 1);
        } else {
            grow(&self.sum, amount.cast_unsigned());
            // Last, and the reader reads it first: so what it has counted it has summed.
            self.others.store(self.others.load(Ordering::Relaxed) + 1, Ordering::Release);
        }
    }
}

/// A single writer needs no locked instruction: nothing comes between the load and the store.
#[inline]
fn grow(total: &AtomicU64, more: u64) {
    total.store(total.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

type Timer = OnceLock<Box<TimerCell>>;

/// The cells of one thread at a time.
#[derive(Debug)]
struct Block {
    owned: AtomicBool,
    counters: Box<[CounterCell]>,
    timers: Box<[Timer]>,
}

static BLOCKS: Mutex<Vec<&'static Block>> = Mutex::new(Vec::new());
static BYTES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // Without destructors, so that reading them is one load from a fixed place.
    static COUNTERS: Cell<&'static [CounterCell]> = const { Cell::new(&[]) };
    static TIMERS: Cell<&'static [Timer]> = const { Cell::new(&[]) };
    /// What hands the block on when the thread ends.
    static OWNER: RefCell<Owner> = const { RefCell::new(Owner(None)) };
}

struct Owner(Option<&'static Block>);

impl Owner {
    fn hand_on(&mut self) {
        if let Some(block) = self.0.take() {
            COUNTERS.set(&[]);
            TIMERS.set(&[]);
            // The next owner sees everything that this thread wrote.
            block.owned.store(false, Ordering::Release);
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.hand_on();
    }
}

/// This thread's cell of a counter, if it has one.
#[inline]
pub(crate) fn counter(index: u32) -> Option<&'static CounterCell> {
    COUNTERS.get().get(index as usize)
}

/// This thread's cell of a timer, if it has one.
#[inline]
pub(crate) fn timer(index: u32) -> Option<&'static TimerCell> {
    TIMERS.get().get(index as usize)?.get().map(Box::as_ref)
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

/// This thread's cell of a timer; see [`counter_or_grow`].
#[cold]
pub(crate) fn timer_or_grow(index: u32) -> Option<&'static TimerCell> {
    if TIMERS.get().len() <= index as usize {
        own_block(index as usize)?;
    }
    let timer = TIMERS.get().get(index as usize)?;
    if timer.get().is_none() && !reserve(TimerCell::BYTES) {
        return None;
    }
    Some(timer.get_or_init(Box::default))
}

/// Makes a block with the cell `index` this thread's.
fn own_block(index: usize) -> Option<()> {
    // An error means that the thread's destructors have run.
    OWNER
        .try_with(|owner| {
            let mut owner = owner.try_borrow_mut().ok()?;
            let block = free_block(index).or_else(|| new_block(index))?;
            owner.hand_on();
            owner.0 = Some(block);
            COUNTERS.set(&block.counters);
            TIMERS.set(&block.timers);
            Some(())
        })
        .ok()
        .flatten()
}

fn blocks() -> MutexGuard<'static, Vec<&'static Block>> {
    BLOCKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the lock of this file for a fork.
pub(crate) struct Held(
    #[expect(dead_code, reason = "held, not read")] MutexGuard<'static, Vec<&'static Block>>,
);

pub(crate) fn hold() -> Held {
    Held(blocks())
}

fn free_block(index: usize) -> Option<&'static Block> {
    let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
    let fits = |block: &&&'static Block| {
        block.counters.len() > index
            && block.owned.compare_exchange(false, true, acquire, relaxed).is_ok()
    };
    blocks().iter().find(fits).copied()
}

fn new_block(index: usize) -> Option<&'static Block> {
    let cells = (index + 1).next_power_of_two().max(SMALLEST);
    let bytes = cells * (size_of::<CounterCell>() + size_of::<Timer>());
    if !reserve(bytes) {
        return None;
    }
    let block: &'static Block = Box::leak(Box::new(Block {
        owned: AtomicBool::new(true),
        counters: (0..cells).map(|_| CounterCell::default()).collect(),
        timers: (0..cells).map(|_| Timer::new()).collect(),
    }));
    blocks().push(block);
    Some(block)
}

/// Takes so many bytes out of what cells may have, if they are there.
fn reserve(bytes: usize) -> bool {
    let take = |taken: usize| taken.checked_add(bytes).filter(|all| *all <= MAX_BYTES);
    BYTES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
}

/// What all threads have ever counted at one call site: the sum, in wrapping arithmetic, and how
/// often.
pub(crate) fn counted(index: u32) -> (u64, u64) {
    let (mut sum, mut times) = (0_u64, 0_u64);
    for cell in blocks().iter().filter_map(|block| block.counters.get(index as usize)) {
        let (ones, others) =
            (cell.ones.load(Ordering::Relaxed), cell.others.load(Ordering::Acquire));
        times = times.wrapping_add(ones).wrapping_add(others);
        sum = sum.wrapping_add(ones).wrapping_add(cell.sum.load(Ordering::Relaxed));
    }
    (sum, times)
}

/// Every thread's cell of one timer.
pub(crate) fn timers(index: u32) -> impl Iterator<Item = &'static TimerCell> + Clone {
    let blocks = blocks().clone().into_iter();
    blocks.filter_map(move |block| Some(block.timers.get(index as usize)?.get()?.as_ref()))
}
