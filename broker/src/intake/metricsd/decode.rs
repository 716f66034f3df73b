//! Packets of MetricsD.
//!
//! ```text
//! packet = 0xAA, string host, change...
//! string = u16 length, UTF-8 bytes, 0x00        (the length does not include the zero)
//! change = u8 kind << 4 | action, string name, number if the action is an update
//! number = u8 type, value
//!
//! aa 0001 68 00 | 10 0001 61 00 | 41 3ff8000000000000        host h, gauge a = 1.5
//! ```
//!
//! All integers are big-endian.

use super::metrics::MetricKind;

const MAGIC: u8 = 0xaa;

/// One change of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Change<'a> {
    pub(super) kind: MetricKind,
    pub(super) name: &'a str,
    pub(super) action: Action,
}

/// What happens to the metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Action {
    /// It gets this value, which may be infinite or NaN.
    Update(f64),
    /// It starts anew.
    Clear,
    /// It is removed.
    Delete,
}

/// Why a packet, or the rest of it, cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// The first byte is not 0xAA.
    Magic,
    /// A string is longer than the rest of the packet.
    String,
    /// A string does not end with a zero.
    Terminator,
    /// A string is not UTF-8.
    Encoding,
    /// The kind of a metric is unknown.
    Kind,
    /// The action is unknown.
    Action,
    /// The type of a number is unknown.
    NumberType,
    /// A number is longer than the rest of the packet.
    Number,
}

impl DecodeError {
    /// The reason by which it is counted.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Magic => "magic",
            Self::String => "string",
            Self::Terminator => "terminator",
            Self::Encoding => "encoding",
            Self::Kind => "type",
            Self::Action => "action",
            Self::NumberType => "number_type",
            Self::Number => "number",
        }
    }
}

/// The changes in a packet. After an error it ends.
#[derive(Debug)]
pub(super) struct Changes<'a> {
    rest: &'a [u8],
}

/// Reads the host of a packet, and returns it with the changes.
pub(super) fn decode(packet: &[u8]) -> Result<(&str, Changes<'_>), DecodeError> {
    let mut rest = packet.strip_prefix(&[MAGIC]).ok_or(DecodeError::Magic)?;
    let host = string(&mut rest)?;
    Ok((host, Changes { rest }))
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Change<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (command, mut rest) = self.rest.split_first()?;
        let change = change(*command, &mut rest);
        self.rest = if change.is_ok() { rest } else { &[] };
        Some(change)
    }
}

fn change<'a>(command: u8, rest: &mut &'a [u8]) -> Result<Change<'a>, DecodeError> {
    let kind = match command >> 4 {
        0 => MetricKind::Counter,
        1 => MetricKind::Gauge,
        2 => MetricKind::Histogram,
        3 => MetricKind::Meter,
        4 => MetricKind::Timer,
        _ => return Err(DecodeError::Kind),
    };
    let action = match command & 0xf {
        0 => None,
        1 => Some(Action::Clear),
        2 => Some(Action::Delete),
        _ => return Err(DecodeError::Action),
    };
    let name = string(rest)?;
    let action = match action {
        Some(action) => action,
        None => Action::Update(number(rest)?),
    };
    Ok(Change { kind, name, action })
}

fn string<'a>(rest: &mut &'a [u8]) -> Result<&'a str, DecodeError> {
    let (length, after) = rest.split_first_chunk().ok_or(DecodeError::String)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (text, after) = after.split_at_checked(length).ok_or(DecodeError::String)?;
    let (terminator, after) = after.split_first().ok_or(DecodeError::String)?;
    if *terminator != 0 {
        return Err(DecodeError::Terminator);
    }
    *rest = after;
    std::str::from_utf8(text).map_err(|_| DecodeError::Encoding)
}

