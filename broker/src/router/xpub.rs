//! The XPUB socket: a slow subscriber loses messages, which are counted, and delays no other
//! subscriber.

use crate::libzmq::options::{WhenFull, set_when_full};
use zmq::{DONTWAIT, Message, SNDMORE};

/// Sends to all subscribers.
pub(crate) struct Xpub {
    socket: zmq::Socket,
    /// The first frame, kept because a send that fails consumes its frame.
    first: Vec<u8>,
}

/// Which subscribers of a topic got a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All.
    ToAll,
    /// Not all: the queue of at least one was full.
    ToSome,
}

impl Xpub {
    /// Takes over an XPUB socket.
    pub(crate) fn new(mut socket: zmq::Socket) -> zmq::Result<Self> {
        set_when_full(&mut socket, WhenFull::Fail)?;
        Ok(Self { socket, first: Vec::new() })
    }

    pub(crate) const fn socket(&self) -> &zmq::Socket {
        &self.socket
    }

    pub(crate) const fn socket_mut(&mut self) -> &mut zmq::Socket {
        &mut self.socket
    }

    /// The first frame of the message that was sent last.
    pub(crate) fn last_first_frame(&self) -> &[u8] {
        &self.first
    }

    /// Sends one message. Frames are passed on without a copy, except the first, which is short.
    pub(crate) fn send<const N: usize>(
        &mut self,
        first: Message,
        rest: [Message; N],
    ) -> zmq::Result<Sent> {
        self.first.clear();
        self.first.extend_from_slice(&first);
        let flags = if N == 0 { DONTWAIT } else { DONTWAIT | SNDMORE };
        match self.send_first(first, flags) {
            Err(zmq::Error::EAGAIN) => {
                // The queue of a subscriber is full. Only libzmq knows which one, so it must drop the
                // message for it.
                set_when_full(&mut self.socket, WhenFull::Drop)?;
                let sent = self
                    .send_first(Message::from(&self.first[..]), flags)
                    .and_then(|()| self.send_rest(rest));
                set_when_full(&mut self.socket, WhenFull::Fail)?;
                sent.map(|()| Sent::ToSome)
            }
            first => first.and_then(|()| self.send_rest(rest)).map(|()| Sent::ToAll),
        }
    }

    fn send_first(&self, first: Message, flags: i32) -> zmq::Result<()> {
        let mut sent = self.socket.send(first, flags);
        while sent == Err(zmq::Error::EINTR) {
            sent = self.socket.send(Message::from(&self.first[..]), flags);
        }
        sent
    }

    /// The queues count messages, and had room for this one when its first frame was sent.
    fn send_rest<const N: usize>(&self, rest: [Message; N]) -> zmq::Result<()> {
        let last = N.wrapping_sub(1);
        for (at, frame) in rest.into_iter().enumerate() {
            let more = if at == last { 0 } else { SNDMORE };
            if let Err(error) = self.socket.send(frame, DONTWAIT | more) {
                // The frame is lost. An empty last frame ends the message; otherwise the next message
                // would become part of it.
                self.socket.send(Message::new(), DONTWAIT)?;
                return Err(error);
            }
        }
        Ok(())
    }
}
