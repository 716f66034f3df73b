//! The parts of a CollectD datagram.
//!
//! Pure: takes bytes and times, opens nothing.
//!
//! ```text
//!  0       2       4                length
//! ┌───────┬───────┬───────────────┬┄┄┄┄┄┄┄┄┄┐
//! │ kind  │length │ payload       │ next part
//! └───────┴───────┴───────────────┴┄┄┄┄┄┄┄┄┄┘
//!  u16 BE  u16 BE, with the four bytes of the header
//! ```

/// Size of the header of a part, in bytes.
const HEADER_BYTES: usize = 4;

/// Units of a high-resolution time in a second.
pub(crate) const UNITS_PER_SECOND: u64 = 1 << 30;

/// The kinds of parts that are read. Any other part is skipped by its length.
pub(super) mod kind {
    pub(crate) const HOST: u16 = 0x0000;
    pub(crate) const TIME: u16 = 0x0001;
    pub(crate) const PLUGIN: u16 = 0x0002;
    pub(crate) const PLUGIN_INSTANCE: u16 = 0x0003;
    pub(crate) const TYPE: u16 = 0x0004;
    pub(crate) const TYPE_INSTANCE: u16 = 0x0005;
    pub(crate) const VALUES: u16 = 0x0006;
    pub(crate) const INTERVAL: u16 = 0x0007;
    pub(crate) const TIME_HIGH: u16 = 0x0008;
    pub(crate) const INTERVAL_HIGH: u16 = 0x0009;
    pub(crate) const MESSAGE: u16 = 0x0100;
    pub(crate) const SIGNATURE: u16 = 0x0200;
    pub(crate) const ENCRYPTED: u16 = 0x0210;
}

/// Why the rest of a datagram cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartError {
    /// The length of a part, or of what it contains, exceeds the bytes that are left.
    Truncated,
    /// The content of a part does not have the form that its kind requires.
    Malformed,
}

/// A part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) kind: u16,
    pub(super) payload: &'a [u8],
    /// The payload and everything after it in the datagram.
    pub(super) tail: &'a [u8],
}

/// Iterates over the parts of a datagram. After an error there are no further parts.
#[derive(Debug, Clone)]
pub(super) struct Parts<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, PartError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.0);
        let Some((&[k0, k1, l0, l1], tail)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Some(Err(PartError::Truncated));
        };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let Some(payload_bytes) = length.checked_sub(HEADER_BYTES) else {
            return Some(Err(PartError::Malformed));
        };
        let Some((payload, rest)) = tail.split_at_checked(payload_bytes) else {
            return Some(Err(PartError::Truncated));
        };
        self.0 = rest;
        Some(Ok(Part { kind: u16::from_be_bytes([k0, k1]), payload, tail }))
    }
}

/// The text of a payload, which ends in a NUL byte. It is cut at the first NUL.
pub(super) fn text(payload: &[u8]) -> Result<&[u8], PartError> {
    match payload.split_last() {
        Some((0, text)) => Ok(text.split(|byte| *byte == 0).next().unwrap_or_default()),
        _ => Err(PartError::Malformed),
    }
}

/// The number of a payload.
pub(super) fn number(payload: &[u8]) -> Result<u64, PartError> {
    payload.try_into().map(u64::from_be_bytes).map_err(|_| PartError::Malformed)
}

/// Whole seconds in the unit of high-resolution times. The largest time stands for later ones.
pub(super) const fn from_seconds(seconds: u64) -> u64 {
    seconds.saturating_mul(UNITS_PER_SECOND)
}

/// The values of a list, undecoded.
///
/// ```text
/// count (u16 BE) │ count × kind (u8) │ count × value (8 bytes)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Values<'a> {
    /// The kind of each value.
    pub(super) kinds: &'a [u8],
    data: &'a [u8],
}

impl<'a> Values<'a> {
    pub(super) fn decode(payload: &'a [u8]) -> Result<Self, PartError> {
        let (count, rest) = payload.split_first_chunk::<2>().ok_or(PartError::Truncated)?;
        let count = usize::from(u16::from_be_bytes(*count));
        let (kinds, data) = rest.split_at_checked(count).ok_or(PartError::Truncated)?;
        match data.len().cmp(&(count * 8)) {
            std::cmp::Ordering::Less => Err(PartError::Truncated),
            std::cmp::Ordering::Equal => Ok(Self { kinds, data }),
            std::cmp::Ordering::Greater => Err(PartError::Malformed),
        }
    }

