//! The same batches give the same windows, however answers are split and wherever a feed restarts.

use crate::fold::Folder;
use crate::idle_gauges::IdleGauges;
use proptest::prelude::*;
use std::time::Duration;
use zibrato::Gauge;
use zibrato::window::Window;
use zibrato::wire::{BatchId, BatchWriter, PublisherId, Stamp};

const FLUSH: Duration = Duration::from_secs(1);

/// A batch in a journal: its frames and its stamp.
#[derive(Debug, Clone)]
struct Kept {
    stamp: Stamp,
    frames: [Vec<u8>; 4],
}

/// A batch of one counter, one gauge that was set or not, and one timer.
fn kept(offset: u64, received_ms: u64, name: u8, value: f64) -> Kept {
    let stamp = Stamp { offset, received_ms };
    let mut body = BatchWriter::new("web-1", received_ms, 1000);
    let name = format!("n{name}");
    body.counter(&name, &[], value);
    let idle = Gauge::idle(value, received_ms);
    let gauge = if offset.is_multiple_of(2) { idle } else { Gauge::reading(value, received_ms) };
    body.gauge(&name, &[], &gauge);
    body.timer_readings(&name, &[], &[value]);
    let id = BatchId { publisher: PublisherId([1; 16]), sequence: offset };
    let frames =
        [b"zb1|info|".to_vec(), id.encode().to_vec(), stamp.encode().to_vec(), body.finish()];
    Kept { stamp, frames }
}

/// A window as text: its start and its series.
type Text = (u64, String);

fn text(window: Window) -> Text {
    (window.start_ms(), format!("{:?}", window.into_series()))
}

fn take(folder: &mut Folder, kept: &Kept) -> Option<Window> {
    folder.take(&kept.frames.each_ref().map(Vec::as_slice), 0)
}

/// The answers to a reader: how many batches each contains, and how far its watermark lags.
type Cuts = [(usize, u64)];

/// Reads a journal from an offset to its end, or until `most` windows have ended, with the given
/// answers. Returns the windows, and the position where the last one ends.
fn read(
    journal: &[Kept],
    after: u64,
    cuts: &Cuts,
    most: usize,
    done_ms: u64,
) -> (Vec<Text>, u64, bool) {
    let mut folder = Folder::by_stamps(FLUSH, 1000, IdleGauges::Repeat);
    let (mut windows, mut committed, mut cuts) = (Vec::new(), after, cuts.iter().cycle());
    let mut at = journal.iter().position(|kept| kept.stamp.offset > after);
    loop {
        let from = at.unwrap_or(journal.len());
        let &(batches, late) = cuts.next().unwrap();
        let to = (from + batches).min(journal.len());
        let mut ended = Vec::new();
        for kept in &journal[from..to] {
            // Batches before this one are in the window that ends with it.
            let place = kept.stamp.offset - 1;
            ended.extend(take(&mut folder, kept).map(|window| (window, place)));
        }
        // All batches received before the next one have been returned.
        let until = journal.get(to).map_or(done_ms, |next| next.stamp.received_ms);
        let last = journal[..to].last().map_or(0, |kept| kept.stamp.received_ms);
        let until = last.max(until.saturating_sub(late));
        let through = journal[..to].last().map_or(after, |kept| kept.stamp.offset).max(after);
        ended.extend(folder.complete(until).map(|window| (window, through)));
        for (window, through) in ended {
            assert!(through >= committed);
            windows.push(text(window));
            committed = through;
            if windows.len() == most {
                return (windows, committed, false);
            }
        }
        if to == journal.len() && until == done_ms {
            return (windows, committed, true);
        }
        at = Some(to);
    }
}

