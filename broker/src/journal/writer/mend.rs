//! Looks whether the folder and its segments are where they should be, and mends what can be.

use super::{OpenSegment, Writer};
use crate::journal::directory::{Return, SegmentFile, segment_name, segments};
use crate::journal::home::Home;
use crate::journal::log::Outline;
use crate::journal::record::Marker;
use rustix::fs::OFlags;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

impl Writer {
    /// Looks whether everything is where it should be, as [`mend`](Self::mend), and tells readers of
    /// segments that are gone.
    ///
    /// # Errors
    /// When nothing could be made safe now.
    pub(crate) fn look(&mut self) -> io::Result<()> {
        self.mend()?;
        let kept = self.keep_lock();
        self.look_for_lost()?;
        kept
    }

    /// Sees to it that no other broker writes here. What another one has written, this one would write
    /// over, so it takes the journal back only as it was left.
    ///
    /// # Errors
    /// While another broker has it, or has written to it.
    pub(super) fn keep_lock(&mut self) -> io::Result<()> {
        let home = self.directory.home()?;
        let was_locked_out = self.is_locked_out;
        self.is_locked_out = !home.keep_lock()?;
        if self.is_locked_out {
            self.let_go();
            return Err(io::Error::other(
                "another broker has taken the journal, because its lock file was deleted",
            ));
        }
        if was_locked_out && !is_as_left(&home, &self.log.outline(), &self.doomed) {
            self.is_locked_out = true;
            return Err(io::Error::other(
                "another broker has written to the journal, because its lock file was deleted; \
                 restart this one to continue after that",
            ));
        }
        Ok(())
    }

    /// Leaves the open segment. What is behind its end was not acknowledged, and comes again.
    fn let_go(&mut self) {
        let Some(open) = self.open.take() else { return };
        if open.is_fresh {
            self.doomed.push((open.first, open.marker));
        }
    }

    /// Sees to it that the folder and its files are where they should be: makes a folder again that was
    /// deleted, writes the last segment again that was deleted, and tells readers of all others that
    /// are gone.
    ///
    /// # Errors
    /// While the folder is away, or its disk refuses.
    pub(crate) fn mend(&mut self) -> io::Result<()> {
        let (log, doomed) = (&self.log, &self.doomed);
        let returned = self.directory.mend_place(|home| is_as_left(home, &log.outline(), doomed));
        if self.directory.home().is_err() {
            // So that its disk can be unmounted.
            if let Some(open) = &self.open {
                let cut = open.file.set_len(open.bytes);
                tracing::debug!(event = "journal_cut", ok = cut.is_ok());
            }
            self.let_go();
        }
        let path = self.directory.path().display();
        match returned? {
            Return::Stayed => return self.mend_last_segment(),
            Return::CameBack => tracing::info!(event = "journal_folder_is_back", journal = %path),
            Return::MadeAgain => tracing::error!(
                event = "journal_folder_deleted",
                journal = %path,
                why = "it was deleted, and was created again"
            ),
        }
        self.mend_last_segment()?;
        self.look_for_lost()
    }

    /// Writes the last segment again if somebody has deleted it, and leaves it if somebody has cut it.
    fn mend_last_segment(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let home = self.directory.home()?;
        let held = home.holds(&open.name(), &open.file, open.bytes)?;
        match held {
            Some(true) => Ok(()),
            None if open.is_fresh => {
                self.open = None;
                Ok(())
            }
            None => {
                open.file = restore(&home, open)?;
                self.log.restored(open.marker);
                tracing::warn!(
                    event = "segment_restored",
                    segment = open.name(),
                    bytes = open.bytes,
                    why = "it was deleted; it was still open and was written again"
                );
                Ok(())
            }
            Some(false) => {
                self.open = None;
                self.look_for_lost()
            }
        }
    }

    /// Tells readers, and the log, of segments that somebody has deleted or cut.
    ///
    /// # Errors
    /// When the disk does not say.
    fn look_for_lost(&mut self) -> io::Result<()> {
        let home = self.directory.home()?;
        // How many batches a file has lost that was cut, nobody knows here.
        let (mut files, mut batches, mut lost) = (0_u64, Some(0), 0);
        let outline = self.log.outline();
        let ends = outline.segments.iter().skip(1).map(|next| next.first).chain([outline.end + 1]);
        for (segment, end) in outline.segments.iter().zip(ends) {
            let left = home.bytes_of(&segment_name(segment.first, segment.marker))?;
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

/// Whether a folder that has come back has the segments that it had, and no broker has written more.
/// `doomed` are files of ours that were still to be deleted.
fn is_as_left(home: &Home, outline: &Outline, doomed: &[(u64, Marker)]) -> bool {
    let is_whole = outline.segments.last().is_none_or(|last| {
        let bytes = home.bytes_of(&segment_name(last.first, last.marker));
        matches!(bytes, Ok(Some(bytes)) if bytes == last.bytes)
    });
    let known = |file: &SegmentFile| {
        outline.segments.iter().any(|segment| segment.marker == file.marker)
            || doomed.iter().any(|(_, marker)| *marker == file.marker)
    };
    let is_new = |file: &&SegmentFile| file.first > outline.end;
    is_whole && segments(home.path()).is_ok_and(|all| all.iter().filter(is_new).all(known))
}

/// Writes what is safe of an open segment into a new file of the same name, and gives that.
fn restore(home: &Home, open: &OpenSegment) -> io::Result<File> {
    let name = format!("{}.new", open.name());
    let file = home.open_file(&name, OFlags::CREATE | OFlags::TRUNC)?;
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
    home.rename(&name, &open.name())?;
    home.sync()?;
    Ok(file)
}

#[cfg(test)]
mod tests;
