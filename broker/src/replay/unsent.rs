//! How much of their answers readers have not taken yet, and what is done when it is too much.
#![expect(unsafe_code, reason = "two calls into C, which tell when a frame is no longer needed")]

use crate::connections::{Which, cut, cut_one};
use crate::ports::Ports;
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use zibrato::wire::Door;
use zmq::{DONTWAIT, Message, SNDMORE, Sendable};

/// From so many bytes on no batches are read for anybody.
const MAX_BYTES: u64 = 64 << 20;

/// From so many bytes on an answer is a large one: whoever has not taken it gets no other.
const LARGE: u64 = 64 << 10;

/// About as much a frame takes besides what is in it.
const FRAME_BYTES: u64 = 100;

/// How long a reader may take for an answer when there is too much for others to be answered.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is looked who has to be cut off.
const CUT_EVERY: Duration = Duration::from_millis(100);

/// Counts what is in answers that were sent and not yet taken. (With keys libzmq copies a frame when
/// it begins to encrypt it, and this counts it no longer; who has a key is no stranger.)
#[derive(Debug)]
pub(super) struct Unsent {
    ports: Ports,
    bytes: Arc<AtomicU64>,
    readers: HashMap<Vec<u8>, Taker>,
    last_cut: Option<Instant>,
}

/// A reader that has answers to take.
#[derive(Debug)]
struct Taker {
    bytes: Arc<AtomicU64>,
    since: Instant,
    /// Its connection, if libzmq says which that is.
    descriptor: Option<RawFd>,
}

impl Taker {
    fn has(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Unsent {
    pub(super) fn new(ports: Ports) -> Self {
        Self { ports, bytes: Arc::default(), readers: HashMap::new(), last_cut: None }
    }

    /// Whether a reader has a large answer to take before it gets another.
    pub(super) fn is_busy(&self, reader: &[u8]) -> bool {
        self.readers.get(reader).is_some_and(|taker| taker.has() >= LARGE)
    }

    /// Whether so much is unsent that nothing more may be read. Then those are cut off who take long,
    /// so that it does not last; `cuts` counts them.
    pub(super) fn is_too_much(&mut self, cuts: &mut u64) -> bool {
        let is_too_much = self.bytes.load(Ordering::Relaxed) >= MAX_BYTES;
        if is_too_much && self.last_cut.is_none_or(|last| last.elapsed() >= CUT_EVERY) {
            self.last_cut = Some(Instant::now());
            self.forget();
            let late = self.readers.values().filter(|taker| taker.since.elapsed() >= PATIENCE);
            for taker in late {
                *cuts += taker.descriptor.map_or_else(
                    || cut(&self.ports, &[(Door::Replay, Which::Unread)]),
                    |descriptor| u64::from(cut_one(&self.ports, Door::Replay, descriptor)),
                );
            }
        }
        is_too_much
    }

    /// Forgets readers that have taken everything, or are gone.
    pub(super) fn forget(&mut self) {
        self.readers.retain(|_, taker| taker.has() > 0);
    }

    /// Sends an answer to a reader.
    ///
    /// # Errors
    /// As ZeroMQ says; nearly always about the first frame, and then nothing was sent.
    pub(super) fn send(
        &mut self,
        socket: &mut zmq::Socket,
        (reader, descriptor): (&[u8], Option<RawFd>),
        mut frames: Vec<Message>,
    ) -> zmq::Result<()> {
        let bytes = frames.iter().map(|frame| frame.len() as u64 + FRAME_BYTES).sum();
        let Some(last) = frames.pop() else { return Ok(()) };
        for frame in frames {
            frame.send(socket, DONTWAIT | SNDMORE)?;
        }
        let now = Instant::now();
        let taker = self.readers.entry(reader.to_owned()).or_insert_with(|| Taker {
            bytes: Arc::default(),
            since: now,
            descriptor,
        });
        if taker.has() == 0 {
            (taker.since, taker.descriptor) = (now, descriptor);
        }
        // libzmq is done with the others when it is done with the last.
        send_held(socket, Held::new(last, bytes, [&self.bytes, &taker.bytes]))
    }
}

/// A frame that libzmq has, and the bytes that are counted for as long as it does.
struct Held {
    frame: Message,
    bytes: u64,
    counted: [Arc<AtomicU64>; 2],
}

impl Held {
    /// Boxed, because libzmq remembers where the frame's bytes are.
    fn new(frame: Message, bytes: u64, counted: [&Arc<AtomicU64>; 2]) -> Box<Self> {
        for counted in counted {
            counted.fetch_add(bytes, Ordering::Relaxed);
        }
        Box::new(Self { frame, bytes, counted: counted.map(Arc::clone) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for counted in &self.counted {
            counted.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

/// Called by libzmq, in a thread of its own, when it needs the bytes no longer.
unsafe extern "C" fn let_go(_bytes: *mut c_void, held: *mut c_void) {
    // SAFETY: `held` came from `Box::into_raw`, and libzmq calls this once.
    drop(unsafe { Box::from_raw(held.cast::<Held>()) });
}

/// Sends the last frame of a message without copying it.
fn send_held(socket: &mut zmq::Socket, held: Box<Held>) -> zmq::Result<()> {
    let length = held.frame.len();
    let held = Box::into_raw(held);
    let mut message = zmq_sys::zmq_msg_t::default();
    let message = &raw mut message;
    // SAFETY: the bytes are in the box, or are owned by what is in it, and both stay as they are until
    // `let_go` is called; it may be by another thread, for what is in the box is `Send`: a frame, a
    // number and atomics. The message is made by `zmq_msg_init_data` before it is used; if that fails,
    // nobody else has the box. It is closed if it could not be sent, and belongs to libzmq if it could.
    unsafe {
        let bytes = (*held).frame.as_mut_ptr();
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
