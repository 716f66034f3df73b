//! Appends batches to the last segment, begins the next one, and leaves nothing half done.

mod mend;

use super::directory::{Directory, segment_name};
use super::log::{Log, Segment};
use super::record::{self, Marker};
use crate::seen::Seen;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use zibrato::wire::BatchId;

/// A batch to be made safe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// Its offset, one more than that of the batch before it.
    pub(crate) offset: u64,
    /// When it was received, in unix milliseconds.
    pub(crate) received_ms: u64,
    /// Its level.
    pub(crate) level: &'a str,
    /// Its id.
    pub(crate) id: BatchId,
    /// Its body.
    pub(crate) body: &'a [u8],
}

/// Somebody deleted or cut the segment while it was written. Inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("its last segment was deleted or cut")]
pub(crate) struct SegmentLost;

/// Owns the files.
#[derive(Debug)]
pub(crate) struct Writer {
    directory: Arc<Directory>,
    log: Arc<Log>,
    open: Option<OpenSegment>,
    /// Whether another broker has the journal, or has written to it.
    is_locked_out: bool,
    /// Segments that nobody reads any more, and that could not be deleted yet.
    doomed: Vec<(u64, Marker)>,
    /// What has been made safe, for the beginning of the next segment.
    sequences: Seen,
    /// The last whole batch before a gap that is no loss, until that has been written down.
    resumed: Option<u64>,
    limits: SegmentLimits,
    buffer: Vec<u8>,
}

/// When the next segment is begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentLimits {
    /// Beyond this many bytes.
    pub(crate) bytes: u64,
    /// After this many milliseconds.
    pub(crate) age_ms: u64,
}

/// The segment that is written to.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub(crate) file: File,
    pub(crate) first: u64,
    pub(crate) first_ms: u64,
    pub(crate) marker: Marker,
    /// How many of its bytes are safe.
    pub(crate) bytes: u64,
    /// Whether no batch in it is safe yet: readers do not know of it then.
    pub(crate) is_fresh: bool,
}

impl OpenSegment {
    fn name(&self) -> String {
        segment_name(self.first, self.marker)
    }

    const fn segment(&self) -> Segment {
        let Self { first, first_ms, marker, bytes, .. } = *self;
        Segment { first, first_ms, marker, bytes, copy: 0 }
    }
}

impl Writer {
    /// Goes on in `open`, or in a new segment. `resumed` is the last whole batch if the offsets do
    /// not go on right after it.
    pub(crate) fn new(
        directory: Arc<Directory>,
        log: Arc<Log>,
        open: Option<OpenSegment>,
        (sequences, resumed): (Seen, Option<u64>),
        limits: SegmentLimits,
    ) -> Self {
        let (doomed, buffer) = (Vec::new(), Vec::new());
        let is_locked_out = false;
        Self { directory, log, open, is_locked_out, doomed, sequences, resumed, limits, buffer }
    }

