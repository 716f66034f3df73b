//! The state of the journal that all threads share: segments, end, watermark, health.

use super::folder::Directory;
use super::format::record::Marker;
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zibrato::daemon::Waker;
use zibrato::wire::WantedLevels;

/// Time between the offsets whose times are remembered, in milliseconds.
pub(crate) const MARK_EVERY_MS: u64 = 10_000;

/// Maximum number of offsets whose times are remembered: more than two days.
const MAX_MARKS: usize = 20_000;

/// The journal as readers see it: only what is on disk.
#[derive(Debug)]
pub(crate) struct Log {
    directory: Arc<Directory>,
    state: Mutex<State>,
    /// Wakes readers when there is more to read.
    pub(crate) more: Waker,
    /// Wakes the router when batches have been written or levels have changed.
    pub(crate) router: Waker,
    watermark_ms: AtomicU64,
    /// The last known time of the broker's clock.
    clock_ms: AtomicU64,
    /// The watermark must not pass this time.
    max_watermark_ms: AtomicU64,
    /// Whether readers wait for the next watermark.
    is_watermark_awaited: AtomicBool,
    passed: AtomicU64,
}

#[derive(Debug)]
struct State {
    segments: Vec<Segment>,
    end: u64,
    end_ms: u64,
    marks: VecDeque<(u64, u64)>,
    health: Health,
    kept: Option<WantedLevels>,
}

/// A segment: a file with a part of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The offset of its first batch.
    pub(crate) first: u64,
    /// The time when that batch was received, in unix milliseconds.
    pub(crate) first_ms: u64,
    /// The marker of its records.
    pub(crate) marker: Marker,
    /// Number of its bytes that are on disk.
    pub(crate) bytes: u64,
    /// Number of times that its file was deleted and written again.
    pub(crate) copy: u32,
}

/// The health of the journal, since the start of the broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Batches written to disk.
    pub batches: u64,
    /// Bytes written to disk.
    pub bytes: u64,
    /// Commits: groups of batches that were written together.
    pub commits: u64,
    /// Commits that failed and were retried.
    pub failures: u64,
    /// The reason why batches cannot be written now, if they cannot. Publishers keep them
    /// meanwhile.
    pub problem: Option<String>,
    /// The reason why the watermark cannot be written, if it cannot. That matters only if the
    /// machine's clock is set back before the next start.
    pub watermark_problem: Option<String>,
    /// Bytes of batches on disk that were lost because files were deleted or truncated.
    pub lost_bytes: u64,
    /// Bytes cut off at the end when the journal was opened, because they were not a complete
    /// record.
    pub cut_bytes: u64,
    /// Damaged places that were found and skipped when the journal was opened.
    pub damaged: u64,
    /// Batches deleted because of their age or the size of the journal.
    pub expired: u64,
    /// Bytes queued to be written.
    pub waiting_bytes: u64,
    /// Bytes on disk.
    pub kept_bytes: u64,
    /// The offset of the last batch.
    pub end: u64,
}

/// The segments of the journal, and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outline {
    /// Oldest first.
    pub(crate) segments: Vec<Segment>,
    /// The offset of the last batch.
    pub(crate) end: u64,
}