fn number(rest: &mut &[u8]) -> Result<f64, DecodeError> {
    let number_type = take(rest)?;
    // An integer above 2^53 becomes the nearest double.
    Ok(match number_type {
        [0x00] => u8::from_be_bytes(take(rest)?).into(),
        [0x01] => i8::from_be_bytes(take(rest)?).into(),
        [0x10] => u16::from_be_bytes(take(rest)?).into(),
        [0x11] => i16::from_be_bytes(take(rest)?).into(),
        [0x20] => u32::from_be_bytes(take(rest)?).into(),
        [0x21] => i32::from_be_bytes(take(rest)?).into(),
        [0x30] => u64::from_be_bytes(take(rest)?) as f64,
        [0x31] => i64::from_be_bytes(take(rest)?) as f64,
        [0x40] => f32::from_be_bytes(take(rest)?).into(),
        [0x41] => f64::from_be_bytes(take(rest)?),
        _ => return Err(DecodeError::NumberType),
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (bytes, after) = rest.split_first_chunk().ok_or(DecodeError::Number)?;
    *rest = after;
    Ok(*bytes)
}

#[cfg(test)]
mod tests {
    use super::{Action, Change, DecodeError, decode};
    use crate::intake::metricsd::encode;
    use crate::intake::metricsd::metrics::MetricKind;
    use proptest::prelude::*;

    fn changes(packet: &[u8]) -> (Vec<Change<'_>>, Option<DecodeError>) {
        let all = match decode(packet) {
            Ok((_, all)) => all,
            Err(error) => return (Vec::new(), Some(error)),
        };
        let (mut good, mut error) = (Vec::new(), None);
        for change in all {
            assert_eq!(error, None, "it goes on after an error");
            match change {
                Ok(change) => good.push(change),
                Err(wrong) => error = Some(wrong),
            }
        }
        (good, error)
    }

    #[test]
    fn a_gauge_is_read_as_it_is_drawn() {
        let packet = b"\xaa\0\x01h\0\x10\0\x01a\0\x41\x3f\xf8\0\0\0\0\0\0";
        let (host, changes) = decode(packet).unwrap();
        assert_eq!(host, "h");
        let gauge = Change { kind: MetricKind::Gauge, name: "a", action: Action::Update(1.5) };
        assert_eq!(changes.collect::<Vec<_>>(), [Ok(gauge)]);
    }

    #[test]
    fn every_fault_has_its_reason_and_keeps_what_came_before() {
        for (packet, reason) in [
            (&b""[..], "magic"),
            (b"\xab\0\x01h\0", "magic"),
            (b"\xaa", "string"),
            (b"\xaa\0", "string"),
            (b"\xaa\0\x01", "string"),
            (b"\xaa\0\x01h", "string"),
            (b"\xaa\xff\xffh\0", "string"),
            (b"\xaa\0\x01hh", "terminator"),
            (b"\xaa\0\x01\xff\0", "encoding"),
        ] {
            let (good, error) = changes(packet);
            assert_eq!((good.len(), error.map(DecodeError::reason)), (0, Some(reason)));
        }
        for (fault, reason) in [
            (&b"\x50\0\x01x\0"[..], "type"),
            (b"\xf0", "type"),
            (b"\x13\0\x01x\0", "action"),
            (b"\x10", "string"),
            (b"\x10\0\x02x\0", "string"),
            (b"\x10\0\x01x\x01", "terminator"),
            (b"\x10\0\x01\xc3\0", "encoding"),
            (b"\x10\0\x01x\0", "number"),
            (b"\x10\0\x01x\0\x02\0", "number_type"),
            (b"\x10\0\x01x\0\x41\0", "number"),
            (b"\x10\0\x01x\0\x00", "number"),
        ] {
            let packet = [&b"\xaa\0\x01h\0\0\0\x01a\0\0\x07"[..], fault].concat();
            let (good, error) = changes(&packet);
            assert_eq!(
                (good.len(), error.map(DecodeError::reason)),
                (1, Some(reason)),
                "{fault:?}"
            );
            assert_eq!(good[0].action, Action::Update(7.0));
        }
    }

    #[test]
    fn a_packet_of_the_largest_size_is_read_to_its_end() {
        let one = encode::update(MetricKind::Meter, "m", 1.0);
        let count = (65_507 - encode::host("h").len()) / one.len();
        let packet = [encode::host("h"), one.repeat(count)].concat();
        let (good, error) = changes(&packet);
        assert_eq!((good.len(), error), (count, None));
        // A name of the largest length that the format has.
        let long = "n".repeat(65_000);
        let packet = [encode::host("h"), encode::update(MetricKind::Gauge, &long, 2.0)].concat();
        assert_eq!(changes(&packet).0[0].name, long);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            host in ".{0,20}",
            given in prop::collection::vec((0..5_usize, ".{0,20}", 0..3_u8, any::<f64>()), 0..20),
        ) {
            let kind = |at: usize| MetricKind::ALL[at];
            let packet: Vec<u8> = given
                .iter()
                .map(|(at, name, action, value)| match action {
                    0 => encode::update(kind(*at), name, *value),
                    action => encode::change(kind(*at), *action, name),
                })
                .fold(encode::host(&host), |packet, change| [packet, change].concat());
            let (decoded, all) = decode(&packet).unwrap();
            prop_assert_eq!(decoded, host);
            let all: Vec<_> = all.map(Result::unwrap).collect();
            prop_assert_eq!(all.len(), given.len());
            for (change, (at, name, action, value)) in all.iter().zip(&given) {
                prop_assert_eq!((change.kind, change.name), (kind(*at), &**name));
                match change.action {
                    Action::Update(read) => {
                        prop_assert_eq!(*action, 0);
                        prop_assert_eq!(read.to_bits(), value.to_bits());
                    }
                    Action::Clear => prop_assert_eq!(*action, 1),
                    Action::Delete => prop_assert_eq!(*action, 2),
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_rejected(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            changes(&bytes);
            changes(&[&b"\xaa\0\x01h\0"[..], &bytes].concat());
        }
    }
}
