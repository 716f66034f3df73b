//! A journal whose last segment is any bytes: it opens, and what is taken then is found again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| zibrato_broker::fuzzing::journal(input));
