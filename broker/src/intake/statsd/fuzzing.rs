//! The entry point for the fuzz target `statsd`.

use super::grammar::{Dialect, Reading, decode};
use super::identity::Identity;
use zibrato::check_name;

/// Decodes any bytes as a packet of both dialects.
///
/// # Panics
/// If a sample or a series is not valid, or is not from its line.
pub fn statsd(packet: &[u8]) {
    for dialect in [Dialect::Statsd, Dialect::Dogstatsd] {
        decode(packet, dialect, |line, sample| {
            let sample = match sample {
                Ok(sample) => sample,
                Err(reason) => return assert!(!reason.word().is_empty()),
            };
            assert!(line.starts_with(sample.name) && !line.contains(&b'\n'));
            match sample.reading {
                Reading::Number { value, rate } => assert!((value / rate).is_finite()),
                Reading::Change(value) => assert!(value.is_finite()),
                Reading::Member(member) => assert_eq!(check_name(member), Ok(())),
            }
            let Ok((identity, _)) = Identity::of(sample.name, sample.tags) else { return };
            let tags = identity.tags.iter().flat_map(|(tag, value)| [tag, value]);
            for text in tags.chain(&identity.source).chain([&identity.name]) {
                assert_eq!(check_name(text), Ok(()));
            }
        });
    }
}
