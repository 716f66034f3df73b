//! A configuration file that is any bytes: it is read or refused with one line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| zibrato_broker::fuzzing::configuration(input));
