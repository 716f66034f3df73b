//! The journal: what was taken, on disk, so that nothing is acknowledged that could be lost, and
//! workers read at their own pace.
//!
//! ```text
//! router ──queue──▶ zb-journal ──write, fdatasync──▶ segments ──read──▶ zb-replay
//!   ▲                   │
//!   └───── what is safe ┘   is then published live and acknowledged
//! ```
//!
//! A directory with files of records (`<first offset>-<marker>.zbj`), of which only the last is
//! written to; the cursors of those who read, and until when they were told that they have
//! everything; the journal's number; and a lock. Opening it never
//! fails because of damage: what is torn at the end is cut, what is damaged is skipped and counted.

mod cursors;
mod directory;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod home;
mod inspect;
mod log;
mod queue;
mod reader;
mod record;
mod recover;
mod retention;
mod scan;
mod thread;
mod told;
mod writer;

pub(crate) use cursors::{Cursor, Cursors, level_names, levels};
pub(crate) use directory::Directory;
pub use directory::JournalError;
pub(crate) use home::is_in_use;
pub(crate) use inspect::{Inspection, SegmentReport, inspect};
pub use log::Health;
pub(crate) use log::Log;
pub(crate) use queue::{Item, Taken};
pub(crate) use reader::{Batch, Flow, Reader, Stopped};
pub(crate) use record::{Content, Record};
pub(crate) use thread::{Journal, OpenedJournal, Parts};

use retention::Retention;
use std::path::PathBuf;
use std::time::Duration;
use writer::SegmentLimits;
use zibrato::wire::WantedLevels;

/// How a journal is to be kept.
///
/// ```
/// use std::time::Duration;
/// use zibrato_broker::{Config, JournalConfig};
/// let journal = JournalConfig::new("/var/lib/zibrato/journal")
///     .max_age(Duration::from_secs(3_600))
///     .max_bytes(1 << 30);
/// let config = Config::new().journal(journal);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct JournalConfig {
    pub(crate) directory: PathBuf,
    max_age: Duration,
    max_bytes: u64,
    min_free_percent: f64,
    segment_bytes: u64,
    pub(crate) keep_levels: WantedLevels,
}

impl JournalConfig {
    /// A journal in a directory, which is made if need be.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            max_age: Duration::from_secs(24 * 3_600),
            max_bytes: 10 << 30,
            min_free_percent: 5.0,
            segment_bytes: 64 << 20,
            keep_levels: WantedLevels::default(),
        }
    }

    /// How long batches are kept at most, whether they were read or not. A cursor that was not
    /// heard of for so long is forgotten. Defaults to 24 hours.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// How many bytes are kept at most, whether they were read or not. Defaults to 10 GiB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// What share of the disk stays free. Batches that every cursor has passed are deleted for it;
    /// when that is not enough, nothing more is taken. Defaults to 5 percent.
    pub fn min_free_percent(mut self, percent: f64) -> Self {
        self.min_free_percent = percent.clamp(0.0, 100.0);
        self
    }

    /// About how many bytes one file has at most; it has fewer where little may be kept, or the disk
    /// is small. Defaults to 64 MiB.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.max(1);
        self
    }

    /// Levels that are kept, and wanted, even if no cursor names them. Defaults to none.
    pub fn keep_levels(mut self, levels: WantedLevels) -> Self {
        self.keep_levels = levels;
        self
    }

    fn retention(&self) -> Retention {
        Retention {
            max_age_ms: self.max_age_ms(),
            max_bytes: self.max_bytes,
            min_free_percent: self.min_free_percent,
        }
    }

    pub(crate) fn max_age_ms(&self) -> u64 {
        u64::try_from(self.max_age.as_millis()).unwrap_or(u64::MAX)
    }

    /// The last segment always stays, so it is small beside what may be kept.
    fn segment_limits(&self) -> SegmentLimits {
        // So that what is deleted because of its age is not much older than it has to be.
        let age_ms = (self.max_age_ms() / 24).max(60_000);
        let bytes = self.segment_bytes.min((self.max_bytes / 16).max(1));
        SegmentLimits { bytes, age_ms }
    }
}

#[cfg(test)]
mod tests;
