//! The intakes that flags of `zibrato-broker` turn on.

use super::Row;
use super::collectd::CollectdFlags;
use super::librato::LibratoFlags;
use super::metricsd::MetricsdFlags;
use super::statsd::StatsdFlags;

/// The intakes, in the order of `--help`.
pub(crate) const INTAKES: &[Row] = &[
    Row::of::<CollectdFlags>(),
    Row::of::<LibratoFlags>(),
    Row::of::<MetricsdFlags>(),
    Row::of::<StatsdFlags>(),
];
