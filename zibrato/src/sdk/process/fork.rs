//! What the C library tells of the process: that it has forked, and that it ends.
//!
//! The standard library has neither. The handlers live as long as the process, and do nothing while
//! nothing is installed. Nothing happens before a fork, and nobody waits for anything: a child never
//! needs what a thread of its parent may have locked (see `per_process.rs`).

use crate::sdk::cells::per_process::begin_generation;
use crate::sdk::points::point;
use std::sync::atomic::{AtomicBool, Ordering};

extern "C" fn in_child() {
    begin_generation();
    // Whatever measures next has to ask, and so finds out that it is in another process.
    point::ask_again_in_child();
}

/// From now on a forked child measures for itself.
#[expect(unsafe_code, reason = "pthread_atfork is a function of the C library")]
pub(crate) fn survive_forks() {
    static DONE: AtomicBool = AtomicBool::new(false);
    if !DONE.swap(true, Ordering::SeqCst) {
        // SAFETY: a function that lives as long as the program and takes nothing. Where the system
        // has no memory left for it, forks are what they would be without.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    }
}

/// From now on `run` is called when the process ends.
#[expect(unsafe_code, reason = "atexit is a function of the C library")]
pub(crate) fn at_exit(run: extern "C" fn()) {
    static DONE: AtomicBool = AtomicBool::new(false);
    if !DONE.swap(true, Ordering::SeqCst) {
        // SAFETY: a function that lives as long as the program and takes nothing. Where the system
        // has no room for it, the guard still flushes.
        unsafe { libc::atexit(run) };
    }
}
