//! Reads the records of a segment one by one, and skips damage up to the next intact one.

use super::record::{self, HEAD_BYTES, Marker, Record};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Number of bytes that are read at a time.
const CHUNK: usize = 256 << 10;

/// A source of the bytes of a segment.
pub(crate) trait Source {
    /// Reads from position `at`, at most as many bytes as `to` has room for. Returns 0 at the end.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read_at(&self, to: &mut [u8], at: u64) -> io::Result<usize>;
}

impl Source for File {
    fn read_at(&self, to: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self, to, at)
    }
}

impl Source for &[u8] {
    fn read_at(&self, to: &mut [u8], at: u64) -> io::Result<usize> {
        let from = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let bytes = from.len().min(to.len());
        to[..bytes].copy_from_slice(&from[..bytes]);
        Ok(bytes)
    }
}

/// The content at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// An intact record.
    Record {
        /// Its position.
        at: u64,
        /// The record.
        record: Record<'a>,
    },
    /// Bytes that are not a record.
    Damage {
        /// The position of the first of them.
        from: u64,
        /// The position of the next intact record, or the end of the segment.
        to: u64,
    },
}

/// A position in a segment.
#[derive(Debug)]
pub(crate) struct Scan<S> {
    source: S,
    marker: Marker,
    at: u64,
    end: u64,
    /// Its first `filled` bytes were read from `buffer_at` on.
    buffer: Vec<u8>,
    filled: usize,
    buffer_at: u64,
}

impl<S: Source> Scan<S> {
    /// A scan from the beginning of a segment to the position `end`.
    pub(crate) const fn new(source: S, marker: Marker, end: u64) -> Self {
        Self { source, marker, at: 0, end, buffer: Vec::new(), filled: 0, buffer_at: 0 }
    }

    /// Extends the part of the segment that is read up to `end`. A smaller `end` changes nothing.
    pub(crate) fn grow(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// Frees a large buffer until the next read.
    pub(crate) fn rest(&mut self) {
        if self.buffer.len() > CHUNK {
            (self.buffer, self.filled) = (Vec::new(), 0);
        }
    }

    /// The position of the next record, if there is one.
    pub(crate) const fn at(&self) -> u64 {
        self.at
    }

    /// Reads the next record, or skips damage; `None` at the end.
    ///
    /// # Errors
    /// When the segment cannot be read.
    pub(crate) fn next(&mut self) -> io::Result<Option<Found<'_>>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let from = self.at;
        if let Some(bytes) = self.whole_record(from)? {
            self.at = from + bytes as u64;
            let start = self.index(from);
            let payload = &self.buffer[start + HEAD_BYTES..start + bytes];
            // This succeeds, because `whole_record` has read it.
            let record = record::read(payload);
            return Ok(record.map(|record| Found::Record { at: from, record }));
        }
        let to = self.next_whole_record(from + 1)?;
        self.at = to;
        Ok(Some(Found::Damage { from, to }))
    }

    /// The size of the intact record at `at`, which is now in the buffer; `None` if there is none.
    fn whole_record(&mut self, at: u64) -> io::Result<Option<usize>> {
        let marker = self.marker;
        let Some(head) = record::head(self.bytes(at, HEAD_BYTES)?, marker) else {
            return Ok(None);
        };
        let bytes = HEAD_BYTES + head.payload;
        if bytes as u64 > self.end - at {
            return Ok(None);
        }
        let payload = self.bytes(at, bytes)?.get(HEAD_BYTES..).unwrap_or_default();
        let whole = head.fits(payload) && record::read(payload).is_some();
        Ok(whole.then_some(bytes))
    }

    /// The position of the next intact record, or the end.
    fn next_whole_record(&mut self, mut at: u64) -> io::Result<u64> {
        loop {
            let marker = self.marker;
            let bytes = self.bytes(at, CHUNK)?;
            if bytes.len() < HEAD_BYTES {
                return Ok(self.end);
            }
            match memchr::memmem::find(bytes, &marker) {
                Some(found) => {
                    at += found as u64;
                    if self.whole_record(at)?.is_some() {
                        return Ok(at);
                    }
                    at += 1;
                }
                // The last bytes may be the beginning of a marker.
                None => at += (bytes.len() - (marker.len() - 1)) as u64,
            }
        }
    }

    /// The bytes from position `at`: `wanted` of them, or fewer at the end.
    fn bytes(&mut self, at: u64, wanted: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = wanted.min(left);
        let filled_to = self.buffer_at + self.filled as u64;
        if at < self.buffer_at || at + wanted as u64 > filled_to {
            self.fill(at, wanted.max(CHUNK).min(left))?;
        }
        let start = self.index(at);
        let end = self.filled.min(start + wanted);
        Ok(&self.buffer[start.min(end)..end])
    }

    fn fill(&mut self, at: u64, bytes: usize) -> io::Result<()> {
        (self.filled, self.buffer_at) = (0, at);
        // A buffer for one large record is not kept.
        if self.buffer.len() < bytes || self.buffer.len() > 4 * CHUNK.max(bytes) {
            self.buffer = vec![0; bytes];
        }
        while self.filled < bytes {
            let to = &mut self.buffer[self.filled..bytes];
            match self.source.read_at(to, at + self.filled as u64) {
                Ok(0) => break,
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.filled = 0;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn index(&self, at: u64) -> usize {
        usize::try_from(at.saturating_sub(self.buffer_at)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests;
