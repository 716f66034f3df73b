//! The settings of the journal.

use std::path::PathBuf;
use std::time::Duration;
use zibrato::wire::WantedLevels;

/// Settings of the journal.
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
    pub(crate) max_age: Duration,
    max_bytes: u64,
    min_free_percent: f64,
    segment_bytes: u64,
    pub(crate) keep_levels: WantedLevels,
}

impl JournalConfig {
    /// A journal in a directory, which is created if it does not exist.
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

    /// Maximum age of batches; older ones are deleted, read or not. A cursor whose reader has not
    /// connected for that long is deleted too. Defaults to 24 hours.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Maximum size in bytes; beyond it the oldest batches are deleted, read or not. Defaults to
    /// 10 GiB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Minimum free space on the disk, in percent. Below it, batches that every cursor has passed are
    /// deleted; if that is not enough, the broker accepts nothing more. Defaults to 5 percent.
    pub fn min_free_percent(mut self, percent: f64) -> Self {
        self.min_free_percent = percent.clamp(0.0, 100.0);
        self
    }

    /// Approximate maximum size of one file, in bytes. Files are smaller if `max_bytes` or the disk is
    /// small. Defaults to 64 MiB.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.max(1);
        self
    }

    /// Levels that are wanted and kept even if no cursor names them. Defaults to none.
    pub fn keep_levels(mut self, levels: WantedLevels) -> Self {
        self.keep_levels = levels;
        self
    }

    pub(crate) fn retention(&self) -> Retention {
        Retention {
            max_age_ms: self.max_age_ms(),
            max_bytes: self.max_bytes,
            min_free_percent: self.min_free_percent,
        }
    }

    pub(crate) fn max_age_ms(&self) -> u64 {
        u64::try_from(self.max_age.as_millis()).unwrap_or(u64::MAX)
    }

    /// The last segment is never deleted, so it must be small compared to `max_bytes`.
    pub(crate) fn segment_limits(&self) -> SegmentLimits {
        // A segment expires as a whole, so its batches should be of similar age.
        let age_ms = (self.max_age_ms() / 24).max(60_000);
        let bytes = self.segment_bytes.min((self.max_bytes / 16).max(1));
        SegmentLimits { bytes, age_ms }
    }
}

/// How much of the journal is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Retention {
    /// Maximum age of a batch, in milliseconds.
    pub(crate) max_age_ms: u64,
    /// Maximum size, in bytes.
    pub(crate) max_bytes: u64,
    /// Minimum free space on the disk, in percent.
    pub(crate) min_free_percent: f64,
}

/// When the next segment begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentLimits {
    /// Maximum size of a segment, in bytes.
    pub(crate) bytes: u64,
    /// Maximum time between the first and the last batch of a segment, in milliseconds.
    pub(crate) age_ms: u64,
}