    /// The eight bytes of each value.
    pub(super) fn raw(&self) -> impl Iterator<Item = [u8; 8]> + Clone + 'a {
        self.data.chunks_exact(8).filter_map(|value| value.try_into().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::{PartError, Parts, Values, from_seconds, number, text};
    use PartError::{Malformed, Truncated};

    fn read(bytes: &[u8]) -> (Vec<(u16, &[u8])>, Option<PartError>) {
        let mut read = Vec::new();
        for part in Parts(bytes) {
            match part {
                Ok(part) => read.push((part.kind, part.payload)),
                Err(error) => return (read, Some(error)),
            }
        }
        (read, None)
    }

    #[test]
    fn parts_before_an_error_are_read() {
        const GOOD: &[u8] = b"\0\0\0\x06a\0";
        let rows: [(&[u8], Option<PartError>); 8] = [
            (b"", None),
            (b"\0", Some(Truncated)),
            (b"\0\x06\0", Some(Truncated)),
            (b"\0\x06\0\0", Some(Malformed)),
            (b"\0\x01\0\x03", Some(Malformed)),
            (b"\0\x01\0\x0c\0\0\0", Some(Truncated)),
            (b"\0\x01\xff\xff", Some(Truncated)),
            (b"\xff\xff\0\x04", None),
        ];
        for (bytes, expected) in rows {
            let (parts, error) = read(bytes);
            assert_eq!(
                (parts.len(), error),
                (usize::from(bytes.len() == 4 && expected.is_none()), expected),
                "{bytes:?}"
            );
            let both = [GOOD, bytes].concat();
            let (parts, error) = read(&both);
            assert_eq!((parts[0], error), ((0, &b"a\0"[..]), expected), "{bytes:?}");
        }
    }

    #[test]
    fn a_tail_reaches_to_the_end_of_the_datagram() {
        let first = Parts(b"\0\0\0\x06a\0\0\x02\0\x06b\0").next().unwrap().unwrap();
        assert_eq!((first.payload, first.tail), (&b"a\0"[..], &b"a\0\0\x02\0\x06b\0"[..]));
    }

    #[test]
    fn a_text_ends_in_nul_and_is_cut_at_the_first() {
        for (payload, expected) in [
            (&b"abc\0"[..], Ok(&b"abc"[..])),
            (b"\0", Ok(b"")),
            (b"a\0b\0", Ok(b"a")),
            (b"\xff\0", Ok(b"\xff")),
            (b"", Err(Malformed)),
            (b"abc", Err(Malformed)),
        ] {
            assert_eq!(text(payload), expected, "{payload:?}");
        }
    }

    #[test]
    fn numbers_have_eight_bytes() {
        assert_eq!(number(&[0, 0, 0, 0, 0, 0, 1, 2]), Ok(258));
        for bytes in [0, 4, 7, 9] {
            assert_eq!(number(&vec![1; bytes]), Err(Malformed));
        }
        assert_eq!(from_seconds(3), 3 << 30);
        assert_eq!(from_seconds(1 << 40), u64::MAX);
    }

    #[test]
    fn the_count_of_values_must_equal_their_bytes() {
        let two = [&b"\0\x02\x01\x02"[..], &[7; 8], &[8; 8]].concat();
        let values = Values::decode(&two).unwrap();
        assert_eq!(
            (values.kinds, values.raw().collect::<Vec<_>>()),
            (&b"\x01\x02"[..], vec![[7; 8], [8; 8]])
        );
        assert_eq!(Values::decode(b"\0\0").map(|values| values.kinds.len()), Ok(0));
        for (payload, expected) in [
            (&b""[..], Truncated),
            (b"\0", Truncated),
            (b"\0\x01", Truncated),
            (b"\xff\xff\x01\0\0\0\0\0\0\0\0", Truncated),
            (b"\0\x01\x01\0\0\0\0\0\0\0", Truncated),
            (b"\0\x01\x01\0\0\0\0\0\0\0\0\0", Malformed),
        ] {
            assert_eq!(Values::decode(payload), Err(expected), "{payload:?}");
        }
    }
}
