//! Replaces the C library's `accept4` for libzmq's threads.
//!
//! libzmq aborts the process when accepting at an `ipc://` endpoint fails for lack of descriptors or
//! kernel memory. Over TCP it tries again at once, without end. Here such a failure is reported
//! as nothing to accept, after a short pause, and a connection that would take a
//! [reserved](super::descriptors) descriptor is closed. The linker takes this function in place of the
//! C library's for the whole program. Other threads, such as that of the pages, get the system's
//! answer.
#![expect(unsafe_code, reason = "it is a function of the C library")]

use super::descriptors::{count_refused, is_reserved};
use std::ffi::{c_int, c_long};
use std::time::Duration;

/// How long libzmq pauses after a failure.
const PAUSE: Duration = Duration::from_millis(1);

/// What the names of libzmq's threads begin with.
const LIBZMQ: &[u8] = b"ZMQbg";

/// As `accept4(2)`, except for libzmq: `EAGAIN` if something is used up, and `ECONNABORTED` if only
/// reserved descriptors are left.
///
/// # Safety
/// As for `accept4(2)`: `address` and `length` are null, or point to a place for an address and to its
/// length.
#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(
    socket: c_int,
    address: *mut libc::sockaddr,
    length: *mut libc::socklen_t,
    flags: c_int,
) -> c_int {
    // SAFETY: the arguments are those of the caller, who keeps to what `accept4(2)` asks for.
    let accepted: c_long =
        unsafe { libc::syscall(libc::SYS_accept4, socket, address, length, flags) };
    let accepted = c_int::try_from(accepted).unwrap_or(-1);
    // SAFETY: points to a number of this thread's own, which is always there.
    let errno = unsafe { libc::__errno_location() };
    if accepted >= 0 {
        if !is_reserved(accepted) || !is_of_libzmq() {
            return accepted;
        }
        count_refused();
        // SAFETY: it was opened here, and no other code uses it; `errno` is as above.
        unsafe {
            libc::close(accepted);
            *errno = libc::ECONNABORTED;
        }
        return -1;
    }
    // SAFETY: as above.
    let error = unsafe { *errno };
    let is_used_up = matches!(error, libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM);
    if is_used_up && is_of_libzmq() {
        std::thread::park_timeout(PAUSE);
        // SAFETY: as above.
        unsafe { *errno = libc::EAGAIN };
    }
    -1
}

/// Whether this thread is one of libzmq's.
fn is_of_libzmq() -> bool {
    let mut name = [0_u8; 16];
    // SAFETY: the call writes at most 16 bytes, for which there is room.
    let code = unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    code == 0 && name.starts_with(LIBZMQ)
}
