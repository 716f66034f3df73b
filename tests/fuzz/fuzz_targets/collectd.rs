//! Any bytes as datagrams of CollectD: they give finite values or reasons why not, and the same ones
//! when they are signed or encrypted.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| zibrato_broker::fuzzing::collectd(input));
