//! Recovery: opens a journal in any state. It cuts off an incomplete end, skips damaged records, and
//! reads the sequences that were accepted.

use super::writer::{OpenSegment, Writer};
use crate::journal::config::SegmentLimits;
use crate::journal::error::JournalError;
use crate::journal::folder::{self, Directory, SegmentFile};
use crate::journal::format::record;
use crate::journal::log::{Health, Log, Segment};
use crate::journal::read::{first_time, put_abandoned_first, survey};
use std::io;
use std::path::Path;
use std::sync::Arc;
use zibrato::window::Dedup;

/// The size of the smallest record of a batch, in bytes.
const MIN_RECORD_BYTES: u64 = record::batch_bytes("i", b"") as u64;

/// An opened journal.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The writer, which appends to the journal.
    pub(crate) writer: Writer,
    /// The sequences that had been accepted.
    pub(crate) sequences: Dedup,
}

/// The end of the journal when it was opened.
#[derive(Debug)]
struct Ending {
    sequences: Dedup,
    /// The last complete batch.
    last: u64,
    /// The first offset that no reader can have seen.
    unused: u64,
    last_ms: u64,
    cut_bytes: u64,
    damaged: u64,
    /// Offsets of batches, one every ten seconds, and the times when they were received.
    marks: Vec<(u64, u64)>,
    open: Option<OpenSegment>,
}

/// Opens the journal in a directory.
///
/// # Errors
/// [`JournalError`] when the directory or a file in it cannot be used. Damage is no error.
pub(crate) fn open(path: &Path, limits: SegmentLimits) -> Result<Opened, JournalError> {
    let directory = Arc::new(Directory::open(path)?);
    let unusable = || JournalError::unusable(path);
    let mut files = folder::segments(path).map_err(unusable())?;
    put_abandoned_first(path, &mut files).map_err(unusable())?;
    let mut ending = find_end(&directory, &files).map_err(unusable())?;
    let (mut segments, mut strange) = (Vec::new(), Vec::new());
    for file in files.iter().filter(|file| file.bytes > 0) {
        let Some(first_ms) = first_time(path, file).map_err(unusable())? else {
            strange.push(folder::segment_name(file.first, file.marker));
            continue;
        };
        let SegmentFile { first, marker, bytes } = *file;
        segments.push(Segment { first, first_ms, marker, bytes, copy: 0 });
    }
    if let Some(file) = strange.first() {
        tracing::warn!(
            event = "segments_ignored",
            files = strange.len(),
            first = file,
            why = "they have no intact record: they are not segments, or they are damaged \
                   completely; they are ignored"
        );
    }
    if let (Some(open), Some(last)) = (&mut ending.open, segments.last_mut()) {
        last.bytes = open.bytes;
        open.first_ms = last.first_ms;
    }
    let end = ending.unused - 1;
    let resumed = (end != ending.last).then_some(ending.last);
    let health =
        Health { cut_bytes: ending.cut_bytes, damaged: ending.damaged, ..Health::default() };
    let log = Log::new(Arc::clone(&directory), segments, (end, ending.last_ms), health);
    let log = Arc::new(log.map_err(unusable())?);
    log.remember(&ending.marks);
    let mut sequences = Dedup::new(Dedup::MAX_PAIRS);
    for (publisher, level, sequence) in ending.sequences.by_idleness() {
        sequences.insert(publisher, level, sequence);
    }
    let writer = Writer::new(directory, log, ending.open, (ending.sequences, resumed), limits);
    Ok(Opened { writer, sequences })
}

/// Reads the last segment, and those before it until the accepted sequences are certain.
fn find_end(directory: &Directory, files: &[SegmentFile]) -> io::Result<Ending> {
    let mut ending = Ending {
        sequences: Dedup::new(Dedup::MAX_PAIRS),
        last: 0,
        unused: 1,
        last_ms: 0,
        cut_bytes: 0,
        damaged: 0,
        marks: Vec::new(),
        open: None,
    };
    let mut is_last = true;
    let mut unreadable = Vec::new();
    for file in files.iter().rev() {
        if file.bytes == 0 {
            // The broker ended right after it had created this file.
            directory.delete_segment(file.first, file.marker)?;
            continue;
        }
        let survey = survey(directory.path(), file, &mut ending.sequences)?;
        let Some(last) = survey.last else {
            // Each segment begins with a record, so this is no segment, or it is damaged completely.
            ending.damaged += 1;
            unreadable.push(file);
            continue;
        };
        ending.last = ending.last.max(last);
        ending.last_ms = ending.last_ms.max(survey.last_ms);
        ending.damaged += survey.damaged;
        ending.marks.extend(&survey.marks);
        let torn = file.bytes - survey.whole_until;
        if is_last {
            // The bytes after the last complete record may have been batches that a reader has seen.
            ending.unused = last + 1 + torn.div_ceil(MIN_RECORD_BYTES);
            ending.cut_bytes = torn;
            ending.open = Some(go_on(directory, file, survey.whole_until)?);
        }
        // Only the last segment can be incomplete; any other one is damaged.
        ending.damaged += u64::from(torn > 0 && !is_last);
        let whole = torn == 0 || is_last;
        is_last = false;
        let certain = survey.sequences_whole && survey.damaged == 0 && whole;
        if certain {
            break;
        }
    }
    ending.unused = ending.unused.max(ending.last + 1);
    // A reader may have seen its batches. A segment that cannot be the next one is not of this journal.
    if let Some(file) = unreadable.iter().find(|file| file.first == ending.last + 1) {
        ending.unused = ending.unused.max(file.first + file.bytes.div_ceil(MIN_RECORD_BYTES));
    }
    Ok(ending)
}

fn go_on(directory: &Directory, file: &SegmentFile, bytes: u64) -> io::Result<OpenSegment> {
    let opened = directory.open_segment(file.first, file.marker)?;
    if bytes < file.bytes {
        opened.set_len(bytes)?;
        opened.sync_all()?;
    }
    let SegmentFile { first, marker, .. } = *file;
    Ok(OpenSegment { file: opened, first, first_ms: 0, marker, bytes, is_fresh: false })
}
