//! The format of a record. Pure: bytes in, bytes out.
//!
//! ```text
//! marker   8   random, the same for a segment; part of its file name
//! length   4   of what follows the checksum
//! checksum 4   CRC-32 of length and what follows
//! kind     1
//! offset   8   of the batch, or, for other kinds, of the last batch before it
//! received 8   unix milliseconds, the broker's clock
//! …            by kind
//! ```
//!
//! Numbers are big endian. After damage, a reader searches for the marker. Publishers cannot know it,
//! so no body can pretend to be a record.

use zibrato::wire::{BatchId, PublisherId};

/// The first bytes of every record of a segment.
pub(crate) type Marker = [u8; 8];

/// Marker, length and checksum.
pub(crate) const HEAD_BYTES: usize = 16;

/// Kind, offset and time of receipt.
const FIXED_BYTES: usize = 17;

/// Approximate maximum size of a record of sequences, in bytes.
const SEQUENCES_TARGET_BYTES: usize = 256 << 10;

/// Maximum offset. No journal reaches it, so a higher offset was not written by a broker.
pub(crate) const MAX_OFFSET: u64 = u64::MAX >> 1;

const BATCH: u8 = 1;
const SEQUENCES: u8 = 2;
const RESUMED: u8 = 3;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// The offset of the batch, or of the last batch before this record.
    pub(crate) offset: u64,
    /// When it was received, in unix milliseconds.
    pub(crate) received_ms: u64,
    /// Its content.
    pub(crate) content: Content<'a>,
}

/// The content of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    /// A batch.
    Batch {
        /// Its id.
        id: BatchId,
        /// Its level.
        level: &'a str,
        /// Its unchanged body.
        body: &'a [u8],
    },
    /// The sequences that were accepted before this segment, or a part of them. Segments begin with
    /// these records.
    Sequences {
        /// Whether this is the last part.
        last: bool,
        /// Publisher, sequence and level of each pair, one after the other.
        pairs: &'a [u8],
    },
    /// The journal was opened with `was` as its last complete batch, and continues after `offset`.
    Resumed {
        /// The offset of that batch.
        was: u64,
    },
}

/// Appends the record of a batch.
pub(crate) fn put_batch(
    to: &mut Vec<u8>,
    marker: Marker,
    (offset, received_ms): (u64, u64),
    (level, id, body): (&str, BatchId, &[u8]),
) {
    let begun = begin(to, marker, BATCH, offset, received_ms);
    to.extend_from_slice(&id.encode());
    put_level(to, level);
    to.extend_from_slice(body);
    end(to, begun);
}

/// The size of the record of a batch, in bytes.
pub(crate) const fn batch_bytes(level: &str, body: &[u8]) -> usize {
    HEAD_BYTES + FIXED_BYTES + BatchId::BYTES + 1 + level.len() + body.len()
}

/// Appends the records of the sequences accepted so far: one or more.
pub(crate) fn put_sequences<'p>(
    to: &mut Vec<u8>,
    marker: Marker,
    (offset, received_ms): (u64, u64),
    pairs: impl Iterator<Item = (PublisherId, &'p str, u64)>,
) {
    let mut pairs = pairs.peekable();
    loop {
        let begun = begin(to, marker, SEQUENCES, offset, received_ms);
        let last_at = to.len();
        to.push(0);
        while to.len() - begun < SEQUENCES_TARGET_BYTES {
            let Some((publisher, level, sequence)) = pairs.next() else { break };
            to.extend_from_slice(&BatchId { publisher, sequence }.encode());
            put_level(to, level);
        }
        let last = pairs.peek().is_none();
        if let Some(place) = to.get_mut(last_at) {
            *place = u8::from(last);
        }
        end(to, begun);
        if last {
            return;
        }
    }
}

