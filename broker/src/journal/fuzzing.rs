//! Fuzz targets: journals and files of cursors with arbitrary damage.

use super::config::SegmentLimits;
use super::cursors::{Cursor, Cursors, levels};
use super::folder::{Directory, read_small, segment_path, segments};
use super::read::{Flow, Reader};
use super::write::recover::{self, Opened};
use super::write::writer::Entry;
use std::fs;
use std::path::{Path, PathBuf};
use zibrato::wire::{BatchId, PublisherId};

const LIMITS: SegmentLimits = SegmentLimits { bytes: 600, age_ms: u64::MAX };
const BATCHES: u64 = 12;
const MAX_BYTES: usize = 64 << 10;

/// Deletes and returns a folder that only this process uses.
fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("zibrato-fuzz-{}", std::process::id()));
    fs::remove_dir_all(&folder).ok();
    folder
}

fn body(offset: u64) -> Vec<u8> {
    vec![offset as u8; (offset % 5 * 11) as usize]
}

fn append(opened: &mut Opened, offsets: impl Iterator<Item = u64>) {
    for offset in offsets {
        let body = body(offset);
        let id = BatchId { publisher: PublisherId([7; 16]), sequence: offset };
        let entry = Entry { offset, received_ms: offset, level: "info", id, body: &body };
        assert!(opened.writer.commit(&[entry]).is_ok(), "the disk refuses");
    }
}

/// The offsets of the batches. Each batch must be unchanged.
fn offsets(opened: &Opened) -> Vec<u64> {
    let mut offsets = Vec::new();
    let read = Reader::after(0).read(opened.writer.log(), |batch| {
        let offset = batch.stamp.offset;
        assert_eq!((batch.id.sequence, batch.body), (offset, &*body(offset)));
        offsets.push(offset);
        Flow::On
    });
    assert!(read.is_ok(), "the disk refuses");
    offsets
}

fn open(path: &Path) -> Opened {
    match recover::open(path, LIMITS) {
        Ok(opened) => opened,
        Err(error) => panic!("{error}"),
    }
}

/// Creates a journal of a dozen batches, and damages its files as `input` says: four bytes for each
/// change, insertion or truncation.
///
/// # Panics
/// If the journal cannot be opened, or does not have the batches that are appended afterwards.
pub fn journal(input: &[u8]) {
    let path = folder();
    let mut opened = open(&path);
    append(&mut opened, 1..=BATCHES);
    drop(opened);
    let files = segments(&path).unwrap_or_default();
    for step in input.chunks_exact(4).take(64) {
        let [what, which, at, with] = step else { continue };
        let Some(file) = files.get(usize::from(*which) % files.len().max(1)) else { continue };
        let path = segment_path(&path, file.first, file.marker);
        let mut content = read_small(&path).unwrap_or_default();
        // Positions reach every byte of a segment of this size.
        let at = (usize::from(*at) << 2 | usize::from(what >> 6)) % (content.len() + 1);
        match what % 4 {
            0 => content.truncate(at),
            1 => content.insert(at, *with),
            2 if content.len() < MAX_BYTES => content.extend_from_within(at..),
            2 => content.truncate(at),
            _ => content.get_mut(at).into_iter().for_each(|byte| *byte ^= with),
        }
        assert!(fs::write(&path, content).is_ok(), "the disk refuses");
    }
    let mut opened = open(&path);
    let before = offsets(&opened);
    assert!(before.is_sorted() && before.len() as u64 <= BATCHES);
    let next = opened.writer.log().end() + 1;
    append(&mut opened, next..next + 2);
    let after: Vec<_> = before.into_iter().chain(next..next + 2).collect();
    assert_eq!(offsets(&opened), after);
    drop(opened);
    assert_eq!(offsets(&open(&path)), after);
}

/// Reads `input` as a file of cursors.
///
/// # Panics
/// If it cannot be read, or the cursors that are saved then cannot be read again.
pub fn cursors(input: &[u8]) {
    let path = folder();
    let made = fs::create_dir(&path).and_then(|()| fs::write(path.join("cursors"), input));
    assert!(made.is_ok(), "the disk refuses");
    let Ok(mut cursors) = Cursors::load(&path) else { panic!("it is not read") };
    if cursors.has_room() {
        cursors.change("added", |cursor| cursor.clone_from(&added()));
    }
    let Ok(directory) = Directory::open(&path) else { panic!("it is in use") };
    assert!(cursors.save(&directory).is_ok(), "the disk refuses");
    let Ok(again) = Cursors::load(&path) else { panic!("it is not read again") };
    assert!(again.iter().eq(cursors.iter()) && again.damaged() == 0);
}

fn added() -> Cursor {
    let levels = levels(["info", "*"]).unwrap_or_default();
    Cursor { offset: 1042, heard_ms: 1_700_000_000_000, gone: 3, levels }
}

/// A file of cursors as the broker writes it.
#[must_use]
pub fn cursors_seed() -> Vec<u8> {
    let path = folder();
    fs::create_dir(&path).ok();
    let Ok(mut cursors) = Cursors::load(&path) else { return Vec::new() };
    cursors.change("zibrato-carbon", |cursor| cursor.clone_from(&added()));
    if let Ok(directory) = Directory::open(&path) {
        cursors.save(&directory).ok();
    }
    let content = read_small(&path.join("cursors")).unwrap_or_default();
    fs::remove_dir_all(&path).ok();
    content
}
