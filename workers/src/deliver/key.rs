//! The key by which a receiver recognizes a repeated payload.
//!
//! Pure.

/// The identity of a payload: its window, and its index in it.
#[derive(Clone, Copy)]
pub(super) struct PayloadId {
    pub(super) start_ms: u64,
    pub(super) length_ms: u64,
    pub(super) index: usize,
}

/// The key of a payload: `<name>/<window start>+<length>/<index>-<CRC-32 of the body>`, with times in
/// milliseconds. The same payload always has the same key, in every process.
pub(super) fn key(name: &str, id: PayloadId, body: &[u8]) -> String {
    let PayloadId { start_ms, length_ms, index } = id;
    format!("{name}/{start_ms}+{length_ms}/{index}-{:08x}", crc32fast::hash(body))
}

/// Parses a key.
pub(super) fn parse(key: &str) -> Option<PayloadId> {
    let (window, payload) = key.rsplit_once('/')?;
    let (_, window) = window.rsplit_once('/')?;
    let (start, length) = window.split_once('+')?;
    let (index, _) = payload.split_once('-')?;
    let (start_ms, length_ms) = (start.parse().ok()?, length.parse().ok()?);
    Some(PayloadId { start_ms, length_ms, index: index.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::{PayloadId, key, parse};

    #[test]
    fn a_key_names_the_worker_the_window_and_the_payload() {
        let id = PayloadId { start_ms: 1_700_000_040_000, length_ms: 60_000, index: 2 };
        let key = key("zibrato-librato", id, b"a");
        assert_eq!(key, "zibrato-librato/1700000040000+60000/2-e8b7be43");
        let id = parse(&key).unwrap();
        assert_eq!((id.start_ms, id.length_ms, id.index), (1_700_000_040_000, 60_000, 2));
        for other in ["", "a/b", "a/1+/2-c", "a/1+2/-c"] {
            assert!(parse(other).is_none(), "{other}");
        }
    }
}
