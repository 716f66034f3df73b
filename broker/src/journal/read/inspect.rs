//! Inspects a journal without changing it, whether or not a broker uses it.

use super::survey::{put_abandoned_first, scan};
use crate::journal::cursors::Cursors;
use crate::journal::error::JournalError;
use crate::journal::folder::{self, SegmentFile, is_in_use, read_id};
use crate::journal::format::record::{Content, Record};
use crate::journal::format::scan::Found;
use std::collections::VecDeque;
use std::io::{
    self,
    ErrorKind::{NotADirectory, NotFound},
};
use std::path::Path;
use zibrato::wire::BatchId;

/// The content of a journal.
#[derive(Debug)]
pub(crate) struct Inspection {
    /// The journal's number, if it can be read.
    pub(crate) id: Option<u64>,
    /// Whether a broker uses it now.
    pub(crate) in_use: bool,
    /// The segments, oldest first.
    pub(crate) segments: Vec<SegmentReport>,
    /// The readers' positions.
    pub(crate) cursors: Cursors,
}

/// The content of one segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentReport {
    /// The name of its file.
    pub(crate) file: String,
    /// Its size, in bytes.
    pub(crate) bytes: u64,
    /// The number of its batches.
    pub(crate) batches: u64,
    /// The offsets of the first and the last batch.
    pub(crate) offsets: Option<(u64, u64)>,
    /// The times when these were received, in unix milliseconds.
    pub(crate) times_ms: Option<(u64, u64)>,
    /// The positions where damaged places begin and end.
    pub(crate) damage: Vec<(u64, u64)>,
    /// Number of batches that are missing in between.
    pub(crate) missing: u64,
    /// Number of batches that share their offset with another one, because two brokers wrote at the
    /// same time.
    pub(crate) doubled: u64,
    /// Whether it has an intact record. Each segment begins with one.
    pub(crate) has_records: bool,
}

/// The batches before the current one.
#[derive(Debug, Default)]
struct Visited {
    last: Option<u64>,
    /// The last batches. After a failure of the disk, the same ones may be in two segments.
    recent: VecDeque<(u64, BatchId)>,
}

impl Visited {
    /// Whether a batch has the offset of an earlier one, and is not the same batch.
    fn is_doubled(&mut self, offset: u64, id: BatchId) -> bool {
        if self.last.is_none_or(|last| offset > last) {
            if self.recent.len() >= MAX_RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back((offset, id));
            return false;
        }
        !self.recent.contains(&(offset, id))
    }
}

/// Maximum number of batches that are written together. If that failed, all of them may be in two
/// segments.
const MAX_RECENT: usize = 8_192;

/// Maximum number of damaged places that are listed per segment.
const MAX_DAMAGE: usize = 1_000;

/// Reads a whole journal, and hands each batch to `visit`, oldest first. `progress` gets the number of
/// the current segment and the number of all.
///
/// # Errors
/// [`JournalError`] when there is none, or it cannot be read.
pub(crate) fn inspect(
    path: &Path,
    mut progress: impl FnMut(usize, usize),
    mut visit: impl FnMut(&Record<'_>) -> io::Result<()>,
) -> Result<Inspection, JournalError> {
    let unusable = || JournalError::unusable(path);
    let mut files = match folder::segments(path) {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Vec::new(),
        found => found.map_err(unusable())?,
    };
    if files.is_empty() && read_id(path).is_none() {
        return Err(JournalError::NoJournal(path.to_owned()));
    }
    put_abandoned_first(path, &mut files).map_err(unusable())?;
    let cursors = Cursors::load(path).map_err(unusable())?;
    let mut visited = Visited::default();
    let mut segments = Vec::new();
    for (at, file) in files.iter().enumerate() {
        progress(at + 1, files.len());
        segments.push(report(path, file, &mut visited, &mut visit).map_err(unusable())?);
    }
    Ok(Inspection { id: read_id(path), in_use: is_in_use(path), segments, cursors })
}

fn report(
    path: &Path,
    file: &SegmentFile,
    visited: &mut Visited,
    visit: &mut impl FnMut(&Record<'_>) -> io::Result<()>,
) -> io::Result<SegmentReport> {
    let name = folder::segment_path(path, file.first, file.marker);
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut report = SegmentReport { file: name, bytes: file.bytes, ..SegmentReport::default() };
    let mut scan = match scan(path, file) {
        // It was deleted meanwhile because of its age.
        Err(error) if error.kind() == NotFound => return Ok(report),
        opened => opened?,
    };
    while let Some(found) = scan.next()? {
        match found {
            Found::Damage { from, to } if report.damage.len() < MAX_DAMAGE => {
                report.damage.push((from, to));
            }
            Found::Damage { .. } => {}
            Found::Record { record, .. } => {
                report.count(&record, visited);
                if matches!(record.content, Content::Batch { .. }) {
                    visit(&record)?;
                }
            }
        }
    }
    Ok(report)
}

impl SegmentReport {
    fn count(&mut self, record: &Record<'_>, visited: &mut Visited) {
        let Record { offset, received_ms, content } = *record;
        let before = visited.last.unwrap_or(offset.saturating_sub(1));
        self.has_records = true;
        match content {
            Content::Batch { id, .. } => {
                self.doubled += u64::from(visited.is_doubled(offset, id));
                self.batches += 1;
                self.missing += offset.saturating_sub(before + 1);
                self.offsets = Some((self.offsets.map_or(offset, |(first, _)| first), offset));
                let first_ms = self.times_ms.map_or(received_ms, |(first, _)| first);
                self.times_ms = Some((first_ms, received_ms));
                visited.last = Some(before.max(offset));
            }
            Content::Resumed { was } => {
                self.missing += was.saturating_sub(before);
                visited.last = Some(before.max(offset));
            }
            Content::Sequences { .. } => {}
        }
    }
}
