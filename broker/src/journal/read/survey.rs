//! Surveys a segment: reads it completely, and reports its content.

use crate::journal::folder::{SegmentFile, segment_path};
use crate::journal::format::record::{self, Content};
use crate::journal::format::scan::{Found, Scan};
use crate::journal::log::MARK_EVERY_MS;
use std::fs::File;
use std::io;
use std::path::Path;
use zibrato::window::Dedup;

/// The content of one segment.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) last: Option<u64>,
    first_ms: Option<u64>,
    pub(crate) last_ms: u64,
    /// Offsets and when their batches were received, one every ten seconds.
    pub(crate) marks: Vec<(u64, u64)>,
    /// The position after the last complete record.
    pub(crate) whole_until: u64,
    pub(crate) damaged: u64,
    /// Whether the sequences at its beginning are complete.
    pub(crate) sequences_whole: bool,
}

/// Orders segments that begin with the same offset: a segment that was abandoned because the disk failed
/// comes before the segment that replaced it.
///
/// # Errors
/// When one cannot be read.
pub(crate) fn put_abandoned_first(path: &Path, files: &mut [SegmentFile]) -> io::Result<()> {
    for group in files.chunk_by_mut(|a, b| a.first == b.first).filter(|group| group.len() > 1) {
        let mut ignored = Dedup::new(1);
        let mut keyed = Vec::new();
        for file in &*group {
            keyed.push((survey(path, file, &mut ignored)?.last, file.clone()));
        }
        keyed.sort_by_key(|(last, _)| *last);
        for (place, (_, file)) in group.iter_mut().zip(keyed) {
            *place = file;
        }
    }
    Ok(())
}

/// Reads a segment, and adds its sequences to `sequences`.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn survey(
    directory: &Path,
    file: &SegmentFile,
    sequences: &mut Dedup,
) -> io::Result<Survey> {
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
                sequences.insert(id.publisher, level, id.sequence);
            }
            Content::Sequences { last, pairs } => {
                for (publisher, level, sequence) in record::pairs(pairs) {
                    sequences.insert(publisher, level, sequence);
                }
                survey.sequences_whole |= last;
            }
            Content::Resumed { .. } => {}
        }
        survey.whole_until = scan.at();
    }
    // An incomplete end does not count as damage.
    survey.damaged -= u64::from(survey.whole_until < file.bytes);
    Ok(survey)
}

/// The time of receipt in the first record of a segment.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn first_time(directory: &Path, file: &SegmentFile) -> io::Result<Option<u64>> {
    let mut scan = scan(directory, file)?;
    while let Some(found) = scan.next()? {
        if let Found::Record { record, .. } = found {
            return Ok(Some(record.received_ms));
        }
    }
    Ok(None)
}

/// Opens the file of a segment, to read it from its beginning.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn scan(directory: &Path, file: &SegmentFile) -> io::Result<Scan<File>> {
    let path = segment_path(directory, file.first, file.marker);
    Ok(Scan::new(File::open(path)?, file.marker, file.bytes))
}
