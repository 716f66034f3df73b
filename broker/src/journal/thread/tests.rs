//! What the thread makes of a disk in trouble.

use super::{Complaints, JournalConfig, Keeper, OpenedJournal, Queue, SegmentLost, Trouble};
use std::io;
use std::sync::Arc;

#[test]
fn a_disk_that_is_short_is_told_before_anything_is_to_be_written() {
    let dir = tempfile::tempdir().unwrap();
    // No disk is free wholly.
    let config = JournalConfig::new(dir.path()).min_free_percent(100.0);
    let OpenedJournal { writer, retention, told, .. } = OpenedJournal::open(&config).unwrap();
    let log = Arc::clone(writer.log());
    let queue = Arc::new(Queue::new(1, Arc::clone(&log)));
    let (short_of, is_full, complaints) = (0, false, Complaints::default());
    let mut keeper = Keeper { writer, retention, queue, told, short_of, is_full, complaints };
    keeper.look();
    let problem = log.health().problem.unwrap_or_default();
    assert!(problem.contains("less than 100 percent of its disk is free"), "{problem}");
    keeper.retention.min_free_percent = 0.0;
    keeper.look();
    assert_eq!(log.health().problem, None);
}

#[test]
fn a_segment_that_somebody_deletes_while_it_is_written_is_tried_again_at_once() {
    for (error, at_once) in [
        (io::Error::other(SegmentLost), true),
        (io::ErrorKind::StorageFull.into(), false),
        (io::Error::other("Input/output error"), false),
    ] {
        let trouble = Trouble::of(&error);
        assert_eq!(trouble.is_mended_at_once(), at_once, "{trouble:?}");
        assert_eq!(trouble.text(), error.to_string());
    }
}