    /// Makes batches safe, all of them or none: they are on disk then, in a file whose name leads to
    /// them.
    ///
    /// # Errors
    /// When the disk refuses, or the folder is not in its place; it can be tried again with the same
    /// batches.
    pub(crate) fn commit(&mut self, entries: &[Entry<'_>]) -> io::Result<()> {
        self.mend()?;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
        self.keep_lock()?;
        let bytes: usize = entries.iter().map(|e| record::batch_bytes(e.level, e.body)).sum();
        let mut open = match self.open.take() {
            Some(open) if self.has_room(&open, bytes as u64, first.received_ms) => open,
            _ => self.begin_segment(first)?,
        };
        self.encode(open.marker, entries);
        if let Err(error) = open.file.write_all_at(&self.buffer, open.bytes) {
            // What was written of it is written over, or cut when the journal is opened again.
            let cut = open.file.set_len(open.bytes);
            tracing::debug!(event = "journal_cut", ok = cut.is_ok());
            // A full disk has no room for another segment. Whatever else it is may be this file's.
            if is_full(error.kind()) {
                self.open = Some(open);
            } else {
                self.give_up(&open);
            }
            return Err(error);
        }
        if let Err(error) = open.file.sync_data() {
            // Nobody knows what of it is on disk, and the system says so only once. So this segment
            // is left alone, and the batches go into a new one.
            let cut = open.file.set_len(open.bytes);
            tracing::debug!(event = "journal_cut", ok = cut.is_ok());
            self.give_up(&open);
            return Err(error);
        }
        let bytes = open.bytes + self.buffer.len() as u64;
        let held = self.directory.check_place().and_then(|()| {
            Ok(self.directory.home()?.holds(&open.name(), &open.file, bytes)? == Some(true))
        });
        if !matches!(held, Ok(true)) {
            self.open = Some(open);
            held?;
            return Err(io::Error::other(SegmentLost));
        }
        open.bytes = bytes;
        if std::mem::take(&mut open.is_fresh) {
            self.log.add_segment(Segment { bytes: 0, ..open.segment() });
        }
        self.log.committed(open.bytes, entries.len() as u64, (last.offset, last.received_ms));
        self.open = Some(open);
        self.resumed = None;
        for entry in entries {
            self.sequences.judge(entry.id.publisher, entry.level, entry.id.sequence);
        }
        if self.buffer.capacity() > 8 << 20 {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Leaves a segment that failed. One in which nothing is safe is deleted.
    fn give_up(&mut self, open: &OpenSegment) {
        if open.is_fresh {
            self.doomed.push((open.first, open.marker));
            // It is tried again.
            drop(self.delete_doomed());
        }
    }

    /// Goes on after this offset at least: somebody has seen those before it.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        if let Some(end) = self.log.skip_to(offset) {
            self.resumed.get_or_insert(end);
        }
    }

    /// Leaves the open segment as if the disk had refused it.
    #[cfg(test)]
    pub(crate) fn give_up_segment(&mut self) {
        self.open = None;
    }

    /// Begins the next segment beyond this many bytes, if it would not have been begun before.
    pub(crate) fn limit_segments(&mut self, bytes: u64) {
        self.limits.bytes = self.limits.bytes.min(bytes.max(1));
    }

    fn has_room(&self, open: &OpenSegment, bytes: u64, now_ms: u64) -> bool {
        open.bytes + bytes <= self.limits.bytes
            && now_ms.saturating_sub(open.first_ms) <= self.limits.age_ms
    }

    fn encode(&mut self, marker: Marker, entries: &[Entry<'_>]) {
        self.buffer.clear();
        if let (Some(was), Some(first)) = (self.resumed, entries.first()) {
            let stamp = (first.offset - 1, first.received_ms);
            record::put_resumed(&mut self.buffer, marker, stamp, was);
        }
        for e in entries {
            let content = (e.level, e.id, e.body);
            record::put_batch(&mut self.buffer, marker, (e.offset, e.received_ms), content);
        }
    }

    fn begin_segment(&mut self, first: &Entry<'_>) -> io::Result<OpenSegment> {
        let (file, marker) = self.directory.create_segment(first.offset)?;
        let mut bytes = Vec::new();
        let stamp = (first.offset - 1, first.received_ms);
        let pairs = self.sequences.by_idleness();
        record::put_sequences(&mut bytes, marker, stamp, pairs.into_iter());
        let written = file.write_all_at(&bytes, 0).and_then(|()| file.sync_data());
        let (first, first_ms, bytes) = (first.offset, first.received_ms, bytes.len() as u64);
        let open = OpenSegment { file, first, first_ms, marker, bytes, is_fresh: true };
        if let Err(error) = written {
            self.give_up(&open);
            return Err(error);
        }
        Ok(open)
    }

    /// Deletes the oldest segments, except the last one.
    ///
    /// # Errors
    /// When one cannot be deleted; it is tried again the next time.
    pub(crate) fn delete_oldest(&mut self, count: usize) -> io::Result<()> {
        let segments = self.log.outline().segments;
        for segment in segments.iter().take(count.min(segments.len().saturating_sub(1))) {
            // Readers are told first. One that is still at it keeps the file open.
            self.log.remove_oldest(1);
            self.doomed.push((segment.first, segment.marker));
        }
        self.delete_doomed()
    }

    /// Deletes files of which nobody reads any more.
    ///
    /// # Errors
    /// When one cannot be deleted; it is tried again the next time.
    pub(crate) fn delete_doomed(&mut self) -> io::Result<()> {
        let mut deleted = Ok(());
        let directory = &self.directory;
        self.doomed.retain(|(first, marker)| match directory.delete_segment(*first, *marker) {
            Ok(()) => false,
            Err(error) => {
                deleted = Err(error);
                true
            }
        });
        deleted
    }

    /// The folder, and what is known of where it is.
    pub(crate) const fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// What everybody may know.
    pub(crate) const fn log(&self) -> &Arc<Log> {
        &self.log
    }
}

/// Whether the disk, or what its user may have of it, is full.
pub(crate) const fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
