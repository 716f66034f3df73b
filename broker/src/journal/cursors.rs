//! How far each reader has delivered, kept in a file of lines:
//!
//! ```text
//! zibrato-carbon|1042|1700000000000|0|info|warn|8f1c03aa
//! name, offset, when it was last heard of, batches that were gone, its levels, checksum
//! |1|3cb1f0a5
//! the last line: how many cursors there are, checksum
//! ```
//!
//! Each line has a checksum of its own, and the file before the last change is kept, so that damage
//! costs at most the last step of one cursor.

use super::directory::{Directory, read_small, segments};
use super::record::MAX_OFFSET;
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

/// What became of the file when both were damaged. While it is there, cursors may be missing.
const LOST_FILE: &str = "cursors.lost";

/// The word for every level.
const EVERY_LEVEL: &str = "*";

/// What is known of one reader.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cursor {
    /// Everything up to here has been delivered.
    pub(crate) offset: u64,
    /// When it was last heard of, in unix milliseconds.
    pub(crate) heard_ms: u64,
    /// Batches, of whatever level, that were gone before it could read them.
    pub(crate) gone: u64,
    /// What it reads.
    pub(crate) levels: WantedLevels,
}

/// All cursors of a journal.
#[derive(Debug)]
pub(crate) struct Cursors {
    by_name: BTreeMap<String, Cursor>,
    /// Lines that were damaged when the file was read.
    damaged: u64,
    /// Whether there may have been cursors that are not known any more.
    is_lossy: bool,
    is_changed: bool,
    /// How often the folder had been made again when they were saved.
    saved_in: u64,
}

impl Cursors {
    /// Reads what is kept in a directory.
    ///
    /// # Errors
    /// When a file is there and cannot be read. Damage is no error.
    pub(crate) fn load(directory: &Path) -> io::Result<Self> {
        let old = read(&directory.join(OLD_FILE))?.map(|content| parse(&content).by_name);
        // The broker may have ended when the file had made way for the new one, which is whole then.
        let content = read(&directory.join(FILE))?;
        let is_there = content.is_some();
        let content = if is_there { content } else { read(&directory.join(NEW_FILE))? };
        let new = content.map(|content| parse(&content));
        let is_new = new.is_none() && old.is_none() && segments(directory)?.is_empty();
        let is_known = new.is_some();
        let Parsed { mut by_name, damaged, count } = new.unwrap_or_default();
        // A cursor that was deleted since stands in the old file only; it is not brought back
        // unless a line of the new file is damaged, which may be its own.
        if damaged > 0 || !is_known {
            for (name, cursor) in old.unwrap_or_default() {
                by_name.entry(name).or_insert(cursor);
            }
        }
        let is_whole = is_new || count.is_some_and(|count| by_name.len() >= count);
        let (is_changed, is_lossy) = (!is_there, !is_whole);
        Ok(Self { by_name, damaged, is_lossy, is_changed, saved_in: 0 })
    }

    /// Notes in the directory, for as long as batches are kept, that cursors may be missing, if that
    /// is so; and finds out whether it was noted before.
    ///
    /// # Errors
    /// When it cannot be noted.
    pub(crate) fn note_loss(&mut self, directory: &Directory, max_age: Duration) -> io::Result<()> {
        if self.is_lossy {
            self.is_changed = true;
            let home = directory.home()?;
            if !home.rename(FILE, LOST_FILE)? {
                home.replace(LOST_FILE, b"")?;
            }
            return Ok(());
        }
        let path = directory.path().join(LOST_FILE);
        let Ok(found) = fs::metadata(&path) else { return Ok(()) };
        // A clock that was set back is no reason to forget it.
        let is_old = found.modified()?.elapsed().is_ok_and(|age| age > max_age);
        if is_old {
            return directory.home()?.delete(LOST_FILE).map(drop);
        }
        self.is_lossy = true;
        Ok(())
    }

    /// Whether there may have been cursors that are not known any more. Whoever comes under a name
    /// that is not known may be one of those.
    pub(crate) const fn is_lossy(&self) -> bool {
        self.is_lossy
    }

    /// Whether something has to be saved: it has changed, or what was saved is gone.
    pub(crate) fn is_to_be_saved(&self, directory: &Directory) -> bool {
        self.is_changed || self.saved_in != directory.made_again()
    }

    /// Sees whether what was saved is still there.
    pub(crate) fn look(&mut self, directory: &Directory) {
        // While the folder is away it is not the file that is missing.
        let file = directory.home().and_then(|home| home.identity_of(FILE));
        self.is_changed |= matches!(file, Ok(None));
    }

    /// Makes what has changed safe on disk.
    ///
    /// # Errors
    /// When it cannot be; it can be tried again.
    pub(crate) fn save(&mut self, directory: &Directory) -> io::Result<()> {
        if !self.is_to_be_saved(directory) {
            return Ok(());
        }
        let mut text = String::new();
        for (name, cursor) in &self.by_name {
            put_line(&mut text, name, cursor);
        }
        seal(&mut text, &format!("|{}|", self.by_name.len()));
        directory.check_place()?;
        let saved_in = directory.made_again();
        let home = directory.home()?;
        // Whole before the file makes way for it: a disk without room leaves that where it is.
        let new = home.write_new(FILE, text.as_bytes())?;
        home.rename(FILE, OLD_FILE)?;
        home.rename(&new, FILE)?;
        home.sync()?;
        // What is acknowledged has to exist under its name.
        directory.check_place()?;
        (self.is_changed, self.saved_in) = (false, saved_in);
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Cursor> {
        self.by_name.get(name)
    }

    /// Changes a cursor, which is to be saved then; makes it if need be.
    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut Cursor)) {
        let cursor = self.by_name.entry(name.to_owned()).or_default();
        let before = cursor.clone();
        change(cursor);
        self.is_changed |= *cursor != before || *cursor == Cursor::default();
    }

    /// Notes that a reader was heard of. That alone is not worth a write.
    pub(crate) fn heard(&mut self, name: &str, now_ms: u64) {
        if let Some(cursor) = self.by_name.get_mut(name) {
            cursor.heard_ms = now_ms;
        }
    }

    /// What was heard is worth a write now.
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

    /// Whether there is room for one more.
    pub(crate) fn has_room(&self) -> bool {
        self.by_name.len() < MAX_CURSORS
    }

    /// Lines that were damaged when the file was read.
    pub(crate) const fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The offset up to which all have read; the largest number when there are none.
    pub(crate) fn passed(&self) -> u64 {
        self.by_name.values().map(|cursor| cursor.offset).min().unwrap_or(u64::MAX)
    }

    /// The highest offset that one of them stands at.
    pub(crate) fn highest(&self) -> u64 {
        self.by_name.values().map(|cursor| cursor.offset).max().unwrap_or(0)
    }

    /// The levels that at least one of them reads.
    pub(crate) fn wanted(&self) -> WantedLevels {
        let mut wanted = WantedLevels::default();
        for cursor in self.by_name.values() {
            wanted.all |= cursor.levels.all;
            wanted.levels.extend(cursor.levels.levels.iter().cloned());
        }
        wanted
    }
}

/// The levels that a list names, if they are levels.
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

/// What a file holds.
#[derive(Default)]
struct Parsed {
    by_name: BTreeMap<String, Cursor>,
    /// How many lines are damaged or missing.
    damaged: u64,
    /// How many cursors there should be, if it says so.
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
