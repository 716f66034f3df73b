//! A file of cursors that is any bytes: it is read, and what is written then is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| zibrato_broker::fuzzing::cursors(input));
