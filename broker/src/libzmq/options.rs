//! Calls of libzmq that the `zmq` crate does not offer.
#![expect(unsafe_code, reason = "they are calls into C")]

use std::ffi::{c_int, c_void};

/// `ZMQ_ZAP_ENFORCE_DOMAIN`. It exists since libzmq 4.3.0, but the headers define it only for users
/// of draft features.
const ZAP_ENFORCE_DOMAIN: c_int = 93;

/// Whether a send to an XPUB socket fails when the queue of a matching subscriber is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// That subscriber does not get the message, all others do.
    Drop,
    /// The send fails with `EAGAIN`, and no subscriber gets the message.
    Fail,
}

/// Sets `ZMQ_XPUB_NODROP`.
pub(crate) fn set_when_full(socket: &mut zmq::Socket, when: WhenFull) -> zmq::Result<()> {
    set(socket, zmq_sys::ZMQ_XPUB_NODROP as c_int, c_int::from(when == WhenFull::Fail))
}

/// Rejects clients while no [`ZapThread`](crate::curve::ZapThread) runs. Otherwise libzmq accepts
/// every client that encrypts.
pub(crate) fn enforce_zap_domain(socket: &mut zmq::Socket) -> zmq::Result<()> {
    set(socket, ZAP_ENFORCE_DOMAIN, 1)
}

fn set(socket: &mut zmq::Socket, option: c_int, value: c_int) -> zmq::Result<()> {
    let pointer: *const c_int = &raw const value;
    // SAFETY: the socket is open because it is borrowed; libzmq reads exactly one int from a
    // pointer to one int and does not keep the pointer.
    check(unsafe {
        let (socket, value) = (socket.as_mut_ptr(), pointer.cast::<c_void>());
        zmq_sys::zmq_setsockopt(socket, option, value, size_of::<c_int>())
    })
}

fn check(code: c_int) -> zmq::Result<()> {
    if code == 0 {
        return Ok(());
    }
    // SAFETY: reads a number that libzmq keeps for this thread.
    Err(zmq::Error::from_raw(unsafe { zmq_sys::zmq_errno() }))
}
