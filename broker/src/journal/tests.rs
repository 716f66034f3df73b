//! Tests of the journal on a real disk: it can be read, whatever happens to the files.

mod by_hand;

use super::config::SegmentLimits;
use super::format::record;
use super::write::recover::{self, Opened};
use super::write::writer::{Entry, Writer};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use zibrato::window::Novelty;
use zibrato::wire::{BatchId, PublisherId};

const LIMITS: SegmentLimits = SegmentLimits { bytes: 20_000, age_ms: u64::MAX };

fn open(path: &Path) -> Opened {
    recover::open(path, LIMITS).unwrap()
}

fn body(offset: u64) -> Vec<u8> {
    vec![offset as u8; (offset as usize * 37) % 900]
}

/// Appends batches of three publishers and two levels, with increasing sequences.
fn append(writer: &mut Writer, offsets: impl Iterator<Item = u64>) {
    for offset in offsets {
        let body = body(offset);
        writer.commit(&[entry(offset, &body)]).unwrap();
    }
}

fn entry(offset: u64, body: &[u8]) -> Entry<'_> {
    let publisher = PublisherId([(offset % 3) as u8; 16]);
    let level = if offset.is_multiple_of(2) { "info" } else { "warn" };
    let id = BatchId { publisher, sequence: offset };
    Entry { offset, received_ms: 1_000_000 + offset, level, id, body }
}

/// Returns the offsets of all batches, and the number of missing batches in between. Each batch
/// must be unchanged.
fn read_all(opened: &Opened) -> (Vec<u64>, u64) {
    let (mut offsets, mut reader) = (Vec::new(), Reader::after(0));
    let stopped = reader.read(opened.writer.log(), |batch| {
        let offset = batch.stamp.offset;
        let body = body(offset);
        let expected = entry(offset, &body);
        assert_eq!((batch.level, batch.id), (expected.level, expected.id));
        assert_eq!((batch.body, batch.stamp.received_ms), (&*body, expected.received_ms));
        offsets.push(offset);
        Flow::On
    });
    assert_eq!(stopped.unwrap(), Stopped::AtEnd);
    (offsets, reader.take_gone())
}

fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
    entries.map(|entry| (name(&entry), fs::read(entry.path()).unwrap())).collect()
}

fn put(path: &Path, files: &BTreeMap<String, Vec<u8>>) {
    fs::remove_dir_all(path).unwrap();
    fs::create_dir(path).unwrap();
    for (name, content) in files {
        fs::write(path.join(name), content).unwrap();
    }
}

fn written(path: &Path, count: u64) -> BTreeMap<String, Vec<u8>> {
    let mut opened = open(path);
    append(&mut opened.writer, 1..=count);
    drop(opened);
    files(path)
}

#[test]
fn what_was_written_comes_back_in_order_over_several_segments() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 200);
    let opened = open(dir.path());
    assert!(opened.writer.log().outline().segments.len() > 3);
    assert_eq!(read_all(&opened), ((1..=200).collect(), 0));
    assert_eq!((opened.writer.log().end(), opened.writer.log().end_ms()), (200, 1_000_200));
}

#[test]
fn an_opened_journal_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut next = 1;
    for round in 0..12 {
        let mut opened = open(dir.path());
        assert_eq!(opened.writer.log().end() + 1, next);
        append(&mut opened.writer, next..next + round);
        next += round;
        assert_eq!(read_all(&opened), ((1..next).collect(), 0));
    }
}

#[test]
fn sequences_are_known_again_whatever_segment_they_stood_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    let early = BatchId { publisher: PublisherId([99; 16]), sequence: 77 };
    let once = Entry { offset: 1, received_ms: 1, level: "once", id: early, body: b"" };
    opened.writer.commit(&[once]).unwrap();
    append(&mut opened.writer, 2..=200);
    drop(opened);
    let mut opened = open(dir.path());
    let known = Novelty::Duplicate { highest: 77 };
    assert_eq!(opened.sequences.insert(early.publisher, "once", 77), known);
    let known = Novelty::Duplicate { highest: 198 };
    assert_eq!(opened.sequences.insert(PublisherId([0; 16]), "info", 198), known);
    assert_eq!(opened.sequences.insert(PublisherId([0; 16]), "info", 199), Novelty::New);
}

