//! The thread that writes, and what the router holds of it.

use super::JournalConfig;
use super::cursors::Cursors;
use super::directory::{JournalError, is_misplaced};
use super::log::Log;
use super::queue::{Item, Next, Queue};
use super::recover;
use super::retention::{Disk, Retention, expired};
use super::told::{self, Told};
use super::writer::{Entry, SegmentLost, Writer, is_full};
use crate::seen::Seen;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zibrato::clock;
use zibrato::daemon::{LogLimit, NotifyOnDrop, Stop};

/// As much is written at once, if it is there.
const GROUP_BYTES: usize = 1 << 20;

/// A batch waits at most so long for others to be written together with it.
const GROUP_TIME: Duration = Duration::from_millis(5);

/// As much may be on its way to the disk and back before the router takes no more.
const QUEUE_BYTES: usize = 16 << 20;

/// No segment takes more than this part of its disk.
const SEGMENTS_OF_A_DISK: u64 = 64;

/// When the disk is full, at least this part of it is freed, if so much of it was read.
const FREED_AT_ONCE: u64 = 16;

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How often is looked after what is too old or too much.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// How much longer than its deadline the thread is waited for.
const GRACE: Duration = Duration::from_millis(200);

/// What the router has of the journal.
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
    sequences: Seen,
    cursors: Cursors,
    told: Told,
}

/// What a journal that was opened gives to each part of the broker.
pub(crate) struct Parts {
    /// For the router.
    pub(crate) journal: Journal,
    /// What had been taken when it was closed.
    pub(crate) sequences: Seen,
    /// Those who read.
    pub(crate) cursors: Cursors,
}

impl OpenedJournal {
    /// Opens it. Only directories and files that cannot be used are errors.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(crate) fn open(config: &JournalConfig) -> Result<Self, JournalError> {
        let path = &config.directory;
        // The lock comes first: the cursors are read when nobody else changes them any more.
        let opened = recover::open(path, config.segment_limits())?;
        let mut cursors = Cursors::load(path).map_err(JournalError::unusable(path))?;
        let recover::Opened { mut writer, sequences } = opened;
        if let Err(error) = cursors.note_loss(writer.directory(), config.max_age) {
            // It matters only if the broker ends before those who read have come.
            tracing::warn!(event = "cursor_loss_not_noted", %error);
        }
        writer.skip_to(cursors.highest());
        let (told, told_ms) = Told::open(Arc::clone(writer.directory()));
        writer.log().go_on_from(told_ms);
        if let Some(disk) = disk(&writer) {
            // The last segment is never deleted; on a small disk it must not be all there is.
            writer.limit_segments(disk.total / SEGMENTS_OF_A_DISK);
        }
        let retention = config.retention();
        Ok(Self { writer, retention, sequences, cursors, told })
    }

    /// What everybody may know of it.
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
        let mut keeper = Keeper {
            writer: self.writer,
            retention: self.retention,
            queue: Arc::clone(&queue),
            told: self.told,
            short_of: 0,
            is_full: false,
            complaints: Complaints::default(),
        };
        keeper.let_tell();
        let ended = Stop::new()?;
        let last_word = NotifyOnDrop::new(ended.clone());
        let thread =
            std::thread::Builder::new().name("zb-journal".to_owned()).spawn(move || {
                let _last_word = last_word;
                keeper.run();
            })?;
        let journal = Journal { queue, log, thread: Some(thread), ended };
        Ok(Parts { journal, sequences: self.sequences, cursors: self.cursors })
    }
}

impl Journal {
    /// Ends the thread when everything is safe, or by then. Says whether it has ended.
    pub(crate) fn stop(&mut self, by: Instant) -> bool {
        self.queue.close(by);
        let Some(thread) = self.thread.take() else { return true };
        // A disk that does not answer is not waited for any longer.
        if !self.ended.wait((by + GRACE).saturating_duration_since(Instant::now())) {
            return false;
        }
        thread.join().is_ok()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Without anybody to give batches back to, the thread has no more to do.
        self.queue.close(Instant::now());
    }
}

