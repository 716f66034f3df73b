//! Any bytes as a packet of StatsD: valid samples of valid series, or reasons why not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| zibrato_broker::fuzzing::statsd(packet));
