//! The 64-bit FNV-1a hash. It is the same on every machine and in every version, unlike the hashes
//! of the standard library.
//!
//! Pure.

/// The hash of no bytes.
pub(crate) const START: u64 = 0xcbf2_9ce4_8422_2325;

/// The hash of some bytes.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    fnv1a_all([bytes])
}

/// The hash of several pieces, as if they were one.
pub(crate) fn fnv1a_all<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    // One loop in another is faster than one iterator over all bytes.
    pieces.into_iter().fold(START, fnv1a_after)
}

/// The hash of bytes that follow those of another hash.
pub(crate) fn fnv1a_after(hash: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(hash, step)
}

#[cfg(test)]
mod tests {
    use super::{fnv1a, fnv1a_all};

    #[test]
    fn the_hash_equals_the_published_one() {
        for (text, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(fnv1a(text.as_bytes()), hash, "{text}");
        }
        assert_eq!(fnv1a_all([&b"foo"[..], b"", b"bar"]), fnv1a(b"foobar"));
    }
}
