//! Tests of the folder of a journal: its lock and its files.

use super::*;
use crate::journal::folder::is_in_use;

#[test]
fn a_directory_is_for_one_broker_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/journal");
    let first = Directory::open(&path).unwrap();
    assert!(is_in_use(&path));
    let error = Directory::open(&path).unwrap_err().to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    drop(first);
    assert!(!is_in_use(&path));
    Directory::open(&path).unwrap();
}

#[test]
fn a_journal_without_segments_is_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let id = Directory::open(dir.path()).unwrap().id();
    let directory = Directory::open(dir.path()).unwrap();
    assert_ne!(directory.id(), id);
    let id = directory.id();
    let (_, marker) = directory.create_segment(7).unwrap();
    drop(directory);
    let directory = Directory::open(dir.path()).unwrap();
    assert_eq!(directory.id(), id);
    fs::write(dir.path().join("00000000000000000001-abc.zbj"), "no segment").unwrap();
    fs::write(dir.path().join("notes.txt"), "no segment").unwrap();
    let expected = [SegmentFile { first: 7, marker, bytes: 0 }];
    assert_eq!(segments(dir.path()).unwrap(), expected);
    directory.delete_segment(7, marker).unwrap();
    directory.delete_segment(7, marker).unwrap();
    assert_eq!(segments(dir.path()).unwrap(), []);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_no_reason_not_to_open_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let id = Directory::open(dir.path()).unwrap().id();
    let new = format!("{ID_FILE}.new");
    std::os::unix::fs::symlink("/dev/full", dir.path().join(&new)).unwrap();
    let opened = Directory::open(dir.path()).unwrap().id();
    assert_ne!(opened, id);
    assert_eq!(read_id(dir.path()), Some(opened));
    // A failed write leaves no file.
    assert!(fs::symlink_metadata(dir.path().join(&new)).is_err());
}

#[test]
#[cfg(target_os = "linux")]
fn the_first_start_on_a_full_disk_says_that_it_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let new = dir.path().join(format!("{ID_FILE}.new"));
    std::os::unix::fs::symlink("/dev/full", &new).unwrap();
    let error = Directory::open(dir.path()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("--journal") && text.contains("No space left"), "{text}");
    let JournalError::Unusable { problem, .. } = error else { panic!("{error:?}") };
    assert_eq!(problem.kind(), io::ErrorKind::StorageFull);
    assert!(fs::symlink_metadata(&new).is_err());
}

#[test]
fn what_is_made_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let directory = Directory::open(&path).unwrap();
    directory.create_segment(1).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for entry in fs::read_dir(&path).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn what_was_not_finished_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("00000000000000000001-000000000000abcd.zbj.new");
    fs::write(&file, "half").unwrap();
    Directory::open(dir.path()).unwrap();
    assert!(!file.exists());
}

#[test]
fn a_file_in_the_way_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "").unwrap();
    let error = Directory::open(&path).unwrap_err().to_string();
    assert!(error.contains("file") && error.contains("--journal"), "{error}");
}
