//! The key by which a far side can tell that a payload comes once more.

/// The key of a payload: `<name>/<window start>+<length>/<index>-<hash of the body>`, with times in
/// milliseconds. The same payload has the same key whenever and wherever it is made.
pub(super) fn key(name: &str, start_ms: u64, length_ms: u64, index: usize, body: &[u8]) -> String {
    format!("{name}/{start_ms}+{length_ms}/{index}-{:016x}", fnv1a(body))
}

/// FNV-1a with 64 bits, which will be the same for ever; the hashes of the standard library need
/// not be.
fn fnv1a(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold)
}

#[cfg(test)]
mod tests {
    use super::{fnv1a, key};

    #[test]
    fn the_hash_is_the_published_one() {
        for (text, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(fnv1a(text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn a_key_names_the_worker_the_window_and_the_payload() {
        let key = key("zibrato-librato", 1_700_000_040_000, 60_000, 2, b"a");
        assert_eq!(key, "zibrato-librato/1700000040000+60000/2-af63dc4c8601ec8c");
    }
}