/// Appends the record of a gap in the offsets where no batch is missing.
pub(crate) fn put_resumed(
    to: &mut Vec<u8>,
    marker: Marker,
    (offset, received_ms): (u64, u64),
    was: u64,
) {
    let begun = begin(to, marker, RESUMED, offset, received_ms);
    to.extend_from_slice(&was.to_be_bytes());
    end(to, begun);
}

fn begin(to: &mut Vec<u8>, marker: Marker, kind: u8, offset: u64, received_ms: u64) -> usize {
    let begun = to.len();
    to.extend_from_slice(&marker);
    to.extend_from_slice(&[0; HEAD_BYTES - 8]);
    to.push(kind);
    to.extend_from_slice(&offset.to_be_bytes());
    to.extend_from_slice(&received_ms.to_be_bytes());
    begun
}

fn end(to: &mut [u8], begun: usize) {
    let payload_at = begun + HEAD_BYTES;
    // The largest frame is far below 4 GiB.
    let length = u32::try_from(to.len() - payload_at).unwrap_or(u32::MAX).to_be_bytes();
    let checksum = checksum(length, &to[payload_at..]).to_be_bytes();
    to[begun + 8..begun + 12].copy_from_slice(&length);
    to[begun + 12..payload_at].copy_from_slice(&checksum);
}

fn put_level(to: &mut Vec<u8>, level: &str) {
    // Levels have at most 64 bytes.
    to.push(u8::try_from(level.len()).unwrap_or(u8::MAX));
    to.extend_from_slice(level.as_bytes());
}

/// The checksum of the length and of what follows the checksum.
pub(crate) fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

/// Reads the head of a record; `None` if it is not of this segment.
pub(crate) fn head(bytes: &[u8], marker: Marker) -> Option<Head> {
    let (found, rest) = bytes.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (checksum, _) = rest.split_first_chunk::<4>()?;
    let payload = u32::from_be_bytes(*length) as usize;
    (*found == marker && payload >= FIXED_BYTES).then_some(Head {
        length: *length,
        payload,
        checksum: u32::from_be_bytes(*checksum),
    })
}

/// The head of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    length: [u8; 4],
    /// Number of bytes after the head.
    pub(crate) payload: usize,
    checksum: u32,
}

impl Head {
    /// Whether length and checksum of this head match `payload`.
    pub(crate) fn fits(self, payload: &[u8]) -> bool {
        payload.len() == self.payload && checksum(self.length, payload) == self.checksum
    }
}

/// Reads the payload after the head; `None` if it is not valid.
pub(crate) fn read(payload: &[u8]) -> Option<Record<'_>> {
    let (&kind, rest) = payload.split_first()?;
    let (offset, rest) = take_u64(rest)?;
    let (received_ms, rest) = take_u64(rest)?;
    if offset > MAX_OFFSET {
        return None;
    }
    let content = match kind {
        BATCH => {
            let (id, level, body) = take_pair(rest)?;
            Content::Batch { id, level, body }
        }
        SEQUENCES => {
            let (&last, pairs) = rest.split_first()?;
            Content::Sequences { last: last == 1, pairs }
        }
        RESUMED => Content::Resumed { was: take_u64(rest)?.0 },
        _ => return None,
    };
    Some(Record { offset, received_ms, content })
}

/// Publisher, level and sequence, as far as they can be read.
pub(crate) fn pairs(mut bytes: &[u8]) -> impl Iterator<Item = (PublisherId, &str, u64)> {
    std::iter::from_fn(move || {
        let (id, level, rest) = take_pair(bytes)?;
        bytes = rest;
        Some((id.publisher, level, id.sequence))
    })
}

fn take_pair(bytes: &[u8]) -> Option<(BatchId, &str, &[u8])> {
    let (id, rest) = bytes.split_at_checked(BatchId::BYTES)?;
    let (&length, rest) = rest.split_first()?;
    let (level, rest) = rest.split_at_checked(usize::from(length))?;
    Some((BatchId::decode(id).ok()?, std::str::from_utf8(level).ok()?, rest))
}

fn take_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests;
