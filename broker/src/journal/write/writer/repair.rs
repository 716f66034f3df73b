//! Checks that the folder and its segments are in place, and repairs what can be repaired.

use super::{OpenSegment, Writer};
use crate::journal::folder::{FolderState, LockedFolder, SegmentFile, segment_name, segments};
use crate::journal::format::record::Marker;
use crate::journal::log::Outline;
use rustix::fs::OFlags;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

impl Writer {
    /// As [`repair`](Self::repair); also checks the lock, and reports lost segments.
    ///
    /// # Errors
    /// When nothing can be written now.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        self.repair()?;
        let kept = self.keep_lock();
        self.find_lost_segments()?;
        kept
    }

    /// Checks that no other broker writes here. This broker would overwrite the batches of another one,
    /// so it continues only if the journal has not been changed.
    ///
    /// # Errors
    /// While another broker has it, or has written to it.
    pub(super) fn keep_lock(&mut self) -> io::Result<()> {
        let folder = self.directory.folder()?;
        let was_locked_out = self.is_locked_out;
        self.is_locked_out = !folder.keep_lock()?;
        if self.is_locked_out {
            self.close_segment();
            return Err(io::Error::other(
                "another broker has taken the journal, because its lock file was deleted",
            ));
        }
        if was_locked_out && !is_as_left(&folder, &self.log.outline(), &self.to_delete) {
            self.is_locked_out = true;
            return Err(io::Error::other(
                "another broker has written to the journal, because its lock file was deleted; \
                 restart this broker to continue after those batches",
            ));
        }
        Ok(())
    }

    /// Closes the open segment. Bytes after its end were not acknowledged, so publishers send these
    /// batches again.
    fn close_segment(&mut self) {
        let Some(open) = self.open.take() else { return };
        if open.is_fresh {
            self.to_delete.push((open.first, open.marker));
        }
    }

    /// Creates a deleted folder again, writes a deleted last segment again, and reports other
    /// segments that are lost.
    ///
    /// # Errors
    /// While the folder is missing, or its disk fails.
    pub(crate) fn repair(&mut self) -> io::Result<()> {
        let (log, to_delete) = (&self.log, &self.to_delete);
        let returned =
            self.directory.restore(|folder| is_as_left(folder, &log.outline(), to_delete));
        if self.directory.folder().is_err() {
            // Closed, so that the disk can be unmounted.
            if let Some(open) = &self.open {
                let cut = open.file.set_len(open.bytes);
                tracing::debug!(event = "journal_cut", ok = cut.is_ok());
            }
            self.close_segment();
        }
        let path = self.directory.path().display();
        match returned? {
            FolderState::Unchanged => return self.repair_last_segment(),
            FolderState::Returned => {
                tracing::info!(event = "journal_folder_is_back", journal = %path)
            }
            FolderState::Recreated => tracing::error!(
                event = "journal_folder_deleted",
                journal = %path,
                why = "the journal's folder was deleted; it was created again with the segment \
                       that is being written, and other segments are lost"
            ),
        }
        self.repair_last_segment()?;
        self.find_lost_segments()
    }

    /// Writes the last segment again if it was deleted, and closes it if it was truncated.
    fn repair_last_segment(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let folder = self.directory.folder()?;
        let held = folder.holds(&open.name(), &open.file, open.bytes)?;
        match held {
            Some(true) => Ok(()),
            None if open.is_fresh => {
                self.open = None;
                Ok(())
            }
            None => {
                open.file = restore(&folder, open)?;
                self.log.restored(open.marker);
                tracing::warn!(
                    event = "segment_restored",
                    segment = open.name(),
                    bytes = open.bytes,
                    why = "the segment was deleted while the broker had it open; the broker wrote \
                           it again"
                );
                Ok(())
            }
            Some(false) => {
                self.open = None;
                self.find_lost_segments()
            }
        }
    }

    /// Reports segments that were deleted or truncated, to readers and in the log.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn find_lost_segments(&mut self) -> io::Result<()> {
        let folder = self.directory.folder()?;
        // The number of batches that a truncated file has lost is unknown here.
        let (mut files, mut batches, mut lost) = (0_u64, Some(0), 0);
        let outline = self.log.outline();
        let ends = outline.segments.iter().skip(1).map(|next| next.first).chain([outline.end + 1]);
        for (segment, end) in outline.segments.iter().zip(ends) {
            let left = folder.bytes_of(&segment_name(segment.first, segment.marker))?;
            if left.is_some_and(|left| left >= segment.bytes) {
                continue;
            }
            files += 1;
            let in_it = left.is_none().then(|| end.saturating_sub(segment.first));
            batches = batches.zip(in_it).map(|(sum, more)| sum + more);
            lost += segment.bytes - left.unwrap_or_default();
            self.log.lose(segment.marker, left);
        }
        if files > 0 {
            tracing::error!(
                event = "segments_lost",
                files,
                batches,
                bytes = lost,
                why = "files of the journal were deleted or truncated; readers that had not read \
                       them are told how many batches are missing"
            );
        }
        Ok(())
    }
}

/// Whether a folder still has the segments that this broker wrote, and no others. `to_delete` are
/// segments of this broker that could not be deleted yet.
fn is_as_left(folder: &LockedFolder, outline: &Outline, to_delete: &[(u64, Marker)]) -> bool {
    let is_whole = outline.segments.last().is_none_or(|last| {
        let bytes = folder.bytes_of(&segment_name(last.first, last.marker));
        matches!(bytes, Ok(Some(bytes)) if bytes == last.bytes)
    });
    let known = |file: &SegmentFile| {
        outline.segments.iter().any(|segment| segment.marker == file.marker)
            || to_delete.iter().any(|(_, marker)| *marker == file.marker)
    };
    let is_new = |file: &&SegmentFile| file.first > outline.end;
    is_whole && segments(folder.path()).is_ok_and(|all| all.iter().filter(is_new).all(known))
}

/// Copies the committed bytes of an open segment into a new file of the same name, and returns it.
fn restore(folder: &LockedFolder, open: &OpenSegment) -> io::Result<File> {
    let name = format!("{}.new", open.name());
    let file = folder.open_file(&name, OFlags::CREATE | OFlags::TRUNC)?;
    let mut chunk = vec![0; 1 << 20];
    let mut at = 0;
    while at < open.bytes {
        let left = usize::try_from(open.bytes - at).unwrap_or(usize::MAX);
        let part = chunk.len().min(left);
        let part = &mut chunk[..part];
        open.file.read_exact_at(part, at)?;
        file.write_all_at(part, at)?;
        at += part.len() as u64;
    }
    file.sync_all()?;
    folder.rename(&name, &open.name())?;
    folder.sync()?;
    Ok(file)
}

#[cfg(test)]
mod tests;
