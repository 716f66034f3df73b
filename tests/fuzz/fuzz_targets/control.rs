//! Control messages: a message that is read and written again is read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zibrato::wire::{Ack, WantedLevels};

fuzz_target!(|body: &[u8]| {
    if let Ok(wanted) = WantedLevels::decode(body) {
        assert_eq!(WantedLevels::decode(&wanted.encode()), Ok(wanted.clone()));
        assert!(wanted.levels.iter().all(|level| wanted.wants(level.as_str())));
    }
    if let Ok(ack) = Ack::decode(body) {
        assert_eq!(Ack::decode(&ack.encode()), Ok(ack));
    }
});
