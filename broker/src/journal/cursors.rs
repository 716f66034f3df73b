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

use super::directory::{read_small, replace};
use super::record::MAX_OFFSET;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use zibrato::Level;
use zibrato::wire::{MAX_CURSORS, WantedLevels};

const FILE: &str = "cursors";
const OLD_FILE: &str = "cursors.old";

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
    directory: PathBuf,
    by_name: BTreeMap<String, Cursor>,
    /// Lines that were damaged when the file was read.
    damaged: u64,
    is_changed: bool,
}

impl Cursors {
    /// Reads what is kept in a directory.
    ///
    /// # Errors
    /// When a file is there and cannot be read. Damage is no error.
    pub(crate) fn load(directory: &Path) -> io::Result<Self> {
        let old = read(&directory.join(OLD_FILE))?.map(|content| parse(&content).0);
        let (mut by_name, damaged) = match read(&directory.join(FILE))? {
            Some(content) => parse(&content),
            // The broker ended between two files, or there never was one.
            None => (BTreeMap::new(), 0),
        };
        // A cursor that was deleted since stands in the old file only; it is not brought back
        // unless a line of the new file is damaged, which may be its own.
        if damaged > 0 || !directory.join(FILE).exists() {
            for (name, cursor) in old.unwrap_or_default() {
                by_name.entry(name).or_insert(cursor);
            }
        }
        let directory = directory.to_owned();
        Ok(Self { directory, by_name, damaged, is_changed: false })
    }

    /// Makes what has changed safe on disk.
    ///
    /// # Errors
    /// When it cannot be; it can be tried again.
    pub(crate) fn save(&mut self) -> io::Result<()> {
        if !self.is_changed {
            return Ok(());
        }
        let mut text = String::new();
        for (name, cursor) in &self.by_name {
            put_line(&mut text, name, cursor);
        }
        seal(&mut text, &format!("|{}|", self.by_name.len()));
        let (file, old) = (self.directory.join(FILE), self.directory.join(OLD_FILE));
        match fs::rename(&file, &old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        replace(&self.directory, FILE, text.as_bytes())?;
        self.is_changed = false;
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

/// The cursors, and how many lines are damaged or missing.
fn parse(content: &[u8]) -> (BTreeMap<String, Cursor>, u64) {
    let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let (mut by_name, mut damaged, mut count) = (BTreeMap::new(), 0, None);
    for line in lines {
        match parse_line(line) {
            Some(Line::Cursor(name, cursor)) if by_name.len() < MAX_CURSORS => {
                by_name.insert(name, cursor);
            }
            Some(Line::Count(found)) => count = Some(found),
            _ => damaged += 1,
        }
    }
    if count != Some(by_name.len()) {
        damaged = damaged.max(1);
    }
    (by_name, damaged)
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cursor(offset: u64, names: &[&str]) -> Cursor {
        let levels = levels(names.iter().copied()).unwrap();
        Cursor { offset, heard_ms: 1_700_000_000_000, gone: 3, levels }
    }

    fn saved(directory: &Path, all: &[(&str, Cursor)]) -> Cursors {
        let mut cursors = Cursors::load(directory).unwrap();
        for (name, cursor) in all {
            cursors.change(name, |c| c.clone_from(cursor));
        }
        cursors.save().unwrap();
        cursors
    }

    #[test]
    fn cursors_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let all = [("zibrato-carbon", cursor(7, &["info", "warn"])), ("all", cursor(9, &["*"]))];
        let cursors = saved(dir.path(), &all);
        assert_eq!((cursors.passed(), cursors.highest()), (7, 9));
        assert!(cursors.wanted().wants("anything"));
        let back = Cursors::load(dir.path()).unwrap();
        assert_eq!(back.by_name, cursors.by_name);
        assert_eq!(back.damaged(), 0);
    }

    #[test]
    fn a_deleted_cursor_stays_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let mut cursors =
            saved(dir.path(), &[("a", cursor(1, &["info"])), ("b", cursor(2, &["x"]))]);
        assert!(cursors.remove("a").is_some() && cursors.remove("a").is_none());
        cursors.save().unwrap();
        let back = Cursors::load(dir.path()).unwrap();
        assert_eq!(back.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b"]);
        let mut back = back;
        back.remove("b");
        back.save().unwrap();
        assert_eq!(Cursors::load(dir.path()).unwrap().iter().count(), 0);
    }

    #[test]
    fn a_broker_that_ended_between_two_files_has_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        saved(dir.path(), &[("a", cursor(1, &["info"]))]);
        fs::rename(dir.path().join(FILE), dir.path().join(OLD_FILE)).unwrap();
        let back = Cursors::load(dir.path()).unwrap();
        assert_eq!(back.get("a"), Some(&cursor(1, &["info"])));
    }

    #[test]
    fn a_file_that_is_cut_costs_at_most_the_last_step() {
        let dir = tempfile::tempdir().unwrap();
        let all = |step| ["a", "b", "c"].map(|name| (name, cursor(step, &["info"])));
        saved(dir.path(), &all(1));
        saved(dir.path(), &all(2));
        let path = dir.path().join(FILE);
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let back = Cursors::load(dir.path()).unwrap();
            assert_eq!(back.iter().count(), 3, "cut at {cut}");
            assert!(back.damaged() > 0 || cut + 1 == whole.len(), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn a_flipped_bit_costs_at_most_the_last_step_of_one_cursor(bit in any::<prop::sample::Index>()) {
            let dir = tempfile::tempdir().unwrap();
            let all = |step| ["a", "b", "c"].map(|name| (name, cursor(step, &["info", "warn"])));
            saved(dir.path(), &all(1));
            saved(dir.path(), &all(2));
            let path = dir.path().join(FILE);
            let mut bytes = fs::read(&path).unwrap();
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bytes).unwrap();
            let back = Cursors::load(dir.path()).unwrap();
            let offsets: Vec<_> = back.iter().map(|(name, c)| (name.to_owned(), c.offset)).collect();
            prop_assert_eq!(offsets.len(), 3);
            // A line end that is gone takes two lines.
            prop_assert!(offsets.iter().filter(|(_, offset)| *offset == 1).count() <= 2);
        }

        #[test]
        fn any_bytes_are_read_without_panic(content in prop::collection::vec(any::<u8>(), 0..300)) {
            let _parsed = parse(&content);
        }
    }
}
