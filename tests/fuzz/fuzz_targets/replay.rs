//! Requests and answers of the replay port: a message that is read and written again is read as the
//! same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zibrato::wire::{ReplayAnswer, ReplayRequest};

const TOPICS: [&[u8]; 12] = [
    b"zb!fetch",
    b"zb!commit",
    b"zb!release",
    b"zb!cursors",
    b"zb!reset",
    b"zb!delete",
    b"zb!batches",
    b"zb!committed",
    b"zb!released",
    b"zb!list",
    b"zb!done",
    b"zb!refused",
];

// The first byte chooses the topic.
fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else { return };
    let topic = TOPICS[usize::from(*choice) % TOPICS.len()];
    if let Ok(request) = ReplayRequest::decode(topic, body) {
        let [topic, body] = request.encode();
        assert_eq!(ReplayRequest::decode(&topic, &body).unwrap(), request);
    }
    if let Ok(answer) = ReplayAnswer::decode(topic, body) {
        let [topic, body] = answer.encode();
        assert_eq!(ReplayAnswer::decode(&topic, &body).unwrap(), answer);
    }
});
