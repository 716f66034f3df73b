//! Cells: where readings gather, of one thread each, or of all.

pub(crate) mod amount;
mod blocks;
pub(crate) mod counter;
pub(crate) mod gauge;
pub(crate) mod list;
pub(crate) mod local;
pub(crate) mod per_process;
pub(crate) mod reentry;
pub(crate) mod shared;
mod sync;
pub(crate) mod taken;
pub(crate) mod ticks;
mod timer;
mod timer_buckets;
mod timer_sums;
pub(crate) mod timer_totals;