#[test]
fn cut_at_any_byte_of_its_last_record_all_others_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let whole = written(&path, 100);
    let (last, content) = whole.iter().rfind(|(name, _)| name.ends_with("zbj")).unwrap();
    let record = record::batch_bytes("info", &body(100));
    for cut in content.len() - record..content.len() {
        let mut files = whole.clone();
        files.insert(last.clone(), content[..cut].to_vec());
        put(&path, &files);
        let mut opened = open(&path);
        assert_eq!(read_all(&opened), ((1..=99).collect(), 0), "cut at {cut}");
        // Batches that are appended then are found too, and their offsets were never used before.
        let next = opened.writer.log().end() + 1;
        assert!(next > 100 || cut == content.len() - record, "cut at {cut}: {next}");
        append(&mut opened.writer, next..next + 2);
        let expected: Vec<_> = (1..=99).chain(next..next + 2).collect();
        assert_eq!(read_all(&opened), (expected.clone(), 0), "cut at {cut}");
        drop(opened);
        assert_eq!(read_all(&open(&path)), (expected, 0), "cut at {cut}");
    }
}

#[test]
fn a_thousand_flipped_bits_one_by_one_cost_one_record_each_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let whole = written(&path, 60);
    let names: Vec<_> = whole.iter().filter(|(_, c)| !c.is_empty()).map(|(n, _)| n).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % below
    };
    let mut cost = 0;
    for round in 0..1_000 {
        let mut files = whole.clone();
        let name = names[next(names.len())];
        let content = files.get_mut(name).unwrap();
        let at = next(content.len());
        content[at] ^= 1 << next(8);
        put(&path, &files);
        let mut opened = open(&path);
        let (offsets, _) = read_all(&opened);
        let lost = 60 - offsets.len();
        assert!(lost <= 1, "round {round}: {lost} lost by a bit of {name}");
        cost += lost;
        let end = opened.writer.log().end();
        append(&mut opened.writer, end + 1..=end + 1);
        let (offsets, gone) = read_all(&opened);
        assert_eq!(offsets.last(), Some(&(end + 1)));
        // Lost batches in between are counted exactly. A loss at the end cannot be detected.
        assert!(gone as usize == lost || !offsets.contains(&60), "round {round}: {gone}");
    }
    assert!(cost > 100, "the bits hit records: {cost}");
}

#[test]
fn a_damaged_beginning_forgets_no_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut files = written(&path, 200);
    let last = files.iter_mut().rfind(|(name, _)| name.ends_with("zbj")).unwrap();
    // This byte belongs to the sequences at the beginning of the segment.
    last.1[60] ^= 1;
    put(&path, &files);
    let mut opened = open(&path);
    assert_eq!(opened.writer.log().health().damaged, 1);
    for (publisher, sequence) in [(0, 198), (1, 196), (2, 200)] {
        let known = Novelty::Duplicate { highest: sequence };
        assert_eq!(opened.sequences.insert(PublisherId([publisher; 16]), "info", sequence), known);
    }
}

#[test]
fn readers_see_what_was_deleted_as_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    append(&mut opened.writer, 1..=200);
    let log = Arc::clone(opened.writer.log());
    let mut early = Reader::after(0);
    let stopped = early.read(&log, |_| Flow::Stop).unwrap();
    assert_eq!((stopped, early.last()), (Stopped::Before, 1));
    let segments = log.outline().segments;
    opened.writer.delete_oldest(2).unwrap();
    let first = segments[2].first;
    assert_eq!(log.outline().segments.first().unwrap().first, first);
    assert_eq!(log.health().expired, first - 1);
    let (offsets, gone) = read_all(&opened);
    assert_eq!((offsets, gone), ((first..=200).collect(), first - 1));
    // A reader that had begun reads its open segment to the end. Then it misses the deleted
    // batches.
    let mut read = 1;
    early
        .read(&log, |_| {
            read += 1;
            Flow::On
        })
        .unwrap();
    assert_eq!(read + early.take_gone(), 200);
    assert!(read > 200 - first);
    // The last segment is kept, so that the journal can continue.
    opened.writer.delete_oldest(1_000).unwrap();
    assert_eq!(opened.writer.log().outline().segments.len(), 1);
}

#[test]
fn a_reader_goes_on_with_what_comes() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    let mut reader = Reader::after(0);
    let mut seen = Vec::new();
    let mut next = 1;
    for step in [0, 1, 30, 2, 100, 0, 5] {
        append(&mut opened.writer, next..next + step);
        next += step;
        let read = reader.read(opened.writer.log(), |batch| {
            seen.push(batch.stamp.offset);
            Flow::On
        });
        assert_eq!(read.unwrap(), Stopped::AtEnd);
    }
    assert_eq!(seen, (1..next).collect::<Vec<_>>());
    assert_eq!(reader.take_gone(), 0);
}

