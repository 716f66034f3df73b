//! Files that a failing disk left behind, or that a user moved, linked or created.

use super::*;
use crate::journal::folder::segments;

const MAX: u64 = record::MAX_OFFSET;

/// The name of a segment that begins with this batch.
fn name(first: u64, marker: u64) -> String {
    format!("{first:020}-{marker:016x}.zbj")
}

/// A segment without batches, as it is left when its first batches could not be written.
fn given_up(first: u64, marker: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::put_sequences(
        &mut bytes,
        marker.to_be_bytes(),
        (first - 1, 1_000_000),
        std::iter::empty(),
    );
    bytes
}

#[test]
fn batches_beside_a_segment_that_was_given_up_come_back() {
    for marker in [0, u64::MAX] {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), 10);
        fs::write(dir.path().join(name(1, marker)), given_up(1, marker)).unwrap();
        for next in [11, 14] {
            let mut opened = open(dir.path());
            assert_eq!(read_all(&opened), ((1..next).collect(), 0), "marker {marker:x}");
            assert_eq!(opened.writer.log().end() + 1, next);
            append(&mut opened.writer, next..next + 3);
            assert_eq!(read_all(&opened), ((1..next + 3).collect(), 0), "marker {marker:x}");
        }
    }
}

#[test]
fn a_reader_that_waits_in_a_segment_that_is_given_up_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(name(1, 7)), given_up(1, 7)).unwrap();
    let mut opened = open(dir.path());
    let mut reader = Reader::after(0);
    assert_eq!(reader.read(opened.writer.log(), |_| Flow::On).unwrap(), Stopped::AtEnd);
    opened.writer.abandon_segment();
    append(&mut opened.writer, 1..=3);
    let mut offsets = Vec::new();
    let read = reader.read(opened.writer.log(), |batch| {
        offsets.push(batch.stamp.offset);
        Flow::On
    });
    assert_eq!((read.unwrap(), offsets, reader.take_gone()), (Stopped::AtEnd, vec![1, 2, 3], 0));
}

#[test]
fn a_segment_that_was_moved_and_linked_is_read() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    written(dir.path(), 200);
    for file in segments(dir.path()).unwrap() {
        let from = folder::segment_path(dir.path(), file.first, file.marker);
        let to = elsewhere.path().join(from.file_name().unwrap());
        fs::rename(&from, &to).unwrap();
        std::os::unix::fs::symlink(to, from).unwrap();
    }
    assert_eq!(read_all(&open(dir.path())), ((1..=200).collect(), 0));
}

#[test]
fn what_no_broker_made_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 10);
    fs::create_dir(dir.path().join(name(5, 1))).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join(name(6, 2))).unwrap();
    for (first, marker) in [(0, 3), (u64::MAX, 4), (u64::MAX - 1, 5)] {
        fs::write(dir.path().join(name(first, marker)), given_up(first.max(1), marker)).unwrap();
    }
    let mut opened = open(dir.path());
    assert_eq!((read_all(&opened), opened.writer.log().end()), (((1..=10).collect(), 0), 10));
    append(&mut opened.writer, 11..=12);
    assert_eq!(read_all(&opened), ((1..=12).collect(), 0));
}

#[test]
fn a_cursor_beyond_any_offset_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut cursors = Cursors::load(dir.path()).unwrap();
    let levels = levels(["info"]).unwrap();
    cursors.change("a", |c| *c = Cursor { offset: u64::MAX, heard_ms: 1, gone: 0, levels });
    cursors.save(&Directory::open(dir.path()).unwrap()).unwrap();
    let back = Cursors::load(dir.path()).unwrap();
    assert_eq!((back.highest(), back.damaged()), (0, 1));
}

#[test]
fn where_little_may_be_kept_segments_are_small_so_that_old_ones_can_go() {
    let config = JournalConfig::new("nowhere").max_bytes(1 << 20);
    assert_eq!(config.segment_limits().bytes, 1 << 16);
    assert_eq!(JournalConfig::new("nowhere").segment_limits().bytes, 64 << 20);
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    opened.writer.limit_segments(4_000);
    append(&mut opened.writer, 1..=60);
    assert!(opened.writer.log().outline().segments.iter().all(|segment| segment.bytes < 5_000));
}

#[test]
fn a_file_without_any_record_moves_no_offset() {
    for first in [3, 500, MAX] {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), 10);
        let file = dir.path().join(name(first, 7));
        fs::write(&file, "no record ".repeat(10_000)).unwrap();
        for next in [11, 14] {
            let mut opened = open(dir.path());
            assert_eq!(opened.writer.log().end() + 1, next, "{first}");
            append(&mut opened.writer, next..next + 3);
            assert_eq!(read_all(&opened), ((1..next + 3).collect(), 0), "{first}");
        }
        assert!(file.exists(), "it is left alone");
        let found = inspect(dir.path(), |_, _| (), |_| Ok(())).unwrap();
        assert_eq!(found.segments.iter().filter(|segment| !segment.has_records).count(), 1);
        assert!(found.segments.iter().all(|segment| segment.missing == 0), "{first}");
    }
}

#[test]
fn the_offsets_of_a_last_segment_that_is_all_damaged_are_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 10);
    fs::write(dir.path().join(name(11, 7)), "no record ".repeat(10)).unwrap();
    let opened = open(dir.path());
    assert!(opened.writer.log().end() >= 11);
    assert_eq!(opened.writer.log().health().damaged, 1);
    assert_eq!(read_all(&opened), ((1..=10).collect(), 0));
}

#[test]
fn two_brokers_in_one_journal_are_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    append(&mut opened.writer, 1..=10);
    // A second broker writes, as if it had not seen the lock.
    let copy = tempfile::tempdir().unwrap();
    written(copy.path(), 10);
    let mut other = open(copy.path());
    other.writer.abandon_segment();
    let body = body(11);
    let entry = Entry { level: "theirs", ..entry(11, &body) };
    let theirs = BatchId { publisher: PublisherId([9; 16]), sequence: 1 };
    other.writer.commit(&[Entry { id: theirs, ..entry }]).unwrap();
    append(&mut opened.writer, 11..=12);
    let last = segments(copy.path()).unwrap().pop().unwrap();
    let from = folder::segment_path(copy.path(), last.first, last.marker);
    fs::copy(&from, dir.path().join(from.file_name().unwrap())).unwrap();
    let doubled = |path: &Path| {
        let found = inspect(path, |_, _| (), |_| Ok(())).unwrap();
        found.segments.iter().map(|segment| segment.doubled).sum::<u64>()
    };
    assert_eq!((doubled(dir.path()), doubled(copy.path())), (1, 0));
}
