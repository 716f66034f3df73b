//! Counts and limits the bytes of answers that readers have not read yet.
#![expect(unsafe_code, reason = "two calls into C, which tell when a frame is no longer needed")]

use super::connections::{Which, cut, cut_one};
use crate::ports::Ports;
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use zibrato::wire::Endpoint;
use zmq::{DONTWAIT, Message, SNDMORE, Sendable};

/// Maximum outstanding bytes in total before new readers get no batches. Beyond twice this number,
/// no reader gets any. So readers that have read a large answer before are not affected by readers
/// that never read one.
const MAX_BYTES: u64 = 64 << 20;

/// Minimum size of a large answer, in bytes. A reader gets no other answer before it has read a
/// large one.
const LARGE: u64 = 64 << 10;

/// Approximate overhead of a frame, in bytes.
const FRAME_BYTES: u64 = 100;

/// Maximum time for a reader to read an answer while there is no room for answers to others.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same, for a reader that has taken a large answer before.
const LONGER_PATIENCE: Duration = Duration::from_secs(3);

/// Maximum number of readers that are remembered because they have read a large answer.
const MAX_PROVEN: usize = 10_000;

/// Minimum time between two checks for late readers.
const CUT_EVERY: Duration = Duration::from_millis(100);

/// Counts the bytes of answers that were sent and not yet read. With keys, libzmq copies a frame
/// when it begins to encrypt it, and the frame is then no longer counted. That is acceptable,
/// because readers with a key are trusted.
#[derive(Debug)]
pub(crate) struct Outstanding {
    ports: Ports,
    bytes: Arc<AtomicU64>,
    readers: HashMap<Vec<u8>, Recipient>,
    last_cut: Option<Instant>,
}

/// A reader to which answers were sent.
#[derive(Debug)]
struct Recipient {
    bytes: Arc<AtomicU64>,
    since: Instant,
    /// Whether a large answer is outstanding.
    is_large: bool,
    /// Whether it has read one before.
    is_proven: bool,
    /// The descriptor of its connection, if libzmq tells it.
    descriptor: Option<RawFd>,
}

impl Recipient {
    fn has(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn look(&mut self) {
        if self.is_large && self.has() == 0 {
            (self.is_large, self.is_proven) = (false, true);
        }
    }

    fn is_late(&self) -> bool {
        let patience = if self.is_proven { LONGER_PATIENCE } else { PATIENCE };
        self.has() > 0 && self.since.elapsed() >= patience
    }
}

impl Outstanding {
    pub(crate) fn new(ports: Ports) -> Self {
        Self { ports, bytes: Arc::default(), readers: HashMap::new(), last_cut: None }
    }

    /// Whether a reader has to read a large answer before it gets another one.
    pub(crate) fn is_busy(&self, reader: &[u8]) -> bool {
        self.readers.get(reader).is_some_and(|recipient| recipient.has() >= LARGE)
    }

    /// Whether a reader has read a large answer before.
    pub(crate) fn is_proven(&mut self, reader: &[u8]) -> bool {
        self.readers.get_mut(reader).is_some_and(|recipient| {
            recipient.look();
            recipient.is_proven
        })
    }

    /// Whether too many bytes are outstanding to read batches for this reader. If so, late readers
    /// are disconnected; `cuts` counts them.
    pub(crate) fn is_too_much(&mut self, reader: &[u8], cuts: &mut u64) -> bool {
        let bytes = self.bytes.load(Ordering::Relaxed);
        if bytes < MAX_BYTES {
            return false;
        }
        if self.last_cut.is_none_or(|last| last.elapsed() >= CUT_EVERY) {
            self.last_cut = Some(Instant::now());
            *cuts += self.cut_late();
        }
        bytes >= 2 * MAX_BYTES || !self.is_proven(reader)
    }

    fn cut_late(&mut self) -> u64 {
        let late = || self.readers.values().filter(|recipient| recipient.is_late());
        let known = late().filter_map(|recipient| recipient.descriptor);
        let cuts =
            known.filter(|known| cut_one(&self.ports, Endpoint::Replay, *known)).count() as u64;
        if late().any(|recipient| recipient.descriptor.is_none()) {
            return cuts + cut(&self.ports, &[(Endpoint::Replay, Which::Unread)]);
        }
        cuts
    }

    /// Forgets readers that have read everything, except those that have read a large answer.
    pub(crate) fn forget(&mut self) {
        self.readers.values_mut().for_each(Recipient::look);
        let keeps = self.readers.len() < MAX_PROVEN;
        self.readers.retain(|_, recipient| recipient.has() > 0 || (keeps && recipient.is_proven));
    }

    /// Sends an answer to a reader.
    ///
    /// # Errors
    /// The error of ZeroMQ. It nearly always concerns the first frame, and then nothing was sent.
    pub(crate) fn send(
        &mut self,
        socket: &mut zmq::Socket,
        (reader, descriptor): (&[u8], Option<RawFd>),
        mut frames: Vec<Message>,
    ) -> zmq::Result<()> {
        let bytes: u64 = frames.iter().map(|frame| frame.len() as u64 + FRAME_BYTES).sum();
        let Some(last) = frames.pop() else { return Ok(()) };
        for frame in frames {
            frame.send(socket, DONTWAIT | SNDMORE)?;
        }
        let now = Instant::now();
        let recipient = self.readers.entry(reader.to_owned()).or_insert_with(|| Recipient {
            bytes: Arc::default(),
            since: now,
            is_large: false,
            is_proven: false,
            descriptor,
        });
        recipient.look();
        if recipient.has() == 0 {
            (recipient.since, recipient.descriptor) = (now, descriptor);
        }
        recipient.is_large |= bytes >= LARGE;
        // libzmq finishes with the last frame after it has finished with the others.
        send_held(socket, Held::new(last, bytes, [&self.bytes, &recipient.bytes]))
    }
}

/// A frame that was given to libzmq, and its bytes, which are counted until libzmq has finished
/// with it.
struct Held {
    frame: Message,
    bytes: u64,
    counted: [Arc<AtomicU64>; 2],
}

impl Held {
    /// Boxed, because libzmq stores the address of the frame's bytes.
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

/// Called by libzmq, in one of its threads, when it no longer needs the bytes.
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
    // SAFETY: the bytes are in the box, or owned by its content. Neither moves or changes until
    // `let_go` is called, possibly by another thread: the content of the box is `Send` (a frame, a
    // number and atomics). `zmq_msg_init_data` initializes the message before it is used; if it
    // fails, only this function has the box. If the message cannot be sent, it is closed here;
    // otherwise libzmq owns it.
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
