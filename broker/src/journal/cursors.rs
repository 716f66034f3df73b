//! The cursors: how far each reader has delivered, in a file of lines:
//!
//! ```text
//! zibrato-carbon|1042|1700000000000|0|info|warn|8f1c03aa
//! name, offset, last contact, missed batches, levels, checksum
//! |1|3cb1f0a5
//! the last line: number of cursors, checksum
//! ```
//!
//! Each line has its own checksum, and the previous file is kept. So damage to a line loses at most the
//! last change of one cursor.

use super::folder::{Directory, read_small, segments};
use super::format::record::MAX_OFFSET;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;
use zibrato::Level;
use zibrato::wire::{MAX_CURSORS, WantedLevels};

const FILE: &str = "cursors";
const OLD_FILE: &str = "cursors.old";
const NEW_FILE: &str = "cursors.new";

/// The file is renamed to this if both files are damaged. While it exists, cursors may be missing.
const LOST_FILE: &str = "cursors.lost";

/// The word for every level.
const EVERY_LEVEL: &str = "*";

/// The position of one reader.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cursor {
    /// Batches up to this offset were delivered.
    pub(crate) offset: u64,
    /// Last contact with the reader, in unix milliseconds.
    pub(crate) heard_ms: u64,
    /// Batches of any level that were deleted before it could read them.
    pub(crate) gone: u64,
    /// The levels that it reads.
    pub(crate) levels: WantedLevels,
}

/// All cursors of a journal.
#[derive(Debug)]
pub(crate) struct Cursors {
    by_name: BTreeMap<String, Cursor>,
    /// Lines that were damaged when the file was read.
    damaged: u64,
    /// Whether cursors may have been lost.
    is_lossy: bool,
    is_changed: bool,
    /// The number of times that the folder had been created again when the cursors were last saved.
    saved_in: u64,
}

impl Cursors {
    /// Reads the cursors of a journal.
    ///
    /// # Errors
    /// When a file exists and cannot be read. Damage is no error.
    pub(crate) fn load(directory: &Path) -> io::Result<Self> {
        let old = read(&directory.join(OLD_FILE))?.map(|content| parse(&content).by_name);
        // If the broker ended between the two renames, the new file is complete.
        let content = read(&directory.join(FILE))?;
        let is_there = content.is_some();
        let content = if is_there { content } else { read(&directory.join(NEW_FILE))? };
        let new = content.map(|content| parse(&content));
        let is_new = new.is_none() && old.is_none() && segments(directory)?.is_empty();
        let is_known = new.is_some();
        let Parsed { mut by_name, damaged, count } = new.unwrap_or_default();
        // A cursor that is only in the old file was deleted. If the new file has a damaged line,
        // that line may be the cursor's own, so the cursor is kept.
        if damaged > 0 || !is_known {
            for (name, cursor) in old.unwrap_or_default() {
                by_name.entry(name).or_insert(cursor);
            }
        }
        let is_whole = is_new || count.is_some_and(|count| by_name.len() >= count);
        let (is_changed, is_lossy) = (!is_there, !is_whole);
        Ok(Self { by_name, damaged, is_lossy, is_changed, saved_in: 0 })
    }

    /// Records in the folder that cursors may have been lost, for as long as batches are kept.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn note_loss(&mut self, directory: &Directory, max_age: Duration) -> io::Result<()> {
        if self.is_lossy {
            self.is_changed = true;
            let folder = directory.folder()?;
            if !folder.rename(FILE, LOST_FILE)? {
                folder.replace(LOST_FILE, b"")?;
            }
            return Ok(());
        }
        let path = directory.path().join(LOST_FILE);
        let Ok(found) = fs::metadata(&path) else { return Ok(()) };
        // If the clock was set back, the age is unknown, and the file stays.
        let is_old = found.modified()?.elapsed().is_ok_and(|age| age > max_age);
        if is_old {
            return directory.folder()?.delete(LOST_FILE).map(drop);
        }
        self.is_lossy = true;
        Ok(())
    }

    /// Whether cursors may have been lost. A reader with an unknown name may then have had one.
    pub(crate) const fn is_lossy(&self) -> bool {
        self.is_lossy
    }

    /// Whether the cursors have to be saved: they have changed, or the saved file was deleted.
    pub(crate) fn is_to_be_saved(&self, directory: &Directory) -> bool {
        self.is_changed || self.saved_in != directory.recreations()
    }

    /// Checks that the saved file still exists.
    pub(crate) fn look(&mut self, directory: &Directory) {
        // While the folder is missing, the state of the file is unknown.
        let file = directory.folder().and_then(|folder| folder.identity_of(FILE));
        self.is_changed |= matches!(file, Ok(None));
    }

    /// Saves the cursors, if they have changed.
    ///
    /// # Errors
    /// When they cannot be saved. It can be tried again.
    pub(crate) fn save(&mut self, directory: &Directory) -> io::Result<()> {
        if !self.is_to_be_saved(directory) {
            return Ok(());
        }
        let mut text = String::new();
        for (name, cursor) in &self.by_name {
            put_line(&mut text, name, cursor);
        }
        seal(&mut text, &format!("|{}|", self.by_name.len()));
        directory.check_location()?;
        let saved_in = directory.recreations();
        let folder = directory.folder()?;
        // The new file is complete before the old one is renamed, in case the disk is full.
        let new = folder.write_new(FILE, text.as_bytes())?;
        folder.rename(FILE, OLD_FILE)?;
        folder.rename(&new, FILE)?;
        folder.sync()?;
        // Acknowledged data must exist under the journal's path.
        directory.check_location()?;
        (self.is_changed, self.saved_in) = (false, saved_in);
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Cursor> {
        self.by_name.get(name)
    }

    /// Changes a cursor, and creates it if it does not exist.
    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut Cursor)) {
        let cursor = self.by_name.entry(name.to_owned()).or_default();
        let before = cursor.clone();
        change(cursor);
        self.is_changed |= *cursor != before || *cursor == Cursor::default();
    }

    /// Updates the time of the last contact with a reader. That alone does not cause a write.
    pub(crate) fn heard(&mut self, name: &str, now_ms: u64) {
        if let Some(cursor) = self.by_name.get_mut(name) {
            cursor.heard_ms = now_ms;
        }
    }

    /// Causes the next save to write the times of last contact.
    pub(crate) const fn keep_heard(&mut self) {
        self.is_changed = true;
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Cursor> {
        let removed = self.by_name.remove(name);
        self.is_changed |= removed.is_some();
        removed
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Cursor)> {
        self.by_name.iter().map(|(name, cursor)| (name.as_str(), cursor))
    }

    /// Whether one more cursor is allowed.
    pub(crate) fn has_room(&self) -> bool {
        self.by_name.len() < MAX_CURSORS
    }

    /// Lines that were damaged when the file was read.
    pub(crate) const fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The lowest offset of all cursors; the largest number if there are none.
    pub(crate) fn passed(&self) -> u64 {
        self.by_name.values().map(|cursor| cursor.offset).min().unwrap_or(u64::MAX)
    }

    /// The highest offset of all cursors.
    pub(crate) fn highest(&self) -> u64 {
        self.by_name.values().map(|cursor| cursor.offset).max().unwrap_or(0)
    }

    /// The levels that at least one cursor names.
    pub(crate) fn wanted(&self) -> WantedLevels {
        let mut wanted = WantedLevels::default();
        for cursor in self.by_name.values() {
            wanted.all |= cursor.levels.all;
            wanted.levels.extend(cursor.levels.levels.iter().cloned());
        }
        wanted
    }
}

