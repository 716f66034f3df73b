//! The entry point for the fuzz target `metricsd`.

use super::decode::decode;
use super::handlers::Handlers;
use super::series::{AllMetrics, MAX_STATISTICS, Statistic};
use std::time::Duration;

const START_MS: u64 = 1_700_000_000_000;

/// Decodes any packet, applies it to metrics, and publishes these.
///
/// # Panics
/// If a statistic has an invalid name, or there are more than allowed.
pub fn metricsd(packet: &[u8]) {
    let handlers = Handlers::new(Vec::new(), Duration::from_secs(10));
    let (expire, max) = (Duration::from_secs(60), MAX_STATISTICS / 1_000);
    let mut metrics = AllMetrics::new(handlers, expire, max, START_MS);
    let (host, changes) = match decode(packet) {
        Ok(decoded) => decoded,
        Err(error) => return assert!(!error.reason().is_empty()),
    };
    for (at, change) in (0..).zip(changes) {
        match change {
            Ok(change) => {
                let applied = metrics.apply(host, &change, START_MS + at * 1_000);
                assert_ne!(applied, Err(""));
            }
            Err(error) => assert!(!error.reason().is_empty()),
        }
    }
    let mut count = 0;
    let mut check = |statistic: Statistic<'_>| {
        count += 1;
        assert_eq!(zibrato::check_name(statistic.name), Ok(()));
        assert_eq!(zibrato::check_name(statistic.source), Ok(()));
    };
    let next_ms = metrics.next_ms();
    metrics.publish_due(next_ms, next_ms, &mut check);
    assert!(count <= max, "{count}");
    // After a long time without a change they are published once more, and forgotten.
    metrics.publish_all(u64::MAX, &mut |_| {});
    metrics.publish_all(u64::MAX, &mut |statistic| panic!("{statistic:?}"));
}
