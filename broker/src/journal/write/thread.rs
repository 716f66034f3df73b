//! The thread that writes the journal, and the router's handle to it.

use super::queue::{Item, Next, Queue};
use super::recover;
use super::retention::{Disk, expired};
use super::watermark::{self, WatermarkFile};
use super::writer::{Entry, SegmentLost, Writer};
use crate::journal::config::{JournalConfig, Retention};
use crate::journal::cursors::Cursors;
use crate::journal::error::{JournalError, is_full};
use crate::journal::folder::is_folder_missing;
use crate::journal::log::Log;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zibrato::clock;
use zibrato::daemon::{LogLimit, NotifyOnDrop, Stop};
use zibrato::window::Dedup;

/// Maximum bytes of one write.
const GROUP_BYTES: usize = 1 << 20;

/// Maximum time that a batch waits for others, so that they are written together. Batches whose clients
/// wait for an answer do not.
const GROUP_TIME: Duration = Duration::from_millis(5);

/// Maximum bytes in the queue to the thread and back. Beyond it the router accepts no more.
const QUEUE_BYTES: usize = 16 << 20;

/// The maximum size of a segment is the size of the disk divided by this number.
const SEGMENTS_OF_A_DISK: u64 = 64;

/// When the disk is full, its size divided by this number is freed as well, but only segments that all
/// readers have read.
const FREED_AT_ONCE: u64 = 16;

/// Time between a failed write and the next attempt.
const RETRY: Duration = Duration::from_secs(1);

/// Time between checks of the folder, the disk and the retention.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Time to wait for the thread beyond its deadline.
const GRACE: Duration = Duration::from_millis(200);

/// The router's handle to the journal.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) queue: Arc<Queue>,
    pub(crate) log: Arc<Log>,
    thread: Option<JoinHandle<()>>,
    ended: Stop,
}

/// A journal that was opened, before its thread runs.
#[derive(Debug)]
pub(crate) struct OpenedJournal {
    writer: Writer,
    retention: Retention,
    sequences: Dedup,
    cursors: Cursors,
    watermark: WatermarkFile,
}

/// The parts of a running journal, for the parts of the broker.
pub(crate) struct Parts {
    /// For the router.
    pub(crate) journal: Journal,
    /// The sequences that had been accepted when the journal was closed.
    pub(crate) sequences: Dedup,
    /// The readers' positions.
    pub(crate) cursors: Cursors,
}

impl OpenedJournal {
    /// Opens a journal. Damage is no error; a folder or file that cannot be used is.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(crate) fn open(config: &JournalConfig) -> Result<Self, JournalError> {
        let path = &config.directory;
        // The folder is locked first, so that no other broker changes the cursors.
        let opened = recover::open(path, config.segment_limits())?;
        let mut cursors = Cursors::load(path).map_err(JournalError::unusable(path))?;
        let recover::Opened { mut writer, sequences } = opened;
        if let Err(error) = cursors.note_loss(writer.directory(), config.max_age) {
            // The file matters only if the broker ends before its readers have connected.
            tracing::warn!(event = "cursor_loss_not_noted", %error);
        }
        writer.skip_to(cursors.highest());
        let (watermark, watermark_ms) = WatermarkFile::open(Arc::clone(writer.directory()));
        writer.log().advance_clock(watermark_ms);
        if let Some(disk) = disk(&writer) {
            // The last segment is never deleted, so on a small disk it must be small.
            writer.limit_segments(disk.total / SEGMENTS_OF_A_DISK);
        }
        let retention = config.retention();
        Ok(Self { writer, retention, sequences, cursors, watermark })
    }

    /// The state that all threads share.
    pub(crate) const fn log(&self) -> &Arc<Log> {
        self.writer.log()
    }

    /// Starts its thread.
    ///
    /// # Errors
    /// When the process may open no more descriptors or start no more threads.
    pub(crate) fn start(self) -> io::Result<Parts> {
        let log = Arc::clone(self.log());
        let queue = Arc::new(Queue::new(QUEUE_BYTES, Arc::clone(&log)));
        let mut thread = JournalThread {
            writer: self.writer,
            retention: self.retention,
            queue: Arc::clone(&queue),
            watermark: self.watermark,
            short_of: 0,
            is_full: false,
            log_limits: LogLimits::default(),
        };
        thread.extend_watermark();
        let ended = Stop::new()?;
        let last_word = NotifyOnDrop::new(ended.clone());
        let thread =
            std::thread::Builder::new().name("zb-journal".to_owned()).spawn(move || {
                let _last_word = last_word;
                thread.run();
            })?;
        let journal = Journal { queue, log, thread: Some(thread), ended };
        Ok(Parts { journal, sequences: self.sequences, cursors: self.cursors })
    }
}