#[test]
fn a_batch_for_an_ended_window_belongs_to_the_next_one() {
    let mut folder = Folder::by_stamps(FLUSH, 1000, IdleGauges::Repeat);
    let mut take =
        |offset, received_ms| take(&mut folder, &kept(offset, received_ms, 1, 1.0)).map(text);
    let noon = 1_700_000_040_000;
    assert!(take(1, noon + 900).is_none());
    assert_eq!(take(2, noon + 1_000).unwrap().0, noon);
    // The broker's clock was set back while it was stopped.
    assert!(take(3, noon + 900).is_none() && take(4, noon + 1_500).is_none());
    let (start, series) = take(5, noon + 2_000).unwrap();
    assert_eq!(start, noon + 1_000);
    assert!(series.contains("Counter(3.0)"), "{series}");
    // A batch this far back belongs to another time.
    assert_eq!(take(6, 1_000).unwrap().0, noon + 2_000);
    assert_eq!(take(7, 2_000).unwrap().0, 1_000);
    assert_eq!(folder.take_counts().late, 1);
}

proptest! {
    /// Any split of the same stream into answers, with restarts at any time from the committed
    /// position, gives the same windows.
    #[test]
    fn windows_do_not_depend_on_restarts(
        batches in prop::collection::vec((0..700_u64, 1..4_u64, 0..5_u8, -1e3..1e3_f64), 1..80),
        cuts in prop::collection::vec((0..9_usize, prop_oneof![Just(0), 0..2_000_u64]), 1..20),
        restarts in prop::collection::vec(1..4_usize, 0..40),
    ) {
        let (mut offset, mut received) = (0, 1_700_000_000_000);
        let journal: Vec<_> = batches.iter().map(|&(later, further, name, value)| {
            // Offsets in between belong to other levels.
            (offset, received) = (offset + further, received + later);
            kept(offset, received, name, value)
        }).collect();
        let done = received + 10_000;
        let whole = [(usize::MAX / 2, 0)];
        let (expected, _, _) = read(&journal, 0, &whole, usize::MAX, done);
        prop_assert_eq!(expected.is_empty(), false);

        // The last watermark does not lag, or the stream would have no end.
        let cuts: Vec<_> = cuts.into_iter().chain([(3, 0)]).collect();
        let (mut found, mut committed, mut ended) = (Vec::new(), 0, false);
        let mut restarts = restarts.into_iter();
        while !ended {
            let most = restarts.next().unwrap_or(usize::MAX);
            let (windows, through, done) = read(&journal, committed, &cuts, most, done);
            found.extend(windows);
            (committed, ended) = (through, done);
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn arbitrary_frames_cause_no_panic(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..7),
        offset in any::<u64>(),
        received in any::<u64>(),
    ) {
        let mut folder = Folder::by_stamps(FLUSH, 10, IdleGauges::Repeat);
        folder.take(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>(), 0);
        take(&mut folder, &kept(offset, received, 1, 1.0));
        prop_assert!(folder.is_open());
        folder.complete(u64::MAX);
        prop_assert!(folder.take_counts().batches >= 1);
    }
}

#[test]
fn a_window_ends_with_the_next_batch_or_by_the_brokers_clock() {
    let mut folder = Folder::by_stamps(FLUSH, 10, IdleGauges::Repeat);
    let start = |ended: Option<Window>| ended.map(|window| window.start_ms());
    assert_eq!(start(take(&mut folder, &kept(3, 1_999, 0, 1.0))), None);
    assert!(folder.complete(1_999).is_none());
    assert_eq!(start(take(&mut folder, &kept(9, 2_000, 0, 1.0))), Some(1_000));
    assert_eq!(start(folder.complete(3_000)), Some(2_000));
    assert!(!folder.is_open() && folder.complete(9_000).is_none());
    // After the broker's clock was corrected: the window of that time again.
    assert_eq!(start(take(&mut folder, &kept(21, 9_000, 0, 1.0))), None);
    assert_eq!(start(take(&mut folder, &kept(22, 500, 0, 1.0))), Some(9_000));
}

#[test]
fn a_batch_without_a_stamp_is_rejected() {
    let mut folder = Folder::by_stamps(FLUSH, 10, IdleGauges::Repeat);
    let [topic, id, _, body] = kept(1, 1, 0, 1.0).frames;
    assert!(folder.take(&[&topic, &id, &body], 0).is_none() && !folder.is_open());
    assert_eq!(folder.take_counts().refused["frames"].0, 1);
}
