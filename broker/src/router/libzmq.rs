//! Two calls of libzmq that the `zmq` crate does not offer, and nothing else.
#![expect(unsafe_code, reason = "they are calls into C")]

use std::ffi::{c_int, c_void};
use std::ptr;

/// Whether a send to an XPUB socket fails when the queue of a matching subscriber is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenFull {
    /// That subscriber does not get the message, all others do.
    Drop,
    /// The send fails with `EAGAIN`, and nobody gets the message.
    Fail,
}

/// Sets `ZMQ_XPUB_NODROP`.
pub(super) fn set_when_full(socket: &mut zmq::Socket, when: WhenFull) -> zmq::Result<()> {
    let value: c_int = match when {
        WhenFull::Drop => 0,
        WhenFull::Fail => 1,
    };
    let option = zmq_sys::ZMQ_XPUB_NODROP as c_int;
    // SAFETY: the socket is open because it is borrowed; libzmq reads exactly one int from a
    // pointer to one int and does not keep the pointer.
    let code = unsafe {
        let value: *const c_int = &raw const value;
        zmq_sys::zmq_setsockopt(
            socket.as_mut_ptr(),
            option,
            value.cast::<c_void>(),
            size_of::<c_int>(),
        )
    };
    check(code)
}

/// Ends the monitoring of a socket. It has to end before the monitor's other side is closed,
/// because libzmq would wait for room there for ever.
pub(super) fn stop_monitor(socket: &mut zmq::Socket) -> zmq::Result<()> {
    // SAFETY: the socket is open because it is borrowed; a null address means to stop.
    let code = unsafe { zmq_sys::zmq_socket_monitor(socket.as_mut_ptr(), ptr::null(), 0) };
    check(code)
}

fn check(code: c_int) -> zmq::Result<()> {
    if code == 0 {
        return Ok(());
    }
    // SAFETY: reads a number that libzmq keeps for this thread.
    Err(zmq::Error::from_raw(unsafe { zmq_sys::zmq_errno() }))
}