impl Journal {
    /// Ends the thread when everything is on disk, or at the deadline `by`. Returns whether it has
    /// ended.
    pub(crate) fn stop(&mut self, by: Instant) -> bool {
        self.queue.close(by);
        let Some(thread) = self.thread.take() else { return true };
        // The disk may not respond.
        if !self.ended.wait((by + GRACE).saturating_duration_since(Instant::now())) {
            return false;
        }
        thread.join().is_ok()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // The router is gone, so written batches are not taken.
        self.stop(Instant::now());
    }
}

/// The state of the thread.
struct JournalThread {
    writer: Writer,
    retention: Retention,
    queue: Arc<Queue>,
    watermark: WatermarkFile,
    /// Number of bytes to free so that the disk has its minimum free space.
    short_of: u64,
    /// Whether the last write failed because the disk was full.
    is_full: bool,
    log_limits: LogLimits,
}

/// Log lines about the disk, each at most once a minute.
#[derive(Debug, Default)]
struct LogLimits {
    full: LogLimit<60>,
    missing: LogLimit<60>,
    unwritable: LogLimit<60>,
    watermark: LogLimit<60>,
    not_deleted: LogLimit<60>,
}

/// The reason why nothing can be written now.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    /// The disk is full.
    #[error("{0}")]
    Full(String),
    /// The folder is not in its place.
    #[error("{0}")]
    Missing(String),
    /// The segment was deleted or truncated while it was written.
    #[error("{0}")]
    SegmentLost(String),
    /// Any other problem.
    #[error("{0}")]
    Unwritable(String),
}

impl WriteError {
    fn of(error: &io::Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            _ if is_folder_missing(error) => Self::Missing(text),
            kind if is_full(kind) => Self::Full(text),
            _ if error.get_ref().is_some_and(|inner| inner.is::<SegmentLost>()) => {
                Self::SegmentLost(text)
            }
            _ => Self::Unwritable(text),
        }
    }

    /// Whether the next attempt repairs it.
    const fn is_repaired_at_once(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::SegmentLost(_))
    }
}

impl JournalThread {
    fn run(mut self) {
        let mut committed = Instant::now();
        let mut check_at = Instant::now();
        loop {
            if Instant::now() >= check_at {
                self.check();
                check_at = Instant::now() + CHECK_EVERY;
            }
            match self.queue.take(GROUP_BYTES, committed + GROUP_TIME, check_at) {
                Next::Closed => {
                    // Readers know no later watermark, so the next broker can continue at this time.
                    let until_ms = self.writer.log().watermark_ms();
                    self.write_watermark(until_ms);
                    return;
                }
                Next::Items(items) if items.is_empty() => {}
                Next::Items(items) => {
                    if !self.commit(&items) {
                        return;
                    }
                    committed = Instant::now();
                    self.queue.push_written(items);
                }
            }
        }
    }

    /// Tries until the items are on disk; `false` if the deadline of a stop came first.
    fn commit(&mut self, items: &[Item]) -> bool {
        let entries: Vec<Entry<'_>> = items.iter().filter_map(Item::entry).collect();
        let mut is_first = true;
        loop {
            let Err(error) = self.try_commit(&entries) else {
                self.log_recovery();
                return true;
            };
            // A deleted folder or segment can be created again at once.
            if std::mem::take(&mut is_first) && error.is_repaired_at_once() {
                continue;
            }
            self.log_error(&error);
            self.writer.log().failed(error.to_string());
            if self.queue.close_by().is_some_and(|by| Instant::now() >= by) {
                return false;
            }
            self.queue.pause(RETRY);
            self.maintain();
        }
    }

