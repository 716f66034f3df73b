//! Receives one message, whatever number of frames it has, without ever keeping more than three.

use zmq::{DONTWAIT, Message};

/// A message, told apart by the number of its frames.
pub(crate) enum Received {
    /// One frame: lines.
    One(Message),
    /// Three: topic, id and body of a batch.
    Three([Message; 3]),
    /// Any other number.
    Other {
        /// How many they were.
        frames: usize,
    },
}

/// Takes the next message if there is one, and says how many bytes its frames had.
pub(crate) fn receive(socket: &zmq::Socket) -> zmq::Result<Option<(Received, u64)>> {
    let Some(first) = frame(socket)? else { return Ok(None) };
    let mut bytes = first.len() as u64;
    let mut more = first.get_more();
    if !more {
        return Ok(Some((Received::One(first), bytes)));
    }
    let mut kept = [first, Message::new(), Message::new()];
    let mut frames = 1;
    // All frames of a message are there when the first one is.
    while more && let Some(next) = frame(socket)? {
        bytes += next.len() as u64;
        more = next.get_more();
        if let Some(place) = kept.get_mut(frames) {
            *place = next;
        }
        frames += 1;
    }
    let received = if frames == 3 { Received::Three(kept) } else { Received::Other { frames } };
    Ok(Some((received, bytes)))
}

/// The next frame, if there is one.
fn frame(socket: &zmq::Socket) -> zmq::Result<Option<Message>> {
    let mut frame = Message::new();
    loop {
        match socket.recv(&mut frame, DONTWAIT) {
            Ok(()) => return Ok(Some(frame)),
            Err(zmq::Error::EAGAIN) => return Ok(None),
            Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Received, receive};

    #[test]
    fn messages_come_whole_and_one_by_one() {
        let context = zmq::Context::new();
        let [push, pull] = [zmq::PUSH, zmq::PULL].map(|kind| context.socket(kind).unwrap());
        pull.bind("inproc://receive").unwrap();
        push.connect("inproc://receive").unwrap();
        assert!(receive(&pull).unwrap().is_none());
        for frames in [1, 2, 3, 4, 5_000, 3, 1] {
            push.send_multipart((0..frames).map(|n| vec![b'x'; n % 3]), 0).unwrap();
        }
        for expected in [1, 2, 3, 4, 5_000, 3, 1] {
            let (received, bytes) = receive(&pull).unwrap().unwrap();
            assert_eq!(bytes, (0..expected).map(|n| n as u64 % 3).sum::<u64>());
            let found = match received {
                Received::One(_) => 1,
                Received::Three(frames) => {
                    assert_eq!(frames.map(|frame| frame.len()), [0, 1, 2]);
                    3
                }
                Received::Other { frames } => frames,
            };
            assert_eq!(found, expected);
        }
        assert!(receive(&pull).unwrap().is_none());
    }
}
