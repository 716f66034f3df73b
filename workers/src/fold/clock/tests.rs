//! Every message is either added once, or rejected and counted.

use crate::fold::Folder;
use crate::idle_gauges::IdleGauges;
use proptest::prelude::*;
use std::time::Duration;
use zibrato::window::{Fold, Window};
use zibrato::wire::{BatchId, BatchWriter, PublisherId, Stamp};

const NOW: u64 = 1_700_000_040_000;

fn folder() -> Folder {
    Folder::by_clock(Duration::from_secs(60), 1000, IdleGauges::Repeat)
}

fn id(sequence: u64) -> [u8; 24] {
    BatchId { publisher: PublisherId([1; 16]), sequence }.encode()
}

fn stamp(received_ms: u64) -> [u8; 16] {
    Stamp { offset: 0, received_ms }.encode()
}

fn body(sum: f64) -> Vec<u8> {
    let mut batch = BatchWriter::new("web-1", NOW, 1000);
    batch.counter("logins", &[], sum);
    batch.finish()
}

fn sum(windows: Vec<Window>) -> f64 {
    let series = windows.into_iter().flat_map(Window::into_series);
    series.map(|s| if let Fold::Counter(sum) = s.value { sum } else { f64::NAN }).sum()
}

#[test]
fn a_batch_belongs_to_the_window_in_which_the_broker_received_it() {
    let mut folder = folder();
    folder.take(&[b"zb1|info|", &id(1), &stamp(NOW - 1), &body(1.0)], NOW + 10);
    folder.take(&[b"zb1|info|", &id(2), &stamp(NOW + 1), &body(2.0)], NOW + 10);
    folder.take(&[b"zb1|info|", &id(3), &body(4.0)], NOW + 10);
    assert_eq!(sum(folder.due(NOW + 250)), 1.0);
    assert_eq!(folder.next_due_ms(NOW + 250), Some(NOW + 60_250));
    assert_eq!(sum(folder.due(NOW + 60_250)), 6.0);
}

#[test]
fn a_repeated_batch_is_counted_once() {
    let mut folder = folder();
    for sequence in [1, 1, 2, 1, 2, 3] {
        folder.take(&[b"zb1|info|", &id(sequence), &stamp(NOW), &body(1.0)], NOW);
    }
    folder.take(&[b"zb1|warn|", &id(1), &stamp(NOW), &body(1.0)], NOW);
    let counts = folder.take_counts();
    assert_eq!((counts.batches, counts.duplicates, counts.entries), (4, 3, 4));
    assert_eq!(sum(folder.drain()), 4.0);
}

#[test]
fn other_messages_are_rejected_and_counted_by_reason() {
    let mut folder = folder();
    let (good, id, stamp) = (body(1.0), id(1), stamp(NOW));
    let cut = &good[..good.len() - 3];
    let topic = &b"zb1|info|"[..];
    for (frames, reason) in [
        (vec![topic], "frames"),
        (vec![topic, &id], "frames"),
        (vec![topic, &id, &stamp, &good, b"more"], "frames"),
        (vec![topic, &id[1..], &stamp, &good], "frames"),
        (vec![topic, &id, &stamp[1..], &good], "frames"),
        (vec![b"zb1|a|b|", &id, &stamp, &good], "frames"),
        (vec![b"zb1|\xff|", &id, &stamp, &good], "frames"),
        (vec![], "frames"),
        (vec![b"zb2|info|", &id, &stamp, &good], "version"),
        (vec![topic, &id, &stamp, b""], "body"),
        (vec![topic, &id, &stamp, b"\x80"], "body"),
        (vec![topic, &id, &stamp, &[0xc1; 100]], "body"),
    ] {
        folder.take(&frames, NOW);
        let counts = folder.take_counts();
        let refused: Vec<_> = counts.refused.iter().map(|(r, (n, _))| (*r, *n)).collect();
        assert_eq!(refused, [(reason, 1)], "{frames:?}");
        assert_eq!((counts.batches, counts.duplicates), (0, 0), "{frames:?}");
    }
    folder.take(&[topic, &id, &stamp, cut], NOW);
    assert_eq!(folder.take_counts().refused["entry"].0, 1);
    folder.take(&[topic, &super::tests::id(2), &stamp, &good], NOW);
    assert_eq!(sum(folder.drain()), 1.0);
}

#[test]
fn a_batch_without_entries_makes_no_window() {
    let mut folder = folder();
    let empty = BatchWriter::new("web-1", NOW, 1000).finish();
    folder.take(&[b"zb1|info|", &id(1), &stamp(NOW), &empty], NOW);
    let counts = folder.take_counts();
    assert_eq!((counts.batches, counts.refused.len()), (1, 0));
    assert!(folder.drain().is_empty());
}

proptest! {
    #[test]
    fn arbitrary_frames_cause_no_panic(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..7),
        flip in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut folder = folder();
        folder.take(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>(), NOW);
        let mut bent = body(1.0);
        let at = flip.index(bent.len());
        bent[at] ^= 1 << bit;
        folder.take(&[b"zb1|info|", &id(1), &stamp(u64::MAX), &bent], NOW);
        folder.take(&[b"zb1|info|", &id(2), &stamp(0), &body(1.0)], NOW);
        let counts = folder.take_counts();
        prop_assert!(counts.batches >= 1);
    }
}
