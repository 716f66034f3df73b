//! Another process holds the lock file of a journal under a running broker.

use super::{DEADLINE, Kept, segments};
use std::fs::{self, File};
use std::path::Path;

/// Locks a new lock file, as a broker does that locks no folder. It replaces the old file in one
/// step, so that the broker cannot make its own again in between.
fn take_lock(folder: &Path) -> File {
    let mine = folder.join("lock.mine");
    let lock = File::create(&mine).unwrap();
    lock.lock().unwrap();
    fs::rename(&mine, folder.join("lock")).unwrap();
    lock
}

impl Kept {
    #[track_caller]
    fn acknowledges_nothing(&self) {
        self.acks.socket.set_rcvtimeo(1_500).unwrap();
        assert_eq!(self.acks.next(), None);
        self.acks.socket.set_rcvtimeo(DEADLINE.as_millis() as i32).unwrap();
    }
}

#[test]
fn a_broker_that_was_locked_out_goes_on_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Kept::start(dir.path());
    kept.sends(3);
    for round in 0..2 {
        let other = take_lock(dir.path());
        // A batch waits for the lock, or nothing does.
        if round == 0 {
            kept.send();
        }
        kept.is_unready("another broker has taken the journal");
        kept.acknowledges_nothing();
        drop(other);
        kept.is_ready();
        if round == 0 {
            kept.acknowledged();
        }
        kept.sends(1);
    }
    assert_eq!(kept.reopened(dir.path()), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_journal_that_another_broker_has_written_is_not_taken_back_before_a_restart() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut kept = Kept::start(dir.path());
    kept.sends(3);
    let lock = take_lock(dir.path());
    kept.is_unready("another broker has taken the journal");
    // Another broker continues in a copy, which then replaces the original.
    copy_files(dir.path(), copy.path());
    let mut other = Kept::start(copy.path());
    other.sequence = 9;
    other.sends(1);
    drop(other);
    copy_files(copy.path(), dir.path());
    kept.send();
    drop(lock);
    kept.is_unready("another broker has written to the journal");
    kept.acknowledges_nothing();
    assert_eq!(kept.reopened(dir.path()), [1, 2, 3, 10]);
}

/// Copies the segments and the number of a journal.
fn copy_files(from: &Path, to: &Path) {
    for file in segments(from).into_iter().chain([from.join("id")]) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}
