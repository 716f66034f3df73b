//! Looks at a journal without changing it, whether a broker uses it or not.

use super::cursors::Cursors;
use super::directory::{self, JournalError, SegmentFile, read_id};
use super::home::is_in_use;
use super::record::{Content, Record};
use super::recover::{put_given_up_first, scan};
use super::scan::Found;
use std::collections::VecDeque;
use std::io::{
    self,
    ErrorKind::{NotADirectory, NotFound},
};
use std::path::Path;
use zibrato::wire::BatchId;

/// What is in a journal.
#[derive(Debug)]
pub(crate) struct Inspection {
    /// The journal's number, if it can be read.
    pub(crate) id: Option<u64>,
    /// Whether a broker uses it now.
    pub(crate) in_use: bool,
    /// Oldest first.
    pub(crate) segments: Vec<SegmentReport>,
    /// Those who read.
    pub(crate) cursors: Cursors,
}

/// What is in one segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentReport {
    /// The name of its file.
    pub(crate) file: String,
    /// Its bytes.
    pub(crate) bytes: u64,
    /// Its batches.
    pub(crate) batches: u64,
    /// The offsets of the first and the last.
    pub(crate) offsets: Option<(u64, u64)>,
    /// When they were received, in unix milliseconds.
    pub(crate) times_ms: Option<(u64, u64)>,
    /// Damaged places: where they begin and end.
    pub(crate) damage: Vec<(u64, u64)>,
    /// Batches that are missing between those that are there.
    pub(crate) missing: u64,
    /// Batches whose offset another batch has too: two brokers have written at the same time.
    pub(crate) doubled: u64,
    /// Whether it has a whole record. Each segment begins with one.
    pub(crate) has_records: bool,
}

/// What has been seen before a batch.
#[derive(Debug, Default)]
struct Seen {
    last: Option<u64>,
    /// The last batches. After a failure of the disk the same ones may stand in two segments.
    recent: VecDeque<(u64, BatchId)>,
}

impl Seen {
    /// Whether a batch that does not come after the last one is another one than stood there.
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

/// As many batches are written together at most, and so come twice if writing has failed.
const MAX_RECENT: usize = 8_192;

/// The most damaged places of a segment that are listed.
const MAX_DAMAGE: usize = 1_000;

/// Looks at everything in a journal, and hands each batch to `visit`, the oldest first. `progress`
/// is told which of how many segments is looked at.
///
/// # Errors
/// [`JournalError`] when there is none, or it cannot be read.
pub(crate) fn inspect(
    path: &Path,
    mut progress: impl FnMut(usize, usize),
    mut visit: impl FnMut(&Record<'_>) -> io::Result<()>,
) -> Result<Inspection, JournalError> {
    let unusable = || JournalError::unusable(path);
    let mut files = match directory::segments(path) {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Vec::new(),
        found => found.map_err(unusable())?,
    };
    if files.is_empty() && read_id(path).is_none() {
        return Err(JournalError::NoJournal(path.to_owned()));
    }
    put_given_up_first(path, &mut files).map_err(unusable())?;
    let cursors = Cursors::load(path).map_err(unusable())?;
    let mut seen = Seen::default();
    let mut segments = Vec::new();
    for (at, file) in files.iter().enumerate() {
        progress(at + 1, files.len());
        segments.push(report(path, file, &mut seen, &mut visit).map_err(unusable())?);
    }
    Ok(Inspection { id: read_id(path), in_use: is_in_use(path), segments, cursors })
}

fn report(
    path: &Path,
    file: &SegmentFile,
    seen: &mut Seen,
    visit: &mut impl FnMut(&Record<'_>) -> io::Result<()>,
) -> io::Result<SegmentReport> {
    let name = directory::segment_path(path, file.first, file.marker);
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut report = SegmentReport { file: name, bytes: file.bytes, ..SegmentReport::default() };
    let mut scan = match scan(path, file) {
        // Deleted meanwhile, because of its age.
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
                report.count(&record, seen);
                if matches!(record.content, Content::Batch { .. }) {
                    visit(&record)?;
                }
            }
        }
    }
    Ok(report)
}

impl SegmentReport {
    fn count(&mut self, record: &Record<'_>, seen: &mut Seen) {
        let Record { offset, received_ms, content } = *record;
        let before = seen.last.unwrap_or(offset.saturating_sub(1));
        self.has_records = true;
        match content {
            Content::Batch { id, .. } => {
                self.doubled += u64::from(seen.is_doubled(offset, id));
                self.batches += 1;
                self.missing += offset.saturating_sub(before + 1);
                self.offsets = Some((self.offsets.map_or(offset, |(first, _)| first), offset));
                let first_ms = self.times_ms.map_or(received_ms, |(first, _)| first);
                self.times_ms = Some((first_ms, received_ms));
                seen.last = Some(before.max(offset));
            }
            Content::Resumed { was } => {
                self.missing += was.saturating_sub(before);
                seen.last = Some(before.max(offset));
            }
            Content::Sequences { .. } => {}
        }
    }
}
