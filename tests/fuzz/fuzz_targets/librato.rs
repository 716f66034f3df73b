//! Any bytes as the body of a request to Librato's API: what is accepted can be published, and what is
//! not has a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| zibrato_broker::fuzzing::librato(input));
