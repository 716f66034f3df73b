//! Reads what one answer has room for.

use crate::journal::{Batch, Flow, Log, Reader, Stopped};
use std::io;
use zibrato::wire::{Fetched, Position, WantedLevels, batch_topic};
use zmq::Message;

/// About as many bytes an answer has at most, whatever a reader asks for.
const MAX_BYTES: u64 = 4 << 20;

/// As much is looked through for one answer, so that everybody has a turn.
const MAX_LOOKED_AT: u64 = 16 << 20;

/// The most batches in one answer.
const MAX_BATCHES: usize = 10_000;

/// What was found for one answer.
pub(crate) struct FetchResult {
    /// Its head.
    pub(crate) head: Fetched,
    /// Four frames for each batch.
    pub(crate) frames: Vec<Message>,
    /// The reader that this tells that it was forgotten.
    pub(crate) tells: Option<String>,
}

impl FetchResult {
    /// Whether there is nothing to tell but the time.
    pub(crate) fn is_empty(&self) -> bool {
        let Fetched { gone, forgotten, complete_until_ms, .. } = self.head;
        self.frames.is_empty() && gone == 0 && !forgotten && complete_until_ms.is_some()
    }
}

/// Goes on with `reader`, through about `max_bytes` of the batches of these levels; through none of them
/// if that is 0.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) fn read_batches(
    log: &Log,
    reader: &mut Reader,
    levels: &WantedLevels,
    max_bytes: u64,
) -> io::Result<FetchResult> {
    // Asked before the end is looked for: what comes in between is later than this.
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