/// What the thread has.
struct Keeper {
    writer: Writer,
    retention: Retention,
    queue: Arc<Queue>,
    told: Told,
    /// How many bytes too few are free on the disk.
    short_of: u64,
    /// Whether the disk had no room for the last write.
    is_full: bool,
    complaints: Complaints,
}

/// What is wrong with the disk, by the line of the log that says so.
#[derive(Debug, Default)]
struct Complaints {
    full: LogLimit<60>,
    missing: LogLimit<60>,
    unwritable: LogLimit<60>,
    told: LogLimit<60>,
    not_deleted: LogLimit<60>,
}

/// Why nothing can be made safe now.
#[derive(Debug)]
enum Trouble {
    /// There is no room.
    Full(String),
    /// The folder is not where it should be.
    Missing(String),
    /// Somebody deleted or cut the segment while it was written.
    SegmentLost(String),
    /// Anything else.
    Unwritable(String),
}

impl Trouble {
    fn of(error: &io::Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            _ if is_misplaced(error) => Self::Missing(text),
            kind if is_full(kind) => Self::Full(text),
            _ if error.get_ref().is_some_and(|inner| inner.is::<SegmentLost>()) => {
                Self::SegmentLost(text)
            }
            _ => Self::Unwritable(text),
        }
    }

    const fn text(&self) -> &str {
        match self {
            Self::Full(text) | Self::Missing(text) => text.as_str(),
            Self::SegmentLost(text) | Self::Unwritable(text) => text.as_str(),
        }
    }

    /// Whether the next try mends it.
    const fn is_mended_at_once(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::SegmentLost(_))
    }
}

impl Keeper {
    fn run(mut self) {
        let mut committed = Instant::now();
        let mut look_after = Instant::now();
        loop {
            if Instant::now() >= look_after {
                self.look();
                look_after = Instant::now() + LOOK_AFTER;
            }
            match self.queue.take(GROUP_BYTES, committed + GROUP_TIME, look_after) {
                Next::Closed => {
                    // Nothing more is told, so the next broker need not leave anything out.
                    let until_ms = self.writer.log().complete_until_ms();
                    self.put_told(until_ms);
                    return;
                }
                Next::Items(items) if items.is_empty() => {}
                Next::Items(items) => {
                    if !self.commit(&items) {
                        return;
                    }
                    committed = Instant::now();
                    self.queue.give_back(items);
                }
            }
        }
    }

    /// Tries until it is done; `false` if it was to stop meanwhile.
    fn commit(&mut self, items: &[Item]) -> bool {
        let entries: Vec<Entry<'_>> = items.iter().filter_map(Item::entry).collect();
        let mut is_first = true;
        loop {
            let Err(trouble) = self.try_commit(&entries) else {
                self.is_well();
                return true;
            };
            // A folder or segment that was deleted can be made again at once.
            if std::mem::take(&mut is_first) && trouble.is_mended_at_once() {
                continue;
            }
            self.complain(&trouble);
            self.writer.log().failed(trouble.text().to_owned());
            if self.queue.close_by().is_some_and(|by| Instant::now() >= by) {
                return false;
            }
            self.queue.pause(RETRY);
            self.look_after();
        }
    }

