//! How much of the answers readers have not taken yet, and what is done when it is too much.
#![expect(unsafe_code, reason = "two calls into C, which tell when a frame is no longer needed")]

use crate::connections::{Which, cut};
use crate::ports::Ports;
use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use zibrato::wire::Door;
use zmq::{DONTWAIT, Message, SNDMORE, Sendable};

/// From so many bytes on no batches are read for anybody.
const MAX_BYTES: u64 = 64 << 20;

/// About as much a batch takes besides its body: four frames, with topic, id and stamp.
const BATCH_BYTES: u64 = 400;

/// How often readers that do not read are cut off.
const CUT_EVERY: Duration = Duration::from_millis(100);

/// Counts what is in answers that were sent and not yet taken.
#[derive(Debug)]
pub(super) struct Unsent {
    ports: Ports,
    bytes: Arc<AtomicU64>,
    last_cut: Option<Instant>,
}

impl Unsent {
    pub(super) fn new(ports: Ports) -> Self {
        Self { ports, bytes: Arc::default(), last_cut: None }
    }

    /// Whether so much is unsent that nothing more may be read. Then those who do not read are cut
    /// off, so that it does not last.
    pub(super) fn is_too_much(&mut self) -> bool {
        let is_too_much = self.bytes.load(Ordering::Relaxed) >= MAX_BYTES;
        if is_too_much && self.last_cut.is_none_or(|last| last.elapsed() >= CUT_EVERY) {
            self.last_cut = Some(Instant::now());
            let connections = cut(&self.ports, &[(Door::Replay, Which::Unread)]);
            tracing::debug!(event = "deaf_readers_cut", connections);
        }
        is_too_much
    }

    /// Sends an answer: its frames before the batches, and four for each batch.
    ///
    /// # Errors
    /// As ZeroMQ says, about the first frame: then nothing was sent.
    pub(super) fn send(
        &self,
        socket: &mut zmq::Socket,
        head: impl Iterator<Item = Message>,
        mut batches: Vec<Message>,
    ) -> zmq::Result<()> {
        let Some(last) = batches.pop() else { return socket.send_multipart(head, DONTWAIT) };
        let bodies = batches.iter().skip(3).step_by(4).chain([&last]);
        let bytes = bodies.map(|body| body.len() as u64 + BATCH_BYTES).sum();
        for frame in head.chain(batches) {
            frame.send(socket, DONTWAIT | SNDMORE)?;
        }
        // libzmq is done with the others when it is done with the last.
        send_held(socket, Held::new(last, bytes, &self.bytes))
    }
}

/// A frame that libzmq has, and the bytes that are counted for as long as it does.
struct Held {
    frame: Message,
    bytes: u64,
    total: Arc<AtomicU64>,
}

impl Held {
    /// Boxed, because libzmq remembers where the frame's bytes are.
    fn new(frame: Message, bytes: u64, total: &Arc<AtomicU64>) -> Box<Self> {
        total.fetch_add(bytes, Ordering::Relaxed);
        Box::new(Self { frame, bytes, total: Arc::clone(total) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Called by libzmq, in a thread of its own, when it needs the bytes no longer.
unsafe extern "C" fn let_go(_bytes: *mut c_void, held: *mut c_void) {
    // SAFETY: `held` came from `Box::into_raw`, and libzmq calls this once.
    drop(unsafe { Box::from_raw(held.cast::<Held>()) });
}

/// Sends the last frame of a message without copying it.
fn send_held(socket: &mut zmq::Socket, mut held: Box<Held>) -> zmq::Result<()> {
    let (bytes, length) = (held.frame.as_mut_ptr(), held.frame.len());
    let held = Box::into_raw(held);
    let mut message = zmq_sys::zmq_msg_t::default();
    let message = &raw mut message;
    // SAFETY: `bytes` are in the box, or are owned by what is in it, and both stay as they are until
    // `let_go` is called, which is `Send`: a frame, a number and an atomic. The message is made by
    // `zmq_msg_init_data` before it is used; if that fails, nobody else has the box. It is closed if
    // it could not be sent, and belongs to libzmq if it could.
    unsafe {
        if zmq_sys::zmq_msg_init_data(message, bytes.cast(), length, Some(let_go), held.cast()) != 0
        {
            drop(Box::from_raw(held));
            return Err(zmq::Error::ENOMEM);
        }
        if zmq_sys::zmq_msg_send(message, socket.as_mut_ptr(), DONTWAIT as c_int) < 0 {
            let error = zmq::Error::from_raw(zmq_sys::zmq_errno());
            zmq_sys::zmq_msg_close(message);
            return Err(error);
        }
    }
    Ok(())
}
