//! Records can be read back unchanged, and have the layout that the documentation of the module
//! shows.

use super::*;
use proptest::prelude::*;

const MARKER: Marker = *b"\x00\x11\x22\x33\x44\x55\x66\x77";
const ID: BatchId = BatchId { publisher: PublisherId([7; 16]), sequence: 9 };

fn only(bytes: &[u8]) -> Record<'_> {
    let head = head(bytes, MARKER).unwrap();
    let payload = &bytes[HEAD_BYTES..];
    assert!(head.fits(payload));
    read(payload).unwrap()
}

#[test]
fn a_batch_is_laid_out_byte_by_byte() {
    let mut bytes = Vec::new();
    put_batch(&mut bytes, MARKER, (3, 1_700_000_000_000), ("info", ID, b"body"));
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bytes.len(), batch_bytes("info", b"body"));
    let expected = [
        "0011223344556677",
        "00000032",
        "b07734cc",
        "01",
        "0000000000000003",
        "0000018bcfe56800",
        "07070707070707070707070707070707",
        "0000000000000009",
        "04",
        "696e666f",
        "626f6479",
    ];
    assert_eq!(hex, expected.concat());
    let content = Content::Batch { id: ID, level: "info", body: b"body" };
    assert_eq!(only(&bytes), Record { offset: 3, received_ms: 1_700_000_000_000, content });
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let mut bytes = Vec::new();
    put_batch(&mut bytes, MARKER, (3, 4), ("info", ID, b"body"));
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let whole = head(&bytes, MARKER)
            .is_some_and(|head| head.fits(bytes.get(HEAD_BYTES..).unwrap_or_default()));
        assert!(!whole, "bit {bit}");
    }
}

#[test]
fn many_sequences_take_several_records() {
    let levels: Vec<_> = (0..20_000_u64).map(|n| (n, format!("level-{n}"))).collect();
    let publisher = |n: u64| PublisherId([u8::try_from(n % 251).unwrap(); 16]);
    let all: Vec<_> = levels.iter().map(|(n, level)| (publisher(*n), level.as_str(), *n)).collect();
    let mut bytes = Vec::new();
    put_sequences(&mut bytes, MARKER, (5, 6), all.iter().copied());
    let (mut back, mut lasts, mut rest) = (Vec::new(), Vec::new(), &bytes[..]);
    while !rest.is_empty() {
        let bytes = HEAD_BYTES + head(rest, MARKER).unwrap().payload;
        let Content::Sequences { last, pairs: some } = only(&rest[..bytes]).content else {
            panic!("not sequences");
        };
        lasts.push(last);
        back.extend(pairs(some));
        rest = &rest[bytes..];
    }
    assert_eq!(back, all);
    assert!(lasts.len() > 2 && lasts.iter().rev().skip(1).all(|last| !last), "{lasts:?}");
    assert_eq!(lasts.last(), Some(&true));
}

#[test]
fn no_sequences_are_one_record_too() {
    let mut bytes = Vec::new();
    put_sequences(&mut bytes, MARKER, (5, 6), [].into_iter());
    assert_eq!(only(&bytes).content, Content::Sequences { last: true, pairs: b"" });
    bytes.clear();
    put_resumed(&mut bytes, MARKER, (5, 6), 2);
    assert_eq!(only(&bytes).content, Content::Resumed { was: 2 });
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(payload in prop::collection::vec(any::<u8>(), 0..100)) {
        let _head = head(&payload, MARKER);
        if let Some(Record { content: Content::Sequences { pairs: some, .. }, .. }) = read(&payload) {
            prop_assert!(pairs(some).count() <= payload.len());
        }
    }
}
