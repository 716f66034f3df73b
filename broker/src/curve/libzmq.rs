//! One option of libzmq that the `zmq` crate does not know, and nothing else.
#![expect(unsafe_code, reason = "it is a call into C")]

use std::ffi::{c_int, c_void};

/// `ZMQ_ZAP_ENFORCE_DOMAIN`, which headers show only to those who ask for drafts. It has been there
/// since 4.3.0.
const ZAP_ENFORCE_DOMAIN: c_int = 93;

/// Without it libzmq lets everybody in who encrypts, if there is nobody to ask.
pub(super) fn enforce_domain(socket: &mut zmq::Socket) -> zmq::Result<()> {
    let on: c_int = 1;
    // SAFETY: the socket is open because it is borrowed; libzmq reads exactly one int from a
    // pointer to one int and does not keep the pointer.
    let code = unsafe {
        let on: *const c_int = &raw const on;
        zmq_sys::zmq_setsockopt(
            socket.as_mut_ptr(),
            ZAP_ENFORCE_DOMAIN,
            on.cast::<c_void>(),
            size_of::<c_int>(),
        )
    };
    if code == 0 {
        return Ok(());
    }
    // SAFETY: reads a number that libzmq keeps for this thread.
    Err(zmq::Error::from_raw(unsafe { zmq_sys::zmq_errno() }))
}