/// The levels in a list; `None` if one is invalid or there are none.
pub(crate) fn levels<'t>(names: impl IntoIterator<Item = &'t str>) -> Option<WantedLevels> {
    let mut wanted = WantedLevels::default();
    for name in names {
        if name == EVERY_LEVEL {
            wanted.all = true;
        } else {
            wanted.levels.insert(Level::new(name).ok()?);
        }
    }
    (wanted.all || !wanted.levels.is_empty()).then_some(wanted)
}

/// The names of levels, `*` for every level.
pub(crate) fn level_names(wanted: &WantedLevels) -> impl Iterator<Item = &str> {
    let every = wanted.all.then_some(EVERY_LEVEL);
    every.into_iter().chain(wanted.levels.iter().map(Level::as_str))
}

fn put_line(text: &mut String, name: &str, cursor: &Cursor) {
    let Cursor { offset, heard_ms, gone, levels } = cursor;
    let mut line = format!("{name}|{offset}|{heard_ms}|{gone}|");
    for level in level_names(levels) {
        line.push_str(level);
        line.push('|');
    }
    seal(text, &line);
}

/// Appends a line and its checksum.
fn seal(text: &mut String, line: &str) {
    let checksum = crc32fast::hash(line.as_bytes());
    text.push_str(&format!("{line}{checksum:08x}\n"));
}

/// The content of a file.
#[derive(Default)]
struct Parsed {
    by_name: BTreeMap<String, Cursor>,
    /// Lines that are damaged or missing.
    damaged: u64,
    /// The number of cursors, according to the last line.
    count: Option<usize>,
}

fn parse(content: &[u8]) -> Parsed {
    let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut parsed = Parsed::default();
    for line in lines {
        match parse_line(line) {
            Some(Line::Cursor(name, cursor)) if parsed.by_name.len() < MAX_CURSORS => {
                parsed.by_name.insert(name, cursor);
            }
            Some(Line::Count(found)) => parsed.count = Some(found),
            _ => parsed.damaged += 1,
        }
    }
    if parsed.count != Some(parsed.by_name.len()) {
        parsed.damaged = parsed.damaged.max(1);
    }
    parsed
}

enum Line {
    Count(usize),
    Cursor(String, Cursor),
}

fn parse_line(line: &[u8]) -> Option<Line> {
    let (line, checksum) = std::str::from_utf8(line).ok()?.rsplit_once('|')?;
    let checksum =
        (checksum.len() == 8).then(|| u32::from_str_radix(checksum, 16).ok()).flatten()?;
    if crc32fast::hash(format!("{line}|").as_bytes()) != checksum {
        return None;
    }
    let mut fields = line.split('|');
    let name = fields.next()?;
    if name.is_empty() {
        return Some(Line::Count(fields.next()?.parse().ok()?));
    }
    zibrato::check_name(name).ok()?;
    let mut number = || fields.next()?.parse().ok();
    let (offset, heard_ms, gone) = (number()?, number()?, number()?);
    let levels = levels(fields)?;
    (offset <= MAX_OFFSET).then_some(())?;
    Some(Line::Cursor(name.to_owned(), Cursor { offset, heard_ms, gone, levels }))
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match read_small(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
