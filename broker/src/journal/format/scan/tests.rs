//! Intact records are found, wherever the damage is.

use super::super::record::{Content, put_batch};
use super::*;
use proptest::prelude::*;
use zibrato::wire::{BatchId, PublisherId};

const MARKER: Marker = *b"\xfe\x11\x22\x33\x44\x55\x66\xef";

fn segment(bodies: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut starts) = (Vec::new(), Vec::new());
    for (n, body) in bodies.iter().enumerate() {
        starts.push(bytes.len());
        let id = BatchId { publisher: PublisherId([1; 16]), sequence: n as u64 + 1 };
        put_batch(&mut bytes, MARKER, (n as u64 + 1, 1_000 + n as u64), ("info", id, body));
    }
    (bytes, starts)
}

/// Offset and body of each batch, and where damage begins and ends.
type Findings = (Vec<(u64, Vec<u8>)>, Vec<(u64, u64)>);

fn found(bytes: &[u8]) -> Findings {
    let mut scan = Scan::new(bytes, MARKER, bytes.len() as u64);
    let (mut batches, mut damage) = (Vec::new(), Vec::new());
    while let Some(found) = scan.next().unwrap() {
        match found {
            Found::Record {
                record: Record { offset, content: Content::Batch { body, .. }, .. },
                ..
            } => {
                batches.push((offset, body.to_vec()));
            }
            Found::Record { record, .. } => panic!("{record:?}"),
            Found::Damage { from, to } => damage.push((from, to)),
        }
    }
    assert_eq!(scan.at(), bytes.len() as u64);
    (batches, damage)
}

fn bodies() -> Vec<Vec<u8>> {
    let sizes = [0, 1, 100, CHUNK - 60, CHUNK, 3 * CHUNK + 5, 7, 0, 50_000];
    sizes.iter().enumerate().map(|(n, size)| vec![n as u8; *size]).collect()
}

#[test]
fn all_records_are_found_in_order() {
    let bodies = bodies();
    let (bytes, _) = segment(&bodies);
    let (batches, damage) = found(&bytes);
    assert_eq!(batches, (1..).zip(bodies).collect::<Vec<_>>());
    assert_eq!(damage, []);
}

#[test]
fn a_segment_that_is_cut_at_any_byte_of_its_last_record_has_all_but_that() {
    let bodies = vec![vec![5; 300], vec![6; 40]];
    let (bytes, starts) = segment(&bodies);
    for cut in starts[1]..bytes.len() {
        let (batches, damage) = found(&bytes[..cut]);
        assert_eq!(batches, [(1, bodies[0].clone())], "cut at {cut}");
        let torn = (starts[1] as u64, cut as u64);
        assert_eq!(damage, if cut == starts[1] { vec![] } else { vec![torn] });
    }
}

#[test]
fn a_marker_in_a_body_misleads_nobody() {
    let mut body = MARKER.to_vec();
    body.extend_from_slice(&[0, 0, 0, 20, 1, 2, 3, 4]);
    body.extend_from_slice(&MARKER);
    let (mut bytes, starts) = segment(&[body.clone(), body.clone(), body.clone()]);
    bytes[starts[1] + 20] ^= 1;
    let (batches, damage) = found(&bytes);
    assert_eq!(batches, [(1, body.clone()), (3, body)]);
    assert_eq!(damage, [(starts[1] as u64, starts[2] as u64)]);
}

#[test]
fn what_is_appended_is_found_when_the_scan_is_told() {
    let (bytes, starts) = segment(&[vec![1; 10], vec![2; 10], vec![3; 10]]);
    let mut scan = Scan::new(&bytes[..], MARKER, starts[1] as u64);
    assert!(matches!(scan.next().unwrap(), Some(Found::Record { at: 0, .. })));
    assert_eq!(scan.next().unwrap(), None);
    scan.grow(bytes.len() as u64);
    let second = starts[1] as u64;
    assert!(matches!(scan.next().unwrap(), Some(Found::Record { at, .. }) if at == second));
    assert!(matches!(scan.next().unwrap(), Some(Found::Record { .. })));
    assert_eq!(scan.next().unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn records_that_no_damage_touches_are_all_found(
        sizes in prop::collection::vec(0..400_usize, 1..20),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let bodies: Vec<_> = sizes.iter().enumerate().map(|(n, size)| vec![n as u8; *size]).collect();
        let (whole, mut starts) = segment(&bodies);
        let mut bytes = whole.clone();
        for (at, with) in hits {
            let at = at.index(bytes.len());
            bytes[at] ^= with;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        starts.push(whole.len());
        let expected: Vec<_> = starts
            .windows(2)
            .zip(1_u64..)
            .filter(|(at, _)| bytes.get(at[0]..at[1]) == Some(&whole[at[0]..at[1]]))
            .map(|(_, offset)| (offset, bodies[offset as usize - 1].clone()))
            .collect();
        prop_assert_eq!(found(&bytes).0, expected);
    }

    #[test]
    fn any_bytes_are_gone_through(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert_eq!(found(&bytes).0, []);
    }
}
