//! Cursors come back, whatever happens to their files.

use super::*;
use proptest::prelude::*;

fn cursor(offset: u64, names: &[&str]) -> Cursor {
    let levels = levels(names.iter().copied()).unwrap();
    Cursor { offset, heard_ms: 1_700_000_000_000, gone: 3, levels }
}

fn save(cursors: &mut Cursors, directory: &Path) {
    cursors.save(&Directory::open(directory).unwrap()).unwrap();
}

fn saved(directory: &Path, all: &[(&str, Cursor)]) -> Cursors {
    let mut cursors = Cursors::load(directory).unwrap();
    for (name, cursor) in all {
        cursors.change(name, |c| c.clone_from(cursor));
    }
    save(&mut cursors, directory);
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
    let mut cursors = saved(dir.path(), &[("a", cursor(1, &["info"])), ("b", cursor(2, &["x"]))]);
    assert!(cursors.remove("a").is_some() && cursors.remove("a").is_none());
    save(&mut cursors, dir.path());
    let back = Cursors::load(dir.path()).unwrap();
    assert_eq!(back.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b"]);
    let mut back = back;
    back.remove("b");
    save(&mut back, dir.path());
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
fn a_broker_that_ended_before_the_new_file_took_its_place_has_lost_nothing() {
    let dir = tempfile::tempdir().unwrap();
    saved(dir.path(), &[("a", cursor(1, &["info"]))]);
    saved(dir.path(), &[("a", cursor(2, &["info"])), ("b", cursor(3, &["info"]))]);
    fs::rename(dir.path().join(FILE), dir.path().join(NEW_FILE)).unwrap();
    let back = Cursors::load(dir.path()).unwrap();
    assert_eq!(back.iter().map(|(_, c)| c.offset).collect::<Vec<_>>(), [2, 3]);
    assert!(!back.is_lossy() && back.is_changed);
}

#[test]
fn a_file_that_cannot_be_replaced_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut cursors = saved(dir.path(), &[("a", cursor(1, &["info"]))]);
    fs::create_dir(dir.path().join(NEW_FILE)).unwrap();
    cursors.change("a", |c| c.offset = 2);
    cursors.save(&Directory::open(dir.path()).unwrap()).unwrap_err();
    let back = Cursors::load(dir.path()).unwrap();
    assert_eq!(back.get("a"), Some(&cursor(1, &["info"])));
    assert!(!back.is_lossy());
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
        // A missing line end damages two lines.
        prop_assert!(offsets.iter().filter(|(_, offset)| *offset == 1).count() <= 2);
    }

    #[test]
    fn any_bytes_are_read_without_panic(content in prop::collection::vec(any::<u8>(), 0..300)) {
        let _parsed = parse(&content);
    }
}
