//! Any bytes as the last segment of a journal: it opens, and batches that are accepted afterwards
//! are found again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| zibrato_broker::fuzzing::journal(input));
