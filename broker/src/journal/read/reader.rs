//! Reads the batches after an offset, from segment to segment, up to the last one on disk.

use crate::journal::folder::segment_path;
use crate::journal::format::record::Content;
use crate::journal::format::scan::{Found, Scan};
use crate::journal::log::{Log, Segment};
use std::fs::File;
use std::io;
use zibrato::wire::{BatchId, Stamp};

/// A batch as it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch<'a> {
    /// Its offset and the time when it was received.
    pub(crate) stamp: Stamp,
    /// Its id.
    pub(crate) id: BatchId,
    /// Its level.
    pub(crate) level: &'a str,
    /// Its body.
    pub(crate) body: &'a [u8],
}

/// Whether a reader continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Continue with the next batch.
    On,
    /// Stop before the next batch.
    Stop,
}

/// The place where reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// At the last batch on disk.
    AtEnd,
    /// Before the last batch on disk.
    Before,
}

/// The index of the first segment that begins with this offset or a later one. After a failure of the
/// disk, several may begin with the same one.
fn begins_at(segments: &[Segment], first: u64) -> usize {
    segments.partition_point(|segment| segment.first < first)
}

/// A position in the journal.
#[derive(Debug)]
pub(crate) struct Reader {
    last: u64,
    gone: u64,
    open: Option<(Segment, Scan<File>)>,
}

impl Reader {
    /// After the batch with this offset; 0 is the beginning.
    pub(crate) const fn after(offset: u64) -> Self {
        Self { last: offset, gone: 0, open: None }
    }

    /// Frees a large buffer until the next read.
    pub(crate) fn rest(&mut self) {
        if let Some((_, scan)) = &mut self.open {
            scan.rest();
        }
    }

    /// The offset of the last batch that was read or found missing.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// Returns the number of missing batches since the last call.
    pub(crate) const fn take_gone(&mut self) -> u64 {
        std::mem::replace(&mut self.gone, 0)
    }

    /// Hands batches to `visit` until it stops, or the end is reached.
    ///
    /// # Errors
    /// When a segment cannot be read. The call can be repeated.
    pub(crate) fn read(
        &mut self,
        log: &Log,
        mut visit: impl FnMut(Batch<'_>) -> Flow,
    ) -> io::Result<Stopped> {
        let segments = log.outline().segments;
        let mut rest = self.resume(log, &segments)?;
        while self.open.is_some() {
            if self.read_segment(&mut visit)? == Flow::Stop {
                return Ok(Stopped::Before);
            }
            // The last segment stays open, because batches are appended to it.
            if rest.is_empty() {
                break;
            }
            rest = self.enter_first(log, rest)?;
        }
        Ok(Stopped::AtEnd)
    }

    /// Continues in the open segment, or opens the next one; returns those after it.
    fn resume<'s>(&mut self, log: &Log, segments: &'s [Segment]) -> io::Result<&'s [Segment]> {
        if let Some((open, scan)) = &mut self.open {
            let same = |s: &Segment| (s.marker, s.copy) == (open.marker, open.copy);
            let rest = match segments.iter().position(same) {
                Some(at) => {
                    scan.grow(segments[at].bytes);
                    at + 1
                }
                // If it was deleted, the open file can still be read to its end. If it was written
                // again, it is among the following segments.
                None => begins_at(segments, open.first),
            };
            return Ok(segments.get(rest..).unwrap_or_default());
        }
        let after = segments.partition_point(|segment| segment.first <= self.last + 1);
        let first = after.checked_sub(1).and_then(|at| segments.get(at)).map_or(0, |s| s.first);
        self.enter_first(log, segments.get(begins_at(segments, first)..).unwrap_or_default())
    }

    /// Opens the first of these segments that exists, and returns those after it.
    fn enter_first<'s>(&mut self, log: &Log, segments: &'s [Segment]) -> io::Result<&'s [Segment]> {
        let mut rest = segments;
        while let Some((segment, after)) = rest.split_first() {
            rest = after;
            match File::open(segment_path(log.path(), segment.first, segment.marker)) {
                Ok(file) => {
                    let scan = Scan::new(file, segment.marker, segment.bytes);
                    self.open = Some((*segment, scan));
                    return Ok(rest);
                }
                // The broker has deleted it meanwhile; the next offset shows which batches are missing.
                // If it is missing for another reason, it is an error, because it may come back with its
                // folder.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !log.has(segment) => {}
                Err(error) => return Err(error),
            }
        }
        self.open = None;
        Ok(rest)
    }

    fn read_segment(&mut self, visit: &mut impl FnMut(Batch<'_>) -> Flow) -> io::Result<Flow> {
        let Some((_, scan)) = &mut self.open else { return Ok(Flow::On) };
        while let Some(found) = scan.next()? {
            let Found::Record { record, .. } = found else { continue };
            match record.content {
                Content::Batch { id, level, body } if record.offset > self.last => {
                    self.gone += record.offset - self.last - 1;
                    self.last = record.offset;
                    let stamp = Stamp { offset: record.offset, received_ms: record.received_ms };
                    if visit(Batch { stamp, id, level, body }) == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                }
                Content::Resumed { was } if record.offset > self.last => {
                    self.gone += was.saturating_sub(self.last);
                    self.last = record.offset;
                }
                _ => {}
            }
        }
        Ok(Flow::On)
    }
}
