//! Any bytes as a file of cursors: it is read, and cursors that are written afterwards are read
//! again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| zibrato_broker::fuzzing::cursors(input));
