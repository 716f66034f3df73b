//! How the thread handles a failing disk.

use super::{
    JournalConfig, JournalThread, LogLimits, OpenedJournal, Queue, SegmentLost, WriteError,
};
use std::io;
use std::sync::Arc;

#[test]
fn a_lack_of_space_is_reported_before_anything_has_to_be_written() {
    let dir = tempfile::tempdir().unwrap();
    // No disk has all its bytes free, so there is never enough space.
    let config = JournalConfig::new(dir.path()).min_free_percent(100.0);
    let OpenedJournal { writer, retention, watermark, .. } = OpenedJournal::open(&config).unwrap();
    let log = Arc::clone(writer.log());
    let queue = Arc::new(Queue::new(1, Arc::clone(&log)));
    let (short_of, is_full, log_limits) = (0, false, LogLimits::default());
    let mut thread =
        JournalThread { writer, retention, queue, watermark, short_of, is_full, log_limits };
    thread.check();
    let problem = log.health().problem.unwrap_or_default();
    assert!(problem.contains("less than 100 percent of its disk is free"), "{problem}");
    thread.retention.min_free_percent = 0.0;
    thread.check();
    assert_eq!(log.health().problem, None);
}

#[test]
fn a_segment_that_somebody_deletes_while_it_is_written_is_tried_again_at_once() {
    for (source, at_once) in [
        (io::Error::other(SegmentLost), true),
        (io::ErrorKind::StorageFull.into(), false),
        (io::Error::other("Input/output error"), false),
    ] {
        let error = WriteError::of(&source);
        assert_eq!(error.is_repaired_at_once(), at_once, "{error:?}");
        assert_eq!(error.to_string(), source.to_string());
    }
}
