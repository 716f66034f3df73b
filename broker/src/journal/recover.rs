//! Opens a journal, whatever state it is in: cuts what was not finished, skips what is damaged,
//! and finds out what had been taken.

use super::directory::{self, Directory, JournalError, SegmentFile};
use super::log::{Health, Log, MARK_EVERY_MS, Segment};
use super::record::{self, Content};
use super::scan::{Found, Scan};
use super::writer::{OpenSegment, SegmentLimits, Writer};
use crate::seen::{MAX_PAIRS, Seen};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The smallest record of a batch.
const MIN_RECORD_BYTES: u64 = record::batch_bytes("i", b"") as u64;

/// An opened journal.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Goes on writing.
    pub(crate) writer: Writer,
    /// The sequences that had been taken.
    pub(crate) sequences: Seen,
}

/// What the end of the journal turned out to be.
#[derive(Debug)]
struct Ending {
    sequences: Seen,
    /// The last whole batch.
    last: u64,
    /// From where on offsets were never given to anybody.
    unused: u64,
    last_ms: u64,
    cut_bytes: u64,
    damaged: u64,
    /// When batches were received, every ten seconds.
    marks: Vec<(u64, u64)>,
    open: Option<OpenSegment>,
}

/// What is in one segment.
#[derive(Debug)]
struct Survey {
    last: Option<u64>,
    first_ms: Option<u64>,
    last_ms: u64,
    /// When batches were received, every ten seconds.
    marks: Vec<(u64, u64)>,
    /// Where its last whole record ends.
    whole_until: u64,
    damaged: u64,
    /// Whether the sequences at its beginning are all there.
    sequences_whole: bool,
}

/// Opens the journal in a directory.
///
/// # Errors
/// [`JournalError`] when the directory or a file in it cannot be used. Damage is no error.
pub(crate) fn open(path: &Path, limits: SegmentLimits) -> Result<Opened, JournalError> {
    let directory = Arc::new(Directory::open(path)?);
    let unusable = || JournalError::unusable(path);
    let mut files = directory::segments(path).map_err(unusable())?;
    put_given_up_first(path, &mut files).map_err(unusable())?;
    let mut ending = find_end(&directory, &files).map_err(unusable())?;
    let (mut segments, mut strange) = (Vec::new(), Vec::new());
    for file in files.iter().filter(|file| file.bytes > 0) {
        let Some(first_ms) = first_time(path, file).map_err(unusable())? else {
            strange.push(directory::segment_name(file.first, file.marker));
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
    let mut sequences = Seen::new(MAX_PAIRS);
    for pair in ending.sequences.by_idleness() {
        sequences.judge(pair.publisher, &pair.level, pair.highest);
    }
    let writer = Writer::new(directory, log, ending.open, (ending.sequences, resumed), limits);
    Ok(Opened { writer, sequences })
}

/// Puts segments that begin with the same batch in order: one that was given up because the disk
/// failed comes before the one that has the batches.
pub(super) fn put_given_up_first(path: &Path, files: &mut [SegmentFile]) -> io::Result<()> {
    for group in files.chunk_by_mut(|a, b| a.first == b.first).filter(|group| group.len() > 1) {
        let mut nobody = Seen::new(1);
        let mut keyed = Vec::new();
        for file in &*group {
            keyed.push((survey(path, file, &mut nobody)?.last, file.clone()));
        }
        keyed.sort_by_key(|(last, _)| *last);
        for (place, (_, file)) in group.iter_mut().zip(keyed) {
            *place = file;
        }
    }
    Ok(())
}

/// Looks at the last segment, and at those before it as long as what was taken is not certain.
fn find_end(directory: &Directory, files: &[SegmentFile]) -> io::Result<Ending> {
    let mut ending = Ending {
        sequences: Seen::new(MAX_PAIRS),
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
            // It was about to be begun.
            directory.delete_segment(file.first, file.marker)?;
            continue;
        }
        let survey = survey(directory.path(), file, &mut ending.sequences)?;
        let Some(last) = survey.last else {
            // Each segment begins with a record, so this is none, or all of it is damaged.
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
            // The bytes behind the last whole record may have been batches that somebody has seen.
            ending.unused = last + 1 + torn.div_ceil(MIN_RECORD_BYTES);
            ending.cut_bytes = torn;
            ending.open = Some(go_on(directory, file, survey.whole_until)?);
        }
        // Before the last one, nothing is torn unless it is damaged.
        ending.damaged += u64::from(torn > 0 && !is_last);
        let whole = torn == 0 || is_last;
        is_last = false;
        let certain = survey.sequences_whole && survey.damaged == 0 && whole;
        if certain {
            break;
        }
    }
    ending.unused = ending.unused.max(ending.last + 1);
    // Its batches may have been seen by somebody. One that cannot have been next was never ours.
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

fn survey(directory: &Path, file: &SegmentFile, sequences: &mut Seen) -> io::Result<Survey> {
    let mut scan = scan(directory, file)?;
    let mut survey = Survey {
        last: None,
        first_ms: None,
        last_ms: 0,
        marks: Vec::new(),
        whole_until: 0,
        damaged: 0,
        sequences_whole: false,
    };
    while let Some(found) = scan.next()? {
        let Found::Record { record, .. } = found else {
            survey.damaged += 1;
            continue;
        };
        survey.last = survey.last.max(Some(record.offset));
        survey.first_ms.get_or_insert(record.received_ms);
        survey.last_ms = survey.last_ms.max(record.received_ms);
        match record.content {
            Content::Batch { id, level, .. } => {
                let far = |(_, ms): &(u64, u64)| record.received_ms >= ms + MARK_EVERY_MS;
                if survey.marks.last().is_none_or(far) {
                    survey.marks.push((record.offset, record.received_ms));
                }
                sequences.judge(id.publisher, level, id.sequence);
            }
            Content::Sequences { last, pairs } => {
                for (publisher, level, sequence) in record::pairs(pairs) {
                    sequences.judge(publisher, level, sequence);
                }
                survey.sequences_whole |= last;
            }
            Content::Resumed { .. } => {}
        }
        survey.whole_until = scan.at();
    }
    // What was cut off at the end is no damage in between.
    survey.damaged -= u64::from(survey.whole_until < file.bytes);
    Ok(survey)
}

/// When the first record of a segment was received.
fn first_time(directory: &Path, file: &SegmentFile) -> io::Result<Option<u64>> {
    let mut scan = scan(directory, file)?;
    while let Some(found) = scan.next()? {
        if let Found::Record { record, .. } = found {
            return Ok(Some(record.received_ms));
        }
    }
    Ok(None)
}

/// At the beginning of a segment's file.
pub(crate) fn scan(directory: &Path, file: &SegmentFile) -> io::Result<Scan<File>> {
    let path = directory::segment_path(directory, file.first, file.marker);
    Ok(Scan::new(File::open(path)?, file.marker, file.bytes))
}