    fn try_commit(&mut self, entries: &[Entry<'_>]) -> Result<(), Trouble> {
        self.check_room()?;
        let tried = self.writer.commit(entries);
        self.is_full = tried.as_ref().is_err_and(|error| is_full(error.kind()));
        tried.map_err(|error| Trouble::of(&error))
    }

    /// Whether as much of the disk is free as is to stay free.
    fn check_room(&self) -> Result<(), Trouble> {
        if self.short_of == 0 {
            return Ok(());
        }
        let percent = self.retention.min_free_percent;
        Err(Trouble::Full(format!("less than {percent} percent of its disk is free")))
    }

    fn complain(&mut self, trouble: &Trouble) {
        const WHY: &str =
            "nothing is accepted until it can be written; publishers keep what they have";
        let path = self.writer.log().path().display();
        let complaints = &mut self.complaints;
        match trouble {
            Trouble::Full(problem) if complaints.full.admits() => {
                tracing::error!(event = "journal_full", problem, journal = %path, why = WHY);
            }
            Trouble::Missing(problem) if complaints.missing.admits() => {
                tracing::error!(event = "journal_missing", problem, journal = %path, why = WHY);
            }
            Trouble::SegmentLost(problem) | Trouble::Unwritable(problem)
                if complaints.unwritable.admits() =>
            {
                tracing::error!(event = "journal_unwritable", problem, journal = %path, why = WHY);
            }
            _ => {}
        }
    }

    /// The journal can be written.
    fn is_well(&mut self) {
        let Complaints { full, missing, unwritable, .. } = &mut self.complaints;
        if [full, missing, unwritable].map(LogLimit::is_over).contains(&true) {
            tracing::info!(event = "journal_writes_again");
        }
    }

    /// Looks whether the journal could be written, while nothing waits for that.
    fn look(&mut self) {
        let looked = self.writer.look();
        self.look_after();
        let looked = looked.map_err(|error| Trouble::of(&error)).and_then(|()| self.check_room());
        match looked {
            Ok(()) => {
                self.is_well();
                self.writer.log().tell_problem(None);
            }
            Err(trouble) => {
                self.complain(&trouble);
                self.writer.log().tell_problem(Some(trouble.text().to_owned()));
            }
        }
    }

    /// Lets readers be told of the time until this comes again, and a little longer.
    fn let_tell(&mut self) {
        let log = Arc::clone(self.writer.log());
        let until_ms = log.clock_ms().max(clock::unix_ms()) + told::AHEAD_MS;
        self.put_told(until_ms);
        log.may_tell(until_ms);
    }

    fn put_told(&mut self, until_ms: u64) {
        let put = self.told.put(until_ms);
        // That the folder is away is told elsewhere.
        if let Err(error) = put.as_ref()
            && !is_misplaced(error)
            && self.complaints.told.admits()
        {
            let why = "this matters only if the clock is set back before the next start";
            tracing::warn!(event = "told_not_written", %error, why);
        }
        if put.is_ok() && self.complaints.told.is_over() {
            tracing::info!(event = "told_written_again");
        }
        self.writer.log().tell_told_problem(put.err().map(|error| error.to_string()));
    }

    /// Deletes what has had its time, and looks how much of the disk is free.
    fn look_after(&mut self) {
        self.let_tell();
        let log = Arc::clone(self.writer.log());
        // Nothing is known of the disk while the folder is away, and nothing can be deleted.
        let disk_now = disk(&self.writer);
        self.short_of = disk_now.map_or(0, |disk| disk.short_of(&self.retention));
        let outline = log.outline();
        let now_ms = clock::unix_ms();
        // A quota may be used up while the disk has room. More than is short is freed, so that it is
        // not short again with the next batch.
        let is_short = self.short_of > 0 || self.is_full;
        let more = disk_now.map_or(1, |disk| (disk.total / FREED_AT_ONCE).max(1));
        let short_of = if is_short { self.short_of.saturating_add(more) } else { 0 };
        let count = expired(&outline, &self.retention, now_ms, short_of, log.passed());
        let deleted = match (count, disk_now) {
            (_, None) => return,
            (0, _) => self.writer.delete_doomed(),
            (count, _) => self.writer.delete_oldest(count),
        };
        if let Err(error) = &deleted
            && self.complaints.not_deleted.admits()
        {
            let why = "it is no longer read, and occupies space until it can be deleted";
            tracing::warn!(event = "journal_not_deleted", %error, why);
        }
        if deleted.is_ok() {
            self.complaints.not_deleted.is_over();
        }
        if count == 0 {
            return;
        }
        let first = log.outline().segments.first().map_or(0, |segment| segment.first);
        tracing::info!(event = "journal_expired", segments = count, kept_from = first);
        self.short_of = disk(&self.writer).map_or(0, |disk| disk.short_of(&self.retention));
    }
}

/// What the system says of the disk; nothing if it says nothing, or the folder is not in its place.
fn disk(writer: &Writer) -> Option<Disk> {
    let found = writer.directory().home().and_then(|home| home.disk()).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(Disk { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
}

#[cfg(test)]
mod tests;
