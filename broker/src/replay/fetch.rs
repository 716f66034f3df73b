//! Reads the batches of one answer.

use crate::journal::{Batch, Flow, Log, Reader, Stopped};
use std::io;
use zibrato::wire::{Fetched, Position, WantedLevels, batch_topic};
use zmq::Message;

/// Approximate maximum size of an answer in bytes, even if a reader requests more.
const MAX_BYTES: u64 = 4 << 20;

/// Maximum number of bytes that are searched for one answer, so that other readers do not wait too
/// long.
const MAX_LOOKED_AT: u64 = 16 << 20;

/// Maximum number of batches in an answer.
const MAX_BATCHES: usize = 10_000;

/// The content of an answer.
pub(crate) struct FetchResult {
    /// Its head.
    pub(crate) head: Fetched,
    /// Four frames for each batch.
    pub(crate) frames: Vec<Message>,
    /// The name of the reader, if this answer tells it that its cursor was forgotten.
    pub(crate) tells: Option<String>,
}

impl FetchResult {
    /// Whether it contains nothing but the watermark.
    pub(crate) fn is_empty(&self) -> bool {
        let Fetched { gone, forgotten, complete_until_ms, .. } = self.head;
        self.frames.is_empty() && gone == 0 && !forgotten && complete_until_ms.is_some()
    }
}

/// Reads about `max_bytes` of batches of these levels, from the position of `reader` on. If `max_bytes`
/// is 0, it reads nothing.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) fn read_batches(
    log: &Log,
    reader: &mut Reader,
    levels: &WantedLevels,
    max_bytes: u64,
) -> io::Result<FetchResult> {
    // Read before the end of the journal: batches that are written in between have later stamps.
    let complete_until_ms = log.watermark_ms();
    let max_bytes = max_bytes.min(MAX_BYTES);
    let (mut bytes, mut looked_at, mut frames) = (0, 0, Vec::new());
    if max_bytes == 0 {
        let next = Position { journal: log.id(), offset: reader.last() };
        let head =
            Fetched { next, complete_until_ms: None, end: log.end(), gone: 0, forgotten: false };
        return Ok(FetchResult { head, frames, tells: None });
    }
    let stopped = reader.read(log, |batch| {
        let Batch { stamp, id, level, body } = batch;
        looked_at += body.len() as u64 + 64;
        if levels.wants(level) {
            bytes += body.len() as u64 + 64;
            frames.push(Message::from(batch_topic(level).as_str()));
            frames.push(Message::from(&id.encode()[..]));
            frames.push(Message::from(&stamp.encode()[..]));
            frames.push(Message::from(body));
        }
        let enough = (bytes > 0 && bytes >= max_bytes)
            || looked_at >= MAX_LOOKED_AT
            || frames.len() >= 4 * MAX_BATCHES;
        if enough { Flow::Stop } else { Flow::On }
    })?;
    let complete_until_ms = (stopped == Stopped::AtEnd).then_some(complete_until_ms);
    let next = Position { journal: log.id(), offset: reader.last() };
    let head = Fetched {
        next,
        complete_until_ms,
        end: log.end(),
        gone: reader.take_gone(),
        forgotten: false,
    };
    Ok(FetchResult { head, frames, tells: None })
}
