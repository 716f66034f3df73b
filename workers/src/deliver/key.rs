//! The key by which a far side can tell that a payload comes once more.

use super::Of;
use crate::naming::fnv1a;

/// The key of a payload: `<name>/<window start>+<length>/<index>-<hash of the body>`, with times in
/// milliseconds. The same payload has the same key whenever and wherever it is made.
pub(super) fn key(name: &str, start_ms: u64, length_ms: u64, index: usize, body: &[u8]) -> String {
    format!("{name}/{start_ms}+{length_ms}/{index}-{:016x}", fnv1a(body))
}

/// Where the payload with this key belongs.
pub(super) fn place(key: &str) -> Option<Of> {
    let (window, payload) = key.rsplit_once('/')?;
    let (_, window) = window.rsplit_once('/')?;
    let (start, length) = window.split_once('+')?;
    let (index, _) = payload.split_once('-')?;
    let (start_ms, length_ms) = (start.parse().ok()?, length.parse().ok()?);
    Some(Of { start_ms, length_ms, index: index.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::{key, place};

    #[test]
    fn a_key_names_the_worker_the_window_and_the_payload() {
        let key = key("zibrato-librato", 1_700_000_040_000, 60_000, 2, b"a");
        assert_eq!(key, "zibrato-librato/1700000040000+60000/2-af63dc4c8601ec8c");
        let of = place(&key).unwrap();
        assert_eq!((of.start_ms, of.length_ms, of.index), (1_700_000_040_000, 60_000, 2));
        for other in ["", "a/b", "a/1+/2-c", "a/1+2/-c"] {
            assert!(place(other).is_none(), "{other}");
        }
    }
}
