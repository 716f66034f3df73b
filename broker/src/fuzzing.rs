//! Entry points for the fuzz targets in `tests/fuzz` and for `tests/vectors`. Not part of the public
//! interface.

use crate::journal::fuzzing;

pub use crate::intake::collectd::fuzzing::collectd;
pub use crate::intake::collectd::recorded::{CollectdPackets, Source, signed};
pub use crate::intake::librato::fuzzing::librato;
pub use crate::intake::metricsd::fuzzing::metricsd;
pub use crate::intake::metricsd::recorded::MetricsdPackets;
pub use crate::intake::rules::fuzzing::rules;
pub use crate::intake::statsd::fuzzing::statsd;
pub use fuzzing::{cursors, cursors_seed, journal};

/// Parses any bytes as a configuration file, or rejects them with a message.
///
/// # Panics
/// If it is rejected without a message.
pub fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Err(why) = zibrato::daemon::check_configuration::<crate::Flags>(text) {
        assert!(!why.is_empty() && !why.contains('\n'), "{why:?}");
    }
}
