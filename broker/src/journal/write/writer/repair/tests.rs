//! A folder that returns is used again, even with files that this broker itself left unfinished.

use crate::journal::config::SegmentLimits;
use crate::journal::folder::{is_folder_missing, segments};
use crate::journal::write::recover;
use crate::journal::write::writer::Entry;
use std::fs;
use zibrato::wire::{BatchId, PublisherId};

fn entry(offset: u64) -> Entry<'static> {
    let id = BatchId { publisher: PublisherId([1; 16]), sequence: offset };
    Entry { offset, received_ms: 1_000, level: "info", id, body: b"body" }
}

#[test]
fn a_fresh_segment_in_a_folder_that_was_moved_does_not_keep_it_from_coming_back() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, elsewhere) = (dir.path().join("journal"), dir.path().join("elsewhere"));
    let limits = SegmentLimits { bytes: 1 << 20, age_ms: u64::MAX };
    let mut writer = recover::open(&folder, limits).unwrap().writer;
    writer.commit(&[entry(1)]).unwrap();
    // The folder is moved while the first batch of a segment is written.
    writer.open = Some(writer.begin_segment(&entry(2)).unwrap());
    fs::rename(&folder, &elsewhere).unwrap();
    let error = writer.commit(&[entry(2)]).unwrap_err();
    assert!(is_folder_missing(&error), "{error}");
    fs::rename(&elsewhere, &folder).unwrap();
    writer.commit(&[entry(2)]).unwrap();
    writer.delete_pending().unwrap();
    assert_eq!(segments(&folder).unwrap().len(), 2, "the unfinished one is deleted");
    assert_eq!(writer.log().end(), 2);
}
