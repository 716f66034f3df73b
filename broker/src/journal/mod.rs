//! The journal: batches on disk. A batch is acknowledged once it is safe on disk, and workers read
//! the journal at their own pace.
//!
//! ```text
//! router ──queue──▶ zb-journal ──write, fdatasync──▶ segments ──read──▶ zb-replay
//!   ▲                   │
//!   └───── what is safe ┘   then it is published live and acknowledged
//! ```
//!
//! | part | content |
//! |---|---|
//! | `config`, `error` | settings and errors |
//! | `format` | the bytes of a segment: records, and how they are found again after damage |
//! | `folder` | the folder: locked for one broker, watched, and its files |
//! | `log` | what all threads share: the segments, the end, the watermark, the health |
//! | `cursors` | how far each reader has delivered |
//! | `read` | reading for workers, and inspection |
//! | `write` | recovery, the writer, retention, and the thread that runs them |
//!
//! The folder holds segments (`<first offset>-<marker>.zbj`), of which only the last one is
//! written; the cursors; the watermark, which is the time up to which readers know that they have
//! every batch; the number of the journal; and a lock. Opening a journal never fails because of
//! damage: an incomplete record at the end is cut off, and damaged records are skipped and counted.

mod config;
mod cursors;
mod error;
mod folder;
mod format;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod log;
mod read;
mod write;

pub use config::JournalConfig;
pub(crate) use cursors::{Cursor, Cursors, level_names, levels};
pub use error::JournalError;
pub(crate) use folder::{Directory, is_folder_missing, is_in_use};
pub(crate) use format::record::{Content, Record};
pub use log::Health;
pub(crate) use log::Log;
pub(crate) use read::{Batch, Flow, Inspection, Reader, SegmentReport, Stopped, inspect};
pub(crate) use write::{Item, Journal, OpenedJournal, Parts, Taken};

#[cfg(test)]
mod tests;
