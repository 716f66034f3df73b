//! Any bytes as a configuration file: it is read, or rejected with one line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| zibrato_broker::fuzzing::configuration(input));
