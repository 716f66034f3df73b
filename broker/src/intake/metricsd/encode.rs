//! Packets for tests.

use super::metrics::MetricKind;

/// The start of a packet.
pub(super) fn host(host: &str) -> Vec<u8> {
    [&[0xaa][..], &string(host)].concat()
}

/// An update with a double.
pub(super) fn update(kind: MetricKind, name: &str, value: f64) -> Vec<u8> {
    [change(kind, 0, name), vec![0x41], value.to_be_bytes().to_vec()].concat()
}

/// A change without a number: action 1 clears, 2 deletes.
pub(super) fn change(kind: MetricKind, action: u8, name: &str) -> Vec<u8> {
    let kind = match kind {
        MetricKind::Counter => 0,
        MetricKind::Gauge => 0x10,
        MetricKind::Histogram => 0x20,
        MetricKind::Meter => 0x30,
        MetricKind::Timer => 0x40,
    };
    [&[kind | action][..], &string(name)].concat()
}

fn string(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&length.to_be_bytes(), text.as_bytes(), &[0]].concat()
}
