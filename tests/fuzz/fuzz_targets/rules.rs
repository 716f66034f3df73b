//! Any bytes as a rules file, a script and a sample: rules that keep samples valid, or errors with a place.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| zibrato_broker::fuzzing::rules(input));
