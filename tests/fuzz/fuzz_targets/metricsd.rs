//! Any bytes as a packet of MetricsD: the metrics stay within their limits, and what they publish
//! has valid names.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| zibrato_broker::fuzzing::metricsd(packet));