#[test]
fn a_full_disk_is_waited_for_and_nothing_is_given_back_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    // No disk has all its bytes free, so there is never enough space.
    let config = JournalConfig::new(dir.path()).min_free_percent(100.0);
    let opened = OpenedJournal::open(&config).unwrap();
    let mut journal = opened.start().unwrap().journal;
    let id = BatchId { publisher: PublisherId([1; 16]), sequence: 1 };
    let frame = || zmq::Message::from("x");
    journal.queue.push(Item::Batch(Taken {
        level: "info".into(),
        id,
        stamp: zibrato::wire::Stamp { offset: 1, received_ms: 1 },
        as_lines: true,
        topic: frame(),
        id_frame: frame(),
        body: frame(),
    }));
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while journal.log.health().problem.is_none() {
        assert!(std::time::Instant::now() < deadline, "it says nothing");
        std::thread::yield_now();
    }
    let problem = journal.log.health().problem.unwrap();
    assert!(problem.contains("less than 100 percent"), "{problem}");
    assert!(journal.queue.take_written().is_empty());
    assert_eq!(journal.log.end(), 0);
    assert!(journal.stop(std::time::Instant::now() + Duration::from_millis(300)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_damage_leaves_a_journal_that_opens_and_takes_more(
        count in 1..150_u64,
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut files = written(&path, count);
        let names: Vec<_> = files.keys().cloned().collect();
        for (name, at, with) in hits {
            let content = files.get_mut(&names[name.index(names.len())]).unwrap();
            if !content.is_empty() {
                let at = at.index(content.len());
                content[at] ^= with;
            }
        }
        if let Some((name, at)) = cut {
            let content = files.get_mut(&names[name.index(names.len())]).unwrap();
            content.truncate(at.index(content.len() + 1));
        }
        put(&path, &files);
        let mut opened = open(&path);
        let before = read_all(&opened).0;
        prop_assert!(before.is_sorted() && before.len() as u64 <= count);
        let next = opened.writer.log().end() + 1;
        append(&mut opened.writer, next..next + 3);
        let after: Vec<_> = before.into_iter().chain(next..next + 3).collect();
        prop_assert_eq!(&read_all(&opened).0, &after);
        drop(opened);
        prop_assert_eq!(&read_all(&open(&path)).0, &after);
    }
}

#[test]
fn a_broker_goes_on_behind_what_readers_were_told_also_when_no_batch_came_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig::new(dir.path());
    let before = OpenedJournal::open(&config).unwrap();
    let hour_ahead = zibrato::clock::unix_ms() + 3_600_000;
    before.log().set_watermark_ms(hour_ahead, hour_ahead);
    let Parts { mut journal, .. } = before.start().unwrap();
    // The watermark may advance now, and is written to the file.
    journal.log.set_watermark_ms(hour_ahead, hour_ahead);
    assert_eq!(journal.log.watermark_ms(), hour_ahead);
    let killed = files(dir.path());
    assert!(journal.stop(std::time::Instant::now() + Duration::from_secs(30)));
    drop(journal);
    // A broker that stops normally continues exactly at the watermark. After a kill, the clock may
    // be a little ahead of it.
    assert_eq!(OpenedJournal::open(&config).unwrap().log().clock_ms(), hour_ahead);
    put(dir.path(), &killed);
    let after = OpenedJournal::open(&config).unwrap().log().clock_ms();
    assert!((hour_ahead..hour_ahead + 10_000).contains(&after), "{after}");
}

#[test]
fn how_far_a_reader_is_behind_is_known_after_a_restart_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut opened = open(directory.path());
    let exact = |offset: u64| 1_000_000 + offset * 1_000;
    for offset in 1..=100 {
        let entry = Entry { received_ms: exact(offset), ..entry(offset, b"small") };
        opened.writer.commit(&[entry]).unwrap();
    }
    drop(opened);
    let opened = open(directory.path());
    for offset in 0..100 {
        let found = opened.writer.log().received_after(offset).unwrap();
        let exact = exact(offset + 1);
        assert!(found <= exact && exact < found + 10_000, "{offset}: {found}");
    }
}