impl Log {
    /// A journal with these segments, whose last batch is `end`, received at `end_ms`.
    ///
    /// # Errors
    /// When the process may open no more descriptors.
    pub(crate) fn new(
        directory: Arc<Directory>,
        segments: Vec<Segment>,
        (end, end_ms): (u64, u64),
        health: Health,
    ) -> io::Result<Self> {
        let marks = segments.iter().map(|segment| (segment.first, segment.first_ms)).collect();
        Ok(Self {
            directory,
            state: Mutex::new(State { segments, end, end_ms, marks, health, kept: None }),
            more: Waker::new()?,
            router: Waker::new()?,
            watermark_ms: AtomicU64::new(0),
            clock_ms: AtomicU64::new(end_ms),
            max_watermark_ms: AtomicU64::new(0),
            is_watermark_awaited: AtomicBool::new(false),
            passed: AtomicU64::new(u64::MAX),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a few plain assignments, so a panic leaves valid data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path of its folder.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The number of the journal.
    pub(crate) fn id(&self) -> u64 {
        self.directory.id()
    }

    /// Its folder.
    pub(crate) const fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Its segments and its end.
    pub(crate) fn outline(&self) -> Outline {
        let state = self.state();
        Outline { segments: state.segments.clone(), end: state.end }
    }

    /// The offset of the last batch.
    pub(crate) fn end(&self) -> u64 {
        self.state().end
    }

    /// Moves the end forward to `offset`; returns the old end if it moved.
    pub(crate) fn skip_to(&self, offset: u64) -> Option<u64> {
        let mut state = self.state();
        (state.end < offset).then(|| std::mem::replace(&mut state.end, offset))
    }

    /// When the last batch was received, in unix milliseconds.
    #[cfg(test)]
    pub(crate) fn end_ms(&self) -> u64 {
        self.state().end_ms
    }

    /// When the batch after `offset` was received, in unix milliseconds; `None` if there is none.
    /// Exact to ten seconds; after a start, for segments before the last one, the time of their first
    /// batch.
    pub(crate) fn received_after(&self, offset: u64) -> Option<u64> {
        let state = self.state();
        if offset >= state.end {
            return None;
        }
        let after = state.marks.partition_point(|(first, _)| *first <= offset + 1);
        let mark = state.marks.get(after.saturating_sub(1));
        Some(mark.map_or(state.end_ms, |(_, ms)| *ms))
    }

    /// Remembers offsets and their times, ascending, found when the journal was opened.
    pub(crate) fn remember(&self, found: &[(u64, u64)]) {
        let mut state = self.state();
        let mut marks: Vec<_> = state.marks.iter().chain(found).copied().collect();
        marks.sort_unstable();
        let surplus = marks.len().saturating_sub(MAX_MARKS);
        state.marks = marks.into_iter().skip(surplus).collect();
    }

    /// Adds a segment, the last one from now on.
    pub(crate) fn add_segment(&self, segment: Segment) {
        self.state().segments.push(segment);
    }

    /// Removes the oldest segments.
    pub(crate) fn remove_oldest(&self, count: usize) {
        let mut state = self.state();
        let count = count.min(state.segments.len());
        let gone = state.segments.first().map_or(0, |segment| segment.first);
        state.segments.drain(..count);
        let first = state.segments.first().map_or(state.end + 1, |segment| segment.first);
        state.health.expired += first.saturating_sub(gone);
        while state.marks.front().is_some_and(|(offset, _)| *offset < first) {
            state.marks.pop_front();
        }
    }

    /// The file of a segment was truncated to `left` bytes, or deleted.
    pub(crate) fn lose(&self, marker: Marker, left: Option<u64>) {
        let mut state = self.state();
        let Some(at) = state.segments.iter().position(|segment| segment.marker == marker) else {
            return;
        };
        let was = state.segments[at].bytes;
        state.health.lost_bytes += was.saturating_sub(left.unwrap_or_default());
        match left {
            Some(left) => state.segments[at].bytes = left,
            None => drop(state.segments.remove(at)),
        }
    }

    /// The file of a segment was deleted and written again. Readers have to open the new file.
    pub(crate) fn restored(&self, marker: Marker) {
        let mut state = self.state();
        let found = state.segments.iter_mut().find(|segment| segment.marker == marker);
        found.into_iter().for_each(|segment| segment.copy += 1);
    }

    /// Whether the segment still exists.
    pub(crate) fn has(&self, segment: &Segment) -> bool {
        self.state().segments.iter().any(|known| known.marker == segment.marker)
    }

    /// Batches up to `end` are on disk in the last segment, which now has `bytes` bytes.
    pub(crate) fn committed(&self, bytes: u64, batches: u64, (end, end_ms): (u64, u64)) {
        let mut state = self.state();
        let first_new = state.end + 1;
        if let Some(last) = state.segments.last_mut() {
            let added = bytes.saturating_sub(last.bytes);
            last.bytes = bytes;
            state.health.bytes += added;
        }
        state.health.batches += batches;
        state.health.commits += 1;
        state.health.problem = None;
        (state.end, state.end_ms) = (end, end_ms);
        if state.marks.back().is_none_or(|(_, ms)| end_ms >= ms + MARK_EVERY_MS) {
            if state.marks.len() >= MAX_MARKS {
                state.marks.pop_front();
            }
            state.marks.push_back((first_new, end_ms));
        }
        drop(state);
        self.more.wake();
    }

    /// Batches could not be written.
    pub(crate) fn failed(&self, problem: String) {
        let mut state = self.state();
        state.health.failures += 1;
        state.health.problem = Some(problem);
    }

    /// Sets why batches could not be written now, even if none wait; `None` if they could.
    pub(crate) fn set_problem(&self, problem: Option<String>) {
        self.state().health.problem = problem;
    }

    /// Sets why the watermark cannot be written, if it cannot.
    pub(crate) fn set_watermark_problem(&self, problem: Option<String>) {
        self.state().health.watermark_problem = problem;
    }

    /// These levels are to be kept from now on.
    pub(crate) fn keep(&self, levels: WantedLevels) {
        self.state().kept = Some(levels);
        self.router.wake();
    }

    /// The levels to be kept from now on, if they have changed.
    pub(crate) fn take_kept(&self) -> Option<WantedLevels> {
        self.state().kept.take()
    }

    /// The health of the journal.
    pub(crate) fn health(&self) -> Health {
        let state = self.state();
        let kept_bytes = state.segments.iter().map(|segment| segment.bytes).sum();
        Health { kept_bytes, end: state.end, ..state.health.clone() }
    }

    /// The watermark, in unix milliseconds: every batch received before it is in the journal.
    pub(crate) fn watermark_ms(&self) -> u64 {
        self.watermark_ms.load(Ordering::Acquire)
    }

    /// Every batch received before `ms` is in the journal, and the broker's clock is at `now_ms`.
    pub(crate) fn set_watermark_ms(&self, ms: u64, now_ms: u64) {
        self.clock_ms.store(now_ms, Ordering::Relaxed);
        let ms = ms.min(self.max_watermark_ms.load(Ordering::Acquire));
        self.watermark_ms.store(ms, Ordering::Release);
        if self.is_watermark_awaited.swap(false, Ordering::AcqRel) {
            self.more.wake();
        }
    }

    /// Asks the router for a current watermark, and wakes readers when it is there. While nothing
    /// arrives, the router advances it only once a second.
    pub(crate) fn ask_for_watermark(&self) {
        self.is_watermark_awaited.store(true, Ordering::Release);
        self.router.wake();
    }

    /// The broker's clock, as it was last set; after a start, the time from which it continues.
    pub(crate) fn clock_ms(&self) -> u64 {
        self.clock_ms.load(Ordering::Relaxed)
    }

    /// The broker's clock continues from `ms` at least.
    pub(crate) fn advance_clock(&self, ms: u64) {
        self.clock_ms.fetch_max(ms, Ordering::Relaxed);
    }

    /// The watermark may advance to `ms`: that time is on disk for the next broker.
    pub(crate) fn allow_watermark(&self, ms: u64) {
        self.max_watermark_ms.fetch_max(ms, Ordering::Release);
    }

    /// The offset up to which every cursor has been read; the largest number without cursors.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    pub(crate) fn set_passed(&self, offset: u64) {
        self.passed.store(offset, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_that_asked_for_the_next_watermark_are_woken_by_it() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Arc::new(Directory::open(dir.path()).unwrap());
        let log = Log::new(directory, Vec::new(), (0, 0), Health::default()).unwrap();
        log.set_watermark_ms(1, 1);
        assert!(!log.more.clear());
        log.ask_for_watermark();
        assert!(log.router.clear() && !log.more.clear());
        log.set_watermark_ms(2, 2);
        assert!(log.more.clear());
        log.set_watermark_ms(3, 3);
        assert!(!log.more.clear());
    }

    #[test]
    fn the_time_after_an_offset_is_known_to_ten_seconds() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Arc::new(Directory::open(dir.path()).unwrap());
        let log = Log::new(directory, Vec::new(), (0, 0), Health::default()).unwrap();
        log.add_segment(Segment { first: 1, first_ms: 0, marker: [0; 8], bytes: 0, copy: 0 });
        for n in 1..=100 {
            log.committed(n, 1, (n, n * 1_000));
        }
        for offset in 0..100 {
            let exact = (offset + 1) * 1_000;
            let found = log.received_after(offset).unwrap();
            assert!(found <= exact && exact < found + MARK_EVERY_MS, "{offset}: {found}");
        }
        assert_eq!(log.received_after(100), None);
    }
}
