//! Lines: a line that is read and written again is read as the same, and an invalid line does not
//! affect others.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zibrato::wire::{Line, lines};

fuzz_target!(|frame: &[u8]| {
    let all: Vec<_> = lines(frame).collect();
    for line in all.iter().flatten() {
        let written = line.to_string();
        let again = Line::decode(written.as_bytes());
        // An empty source field is written as the default source, which is also how it is read.
        assert_eq!(again.as_ref(), Ok(line), "{written}");
        assert!(!written.contains(['\n', '\r']), "{written:?}");
    }
    // The same frame with an invalid line before and after it: all other lines are still read.
    let mut framed = b"broken\n".to_vec();
    framed.extend_from_slice(frame);
    framed.extend_from_slice(b"\nbroken");
    let around: Vec<_> = lines(&framed).collect();
    assert_eq!(around.len(), all.len() + 2);
    assert_eq!(around[1..=all.len()], all);
});
