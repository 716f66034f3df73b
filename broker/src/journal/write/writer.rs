//! Appends batches to the last segment, and begins new segments.

mod repair;

use crate::journal::config::SegmentLimits;
use crate::journal::error::is_full;
use crate::journal::folder::{Directory, segment_name};
use crate::journal::format::record::{self, Marker};
use crate::journal::log::{Log, Segment};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use zibrato::window::Dedup;
use zibrato::wire::BatchId;

/// A batch to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// Its offset: that of the previous batch plus one.
    pub(crate) offset: u64,
    /// The time when it was received, in unix milliseconds.
    pub(crate) received_ms: u64,
    /// Its level.
    pub(crate) level: &'a str,
    /// Its id.
    pub(crate) id: BatchId,
    /// Its body.
    pub(crate) body: &'a [u8],
}

/// The segment was deleted or truncated while it was written. This is inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("its last segment was deleted or truncated")]
pub(crate) struct SegmentLost;

/// Owns the files that are written.
#[derive(Debug)]
pub(crate) struct Writer {
    directory: Arc<Directory>,
    log: Arc<Log>,
    open: Option<OpenSegment>,
    /// Whether another broker has locked the journal, or has written to it.
    is_locked_out: bool,
    /// Segments that are no longer read, but could not be deleted yet.
    to_delete: Vec<(u64, Marker)>,
    /// The sequences on disk, for the beginning of the next segment.
    sequences: Dedup,
    /// The last batch before a gap in the offsets where no batch is missing, until the gap is on disk.
    resumed: Option<u64>,
    limits: SegmentLimits,
    buffer: Vec<u8>,
}

/// The segment that is written to.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub(crate) file: File,
    pub(crate) first: u64,
    pub(crate) first_ms: u64,
    pub(crate) marker: Marker,
    /// The number of its bytes that are on disk.
    pub(crate) bytes: u64,
    /// Whether none of its batches is on disk yet, so that readers do not know the segment.
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
    /// Continues in `open`, or in a new segment. `resumed` is the last batch, if the next offset does
    /// not follow it immediately.
    pub(crate) fn new(
        directory: Arc<Directory>,
        log: Arc<Log>,
        open: Option<OpenSegment>,
        (sequences, resumed): (Dedup, Option<u64>),
        limits: SegmentLimits,
    ) -> Self {
        let (to_delete, buffer) = (Vec::new(), Vec::new());
        let is_locked_out = false;
        Self { directory, log, open, is_locked_out, to_delete, sequences, resumed, limits, buffer }
    }

    /// Writes batches, all or none. When it returns, they are on disk, under the journal's path.
    ///
    /// # Errors
    /// When the disk fails, or the folder is missing. The call can be repeated with the same batches.
    pub(crate) fn commit(&mut self, entries: &[Entry<'_>]) -> io::Result<()> {
        self.repair()?;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
        self.keep_lock()?;
        let bytes: usize = entries.iter().map(|e| record::batch_bytes(e.level, e.body)).sum();
        let mut open = match self.open.take() {
            Some(open) if self.has_room(&open, bytes as u64, first.received_ms) => open,
            _ => self.begin_segment(first)?,
        };
        self.encode(open.marker, entries);
        if let Err(error) = open.file.write_all_at(&self.buffer, open.bytes) {
            // Its incomplete bytes are overwritten, or cut off when the journal is opened again.
            let cut = open.file.set_len(open.bytes);
            tracing::debug!(event = "journal_cut", ok = cut.is_ok());
            // A full disk has no room for another segment. Any other error may concern only this file.
            if is_full(error.kind()) {
                self.open = Some(open);
            } else {
                self.abandon(&open);
            }
            return Err(error);
        }
        if let Err(error) = open.file.sync_data() {
            // It is unknown how many of the bytes are on disk, and the system reports the error
            // only once. So this segment is abandoned, and the batches are written to a new one.
            let cut = open.file.set_len(open.bytes);
            tracing::debug!(event = "journal_cut", ok = cut.is_ok());
            self.abandon(&open);
            return Err(error);
        }
        let bytes = open.bytes + self.buffer.len() as u64;
        let held = self.directory.check_location().and_then(|()| {
            Ok(self.directory.folder()?.holds(&open.name(), &open.file, bytes)? == Some(true))
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
            self.sequences.insert(entry.id.publisher, entry.level, entry.id.sequence);
        }
        if self.buffer.capacity() > 8 << 20 {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Abandons a segment that failed. If no batch in it is on disk, it is deleted.
    fn abandon(&mut self, open: &OpenSegment) {
        if open.is_fresh {
            self.to_delete.push((open.first, open.marker));
            // Deleting is retried later.
            drop(self.delete_pending());
        }
    }

    /// Continues at least after this offset, because readers have seen the offsets up to it.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        if let Some(end) = self.log.skip_to(offset) {
            self.resumed.get_or_insert(end);
        }
    }

    /// Abandons the open segment as if the disk had failed.
    #[cfg(test)]
    pub(crate) fn abandon_segment(&mut self) {
        self.open = None;
    }

    /// Limits segments to this many bytes, if their limit is higher.
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
        record::put_sequences(&mut bytes, marker, stamp, self.sequences.by_idleness());
        let written = file.write_all_at(&bytes, 0).and_then(|()| file.sync_data());
        let (first, first_ms, bytes) = (first.offset, first.received_ms, bytes.len() as u64);
        let open = OpenSegment { file, first, first_ms, marker, bytes, is_fresh: true };
        if let Err(error) = written {
            self.abandon(&open);
            return Err(error);
        }
        Ok(open)
    }

    /// Deletes the oldest segments, except the last one.
    ///
    /// # Errors
    /// When one cannot be deleted. The next call tries it again.
    pub(crate) fn delete_oldest(&mut self, count: usize) -> io::Result<()> {
        let segments = self.log.outline().segments;
        for segment in segments.iter().take(count.min(segments.len().saturating_sub(1))) {
            // It is removed from the log first. A reader that still reads it keeps the file open.
            self.log.remove_oldest(1);
            self.to_delete.push((segment.first, segment.marker));
        }
        self.delete_pending()
    }

    /// Deletes the files of segments that are no longer read.
    ///
    /// # Errors
    /// When one cannot be deleted. The next call tries it again.
    pub(crate) fn delete_pending(&mut self) -> io::Result<()> {
        let mut deleted = Ok(());
        let directory = &self.directory;
        self.to_delete.retain(|(first, marker)| match directory.delete_segment(*first, *marker) {
            Ok(()) => false,
            Err(error) => {
                deleted = Err(error);
                true
            }
        });
        deleted
    }

    /// The folder of the journal.
    pub(crate) const fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// The state that all threads share.
    pub(crate) const fn log(&self) -> &Arc<Log> {
        &self.log
    }
}