    fn try_commit(&mut self, entries: &[Entry<'_>]) -> Result<(), WriteError> {
        self.check_room()?;
        let tried = self.writer.commit(entries);
        self.is_full = tried.as_ref().is_err_and(|error| is_full(error.kind()));
        tried.map_err(|error| WriteError::of(&error))
    }

    /// Checks that the disk has its minimum free space.
    fn check_room(&self) -> Result<(), WriteError> {
        if self.short_of == 0 {
            return Ok(());
        }
        let percent = self.retention.min_free_percent;
        Err(WriteError::Full(format!("less than {percent} percent of its disk is free")))
    }

    fn log_error(&mut self, error: &WriteError) {
        const WHY: &str = "the broker accepts nothing until the journal can be written; publishers keep \
             their batches";
        let path = self.writer.log().path().display();
        let log_limits = &mut self.log_limits;
        match error {
            WriteError::Full(problem) if log_limits.full.admits() => {
                tracing::error!(event = "journal_full", problem, journal = %path, why = WHY);
            }
            WriteError::Missing(problem) if log_limits.missing.admits() => {
                tracing::error!(event = "journal_missing", problem, journal = %path, why = WHY);
            }
            WriteError::SegmentLost(problem) | WriteError::Unwritable(problem)
                if log_limits.unwritable.admits() =>
            {
                tracing::error!(event = "journal_unwritable", problem, journal = %path, why = WHY);
            }
            _ => {}
        }
    }

    /// Logs that the journal can be written again, if it could not before.
    fn log_recovery(&mut self) {
        let LogLimits { full, missing, unwritable, .. } = &mut self.log_limits;
        if [full, missing, unwritable].map(LogLimit::is_over).contains(&true) {
            tracing::info!(event = "journal_writes_again");
        }
    }

    /// Checks that the journal can be written, even while no batch waits.
    fn check(&mut self) {
        let checked = self.writer.check();
        self.maintain();
        let checked =
            checked.map_err(|error| WriteError::of(&error)).and_then(|()| self.check_room());
        match checked {
            Ok(()) => {
                self.log_recovery();
                self.writer.log().set_problem(None);
            }
            Err(error) => {
                self.log_error(&error);
                self.writer.log().set_problem(Some(error.to_string()));
            }
        }
    }

    /// Lets the watermark advance until this runs again, and a little longer.
    fn extend_watermark(&mut self) {
        let log = Arc::clone(self.writer.log());
        let until_ms = log.clock_ms().max(clock::unix_ms()) + watermark::AHEAD_MS;
        self.write_watermark(until_ms);
        log.allow_watermark(until_ms);
    }

    fn write_watermark(&mut self, until_ms: u64) {
        let put = self.watermark.put(until_ms);
        // A missing folder is reported elsewhere.
        if let Err(error) = put.as_ref()
            && !is_folder_missing(error)
            && self.log_limits.watermark.admits()
        {
            let why = "this matters only if the machine's clock is set back before the next start";
            tracing::warn!(event = "watermark_not_written", %error, why);
        }
        if put.is_ok() && self.log_limits.watermark.is_over() {
            tracing::info!(event = "watermark_written_again");
        }
        self.writer.log().set_watermark_problem(put.err().map(|error| error.to_string()));
    }

    /// Deletes expired segments, and checks the free space.
    fn maintain(&mut self) {
        self.extend_watermark();
        let log = Arc::clone(self.writer.log());
        // While the folder is missing, its disk is unknown and nothing can be deleted.
        let disk_now = disk(&self.writer);
        self.short_of = disk_now.map_or(0, |disk| disk.short_of(&self.retention));
        let outline = log.outline();
        let now_ms = clock::unix_ms();
        // A quota may be used up while the disk has space. More is freed than necessary, so that
        // the next batch does not fill the disk again.
        let is_short = self.short_of > 0 || self.is_full;
        let more = disk_now.map_or(1, |disk| (disk.total / FREED_AT_ONCE).max(1));
        let short_of = if is_short { self.short_of.saturating_add(more) } else { 0 };
        let count = expired(&outline, &self.retention, now_ms, short_of, log.passed());
        let deleted = match (count, disk_now) {
            (_, None) => return,
            (0, _) => self.writer.delete_pending(),
            (count, _) => self.writer.delete_oldest(count),
        };
        if let Err(error) = &deleted
            && self.log_limits.not_deleted.admits()
        {
            let why = "the segment is no longer read, and uses disk space until it can be deleted";
            tracing::warn!(event = "journal_not_deleted", %error, why);
        }
        if deleted.is_ok() {
            self.log_limits.not_deleted.is_over();
        }
        if count == 0 {
            return;
        }
        let first = log.outline().segments.first().map_or(0, |segment| segment.first);
        tracing::info!(event = "journal_expired", segments = count, kept_from = first);
        self.short_of = disk(&self.writer).map_or(0, |disk| disk.short_of(&self.retention));
    }
}

/// The size of the disk; `None` if it is unknown or the folder is missing.
fn disk(writer: &Writer) -> Option<Disk> {
    let found = writer.directory().folder().and_then(|folder| folder.disk()).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(Disk { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
}

#[cfg(test)]
mod tests;
