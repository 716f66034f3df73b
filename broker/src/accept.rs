//! Stands in for the system's `accept4`, so that libzmq goes on when no file descriptor is free.
//!
//! libzmq aborts the process when accepting at an `ipc://` endpoint fails for want of descriptors or
//! kernel memory, and over TCP it tries again at once, for ever. The linker takes this function in
//! place of the C library's for all of the program. To libzmq it says then that there is nothing to
//! accept yet, and lets a moment pass first, so that trying again does not keep a core busy.
//! `zb-descriptors` meanwhile cuts connections, and says why. Other threads, such as that of the pages,
//! hear what the system says: they would not look again without a new event.
#![expect(unsafe_code, reason = "it is a function of the C library")]

use std::ffi::{c_int, c_long};
use std::time::Duration;

/// How long nothing is accepted after that failed.
const MOMENT: Duration = Duration::from_millis(1);

/// What the names of libzmq's threads begin with.
const LIBZMQ: &[u8] = b"ZMQbg";

/// As `accept4(2)`, but where that fails because something is used up, and libzmq asks, this fails with
/// `EAGAIN`.
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
    if accepted >= 0 {
        return c_int::try_from(accepted).unwrap_or(-1);
    }
    // SAFETY: points to a number of this thread's own, which is always there.
    let errno = unsafe { *libc::__errno_location() };
    let is_shortage = matches!(errno, libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM);
    if is_shortage && is_of_libzmq() {
        std::thread::park_timeout(MOMENT);
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = libc::EAGAIN };
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
