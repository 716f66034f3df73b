//! Receives a message with any number of frames, and keeps at most three of them.

use zmq::{DONTWAIT, Message};

/// Buffers for the frames of one message, which are reused for the next.
pub(crate) struct Inbox {
    frames: [Message; 3],
}

/// A received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    /// Number of frames. The inbox keeps the first three.
    pub(crate) frames: usize,
    /// Total number of bytes.
    pub(crate) bytes: u64,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { frames: std::array::from_fn(|_| Message::new()) }
    }

    /// Receives the next message from `socket`, if there is one.
    pub(crate) fn receive(&mut self, socket: &zmq::Socket) -> zmq::Result<Option<Received>> {
        if !next_frame(socket, &mut self.frames[0])? {
            return Ok(None);
        }
        let mut received = Received { frames: 1, bytes: self.frames[0].len() as u64 };
        let mut more = self.frames[0].get_more();
        let mut unwanted = Message::new();
        // All frames of a message are available when the first one is.
        while more {
            let place = self.frames.get_mut(received.frames).unwrap_or(&mut unwanted);
            if !next_frame(socket, place)? {
                break;
            }
            more = place.get_more();
            received.bytes += place.len() as u64;
            received.frames += 1;
        }
        Ok(Some(received))
    }

    /// The first frame.
    pub(crate) fn first(&self) -> &Message {
        &self.frames[0]
    }

    /// The first frame, for asking libzmq about its sender.
    pub(crate) fn first_mut(&mut self) -> &mut Message {
        &mut self.frames[0]
    }

    /// The sender of the message, as far as libzmq knows: its address, and its key if it has one.
    pub(crate) fn peer(&mut self) -> String {
        let first = &mut self.frames[0];
        let address = first.gets("Peer-Address").unwrap_or_default().to_owned();
        match first.gets("User-Id").filter(|key| !key.is_empty()) {
            Some(key) => format!("{address} {key}"),
            None => address,
        }
    }

    /// Moves the first frame out.
    pub(crate) fn take_first(&mut self) -> Message {
        std::mem::replace(&mut self.frames[0], Message::new())
    }

    /// All three buffers.
    pub(crate) fn frames(&self) -> &[Message; 3] {
        &self.frames
    }

    /// Moves the frames out.
    pub(crate) fn take_frames(&mut self) -> [Message; 3] {
        std::mem::replace(&mut self.frames, std::array::from_fn(|_| Message::new()))
    }
}

/// Receives the next frame, and returns whether there was one.
fn next_frame(socket: &zmq::Socket, frame: &mut Message) -> zmq::Result<bool> {
    loop {
        match socket.recv(frame, DONTWAIT) {
            Ok(()) => return Ok(true),
            Err(zmq::Error::EAGAIN) => return Ok(false),
            Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Inbox, Received};

    #[test]
    fn messages_come_whole_and_one_by_one() {
        let context = zmq::Context::new();
        let [push, pull] = [zmq::PUSH, zmq::PULL].map(|kind| context.socket(kind).unwrap());
        pull.bind("inproc://receive").unwrap();
        push.connect("inproc://receive").unwrap();
        let mut inbox = Inbox::new();
        assert_eq!(inbox.receive(&pull), Ok(None));
        let counts = [1, 2, 3, 4, 5_000, 3, 1];
        for frames in counts {
            push.send_multipart((0..frames).map(|n| vec![b'x'; n % 3]), 0).unwrap();
        }
        for frames in counts {
            let bytes = (0..frames).map(|n| n as u64 % 3).sum::<u64>();
            assert_eq!(inbox.receive(&pull), Ok(Some(Received { frames, bytes })));
            if frames == 3 {
                assert_eq!(inbox.take_frames().map(|frame| frame.len()), [0, 1, 2]);
            }
            assert!(inbox.take_first().is_empty());
        }
        assert_eq!(inbox.receive(&pull), Ok(None));
    }
}
