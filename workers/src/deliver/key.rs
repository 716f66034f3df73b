//! The key by which a far side can tell that a payload comes once more.

use crate::naming::fnv1a;

/// The key of a payload: `<name>/<window start>+<length>/<index>-<hash of the body>`, with times in
/// milliseconds. The same payload has the same key whenever and wherever it is made.
pub(super) fn key(name: &str, start_ms: u64, length_ms: u64, index: usize, body: &[u8]) -> String {
    format!("{name}/{start_ms}+{length_ms}/{index}-{:016x}", fnv1a(body))
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn a_key_names_the_worker_the_window_and_the_payload() {
        let key = key("zibrato-librato", 1_700_000_040_000, 60_000, 2, b"a");
        assert_eq!(key, "zibrato-librato/1700000040000+60000/2-af63dc4c8601ec8c");
    }
}
