//! The bytes of CollectD's datagrams and MetricsD's packets.

use zibrato::clock::unix_ms;

pub(super) const HOST: u16 = 0;
pub(super) const TIME: u16 = 1;
pub(super) const PLUGIN: u16 = 2;
pub(super) const PLUGIN_INSTANCE: u16 = 3;
pub(super) const TYPE: u16 = 4;
pub(super) const TYPE_INSTANCE: u16 = 5;
pub(super) const VALUES: u16 = 6;

/// The codes of CollectD's kinds of values.
pub(super) const COUNTER: u8 = 0;
pub(super) const GAUGE: u8 = 1;
pub(super) const DERIVE: u8 = 2;
pub(super) const ABSOLUTE: u8 = 3;

/// A part of a datagram.
pub(super) fn part(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 4).unwrap();
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), payload].concat()
}

pub(super) fn text(kind: u16, text: &str) -> Vec<u8> {
    part(kind, &[text.as_bytes(), b"\0"].concat())
}

/// Values of any kinds, as their eight bytes.
pub(super) fn values(all: &[(u8, [u8; 8])]) -> Vec<u8> {
    let count = u16::try_from(all.len()).unwrap().to_be_bytes();
    let kinds: Vec<_> = all.iter().map(|(kind, _)| *kind).collect();
    let data: Vec<_> = all.iter().flat_map(|(_, value)| *value).collect();
    part(VALUES, &[&count[..], &kinds, &data].concat())
}

pub(super) fn gauges(all: &[f64]) -> Vec<u8> {
    let all: Vec<_> = all.iter().map(|value| (GAUGE, value.to_le_bytes())).collect();
    values(&all)
}

/// Host, time, plugin `p` and type.
pub(super) fn header(host: &str, seconds: u64, type_name: &str) -> Vec<u8> {
    let time = part(TIME, &seconds.to_be_bytes());
    [text(HOST, host), time, text(PLUGIN, "p"), text(TYPE, type_name)].concat()
}

/// Unix seconds.
pub(super) fn now() -> u64 {
    unix_ms() / 1_000
}

/// A datagram with the gauge `p.gauge.NAME`.
pub(super) fn list(host: &str, name: &str, value: f64) -> Vec<u8> {
    [header(host, now(), "gauge"), text(TYPE_INSTANCE, name), gauges(&[value])].concat()
}

/// The start of a packet of MetricsD.
pub(super) fn host(host: &str) -> Vec<u8> {
    [&[0xaa][..], &string(host)].concat()
}

/// A text in a packet of MetricsD.
pub(super) fn string(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&length.to_be_bytes(), text.as_bytes(), &[0]].concat()
}

/// An update with a double, without the host in front.
pub(super) fn change(kind: u8, name: &str, value: f64) -> Vec<u8> {
    [&[kind][..], &string(name), &[0x41], &value.to_be_bytes()].concat()
}

/// A packet of MetricsD with one update.
pub(super) fn update(of: &str, kind: u8, name: &str, value: f64) -> Vec<u8> {
    [host(of), change(kind, name, value)].concat()
}
