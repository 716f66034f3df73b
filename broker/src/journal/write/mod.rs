//! Writing a journal: a thread receives batches from the router, appends them, and deletes old ones.

mod queue;
pub(crate) mod recover;
mod retention;
mod thread;
mod watermark;
pub(crate) mod writer;

pub(crate) use queue::{Item, Taken};
pub(crate) use thread::{Journal, OpenedJournal, Parts};
