//! Multipart messages: a message that is classified and written again is classified in the same
//! way.
//!
//! The input is a message: each frame except the last is preceded by one byte with its length; the
//! last frame is the rest of the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zibrato::check_level;
use zibrato::wire::{Message, batch_topic, message};

fuzz_target!(|input: &[u8]| {
    let frames = split(input);
    let Ok(read) = message(&frames) else { return };
    match read {
        Message::Lines(frame) => assert_eq!(frames, [frame]),
        Message::Batch { level, id, stamp, body } => {
            assert_eq!(check_level(level), Ok(()));
            let (topic, id) = (batch_topic(level), id.encode());
            let stamp = stamp.map(|stamp| stamp.encode());
            let mut written: Vec<&[u8]> = vec![topic.as_bytes(), &id];
            written.extend(stamp.as_ref().map(|stamp| &stamp[..]));
            written.push(body);
            assert_eq!(written, frames);
            assert_eq!(message(&written), Ok(read));
        }
        _ => panic!("this target does not know the kind of the message"),
    }
});

fn split(mut input: &[u8]) -> Vec<&[u8]> {
    let Some((count, rest)) = input.split_first() else { return Vec::new() };
    input = rest;
    let mut frames = Vec::new();
    for _ in 1..*count % 6 {
        let Some((length, rest)) = input.split_first() else { break };
        let (frame, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        frames.push(frame);
        input = rest;
    }
    frames.push(input);
    frames
}
