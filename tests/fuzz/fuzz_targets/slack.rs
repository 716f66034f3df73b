//! Any text as a message in a channel that is a metric bus: a point that is read from it can be sent
//! as a message, and is read back from that.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zibrato_workers::slack::bus::{MAX_MESSAGE_CHARS, Ts, pack, read};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let ts = text.get(..17).and_then(|text| text.parse().ok()).unwrap_or_else(|| Ts::at_ms(0));
    let contents = read(text, &ts);
    let packed = pack(contents.points.iter().map(|point| point.line()), MAX_MESSAGE_CHARS);
    assert!(packed.too_long.is_empty());
    let again = packed.messages.iter().flat_map(|message| {
        assert!(message.chars().count() <= MAX_MESSAGE_CHARS);
        let again = read(message, &ts);
        assert!(again.is_all_metrics());
        again.points
    });
    assert!(again.eq(contents.points.iter().cloned()));
    assert!(contents.rejected.iter().all(|rejected| !rejected.line.is_empty()));
});
