//! Replaces the C library's `accept4` for libzmq's threads.
//!
//! libzmq aborts the process when accepting at an `ipc://` endpoint fails for lack of descriptors
//! or kernel memory. Over TCP it tries again immediately, in an endless loop. For libzmq's threads,
//! this function reports such a failure as "no connection to accept", after a short pause. It also
//! closes connections that would take a [reserved](super::reserve) descriptor. The linker uses
//! it instead of the C library's function in the whole program. For other threads, such as that of
//! the pages, it does the same as the C library's function.
#![expect(unsafe_code, reason = "it is a function of the C library")]

use super::descriptors::count_refused;
use super::reserve::is_reserved;
use std::ffi::{c_int, c_long};
use std::time::Duration;

/// Pause of libzmq's thread after a failure.
const PAUSE: Duration = Duration::from_millis(1);

/// Prefix of the names of libzmq's threads.
const LIBZMQ: &[u8] = b"ZMQbg";

/// Like `accept4(2)`. For libzmq's threads, it fails with `EAGAIN` if a resource is used up, and
/// with `ECONNABORTED` if only reserved descriptors are left.
///
/// # Safety
/// The same as for `accept4(2)`: `address` and `length` are null, or point to memory for an address
/// and to its length.
#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(
    socket: c_int,
    address: *mut libc::sockaddr,
    length: *mut libc::socklen_t,
    flags: c_int,
) -> c_int {
    // SAFETY: the arguments are the caller's, who must meet the requirements of `accept4(2)`.
    let accepted: c_long =
        unsafe { libc::syscall(libc::SYS_accept4, socket, address, length, flags) };
    let accepted = c_int::try_from(accepted).unwrap_or(-1);
    // SAFETY: the result points to a thread-local number, which always exists.
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
    // SAFETY: the call writes at most 16 bytes, and the buffer has 16.
    let code = unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    code == 0 && name.starts_with(LIBZMQ)
}
