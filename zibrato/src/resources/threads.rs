//! Starts threads that do nothing, to find out whether the system allows them.
//!
//! They are threads of the C library, because those of the standard library may never start in a
//! forked child.
#![expect(unsafe_code, reason = "pthread_create is a function of the C library")]

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{io, ptr};

/// Maximum time to wait until the system no longer counts an ended thread. It usually takes
/// microseconds.
const DEADLINE: Duration = Duration::from_millis(100);

/// The system's id of a thread; 0 if it has none.
pub(crate) type Task = libc::pid_t;

/// A barrier: threads wait while it is locked. Each thread that passes adds its id.
type Gate = Mutex<Vec<Task>>;

/// Starts `count` threads that exist at the same time, and ends them.
pub(super) fn probe(count: usize) -> io::Result<()> {
    let gate = Arc::new(Gate::default());
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    let mut running = Vec::with_capacity(count);
    let begun = (0..count).try_for_each(|_| begin(&gate).map(|thread| running.push(thread)));
    drop(closed);
    for thread in running {
        // SAFETY: `thread` is a thread of this process that no other code joins or detaches.
        unsafe { libc::pthread_join(thread, ptr::null_mut()) };
    }
    let ended = gate.lock().unwrap_or_else(PoisonError::into_inner);
    wait_until_uncounted(&ended);
    begun
}

/// Waits until the system no longer counts these threads, which have been joined. It counts them
/// for some microseconds more, and starting another thread may fail in the meantime.
pub(crate) fn wait_until_uncounted(ended: &[Task]) {
    let since = Instant::now();
    while ended.iter().any(|task| is_there(*task)) && since.elapsed() < DEADLINE {
        std::thread::yield_now();
    }
}

fn begin(gate: &Arc<Gate>) -> io::Result<libc::pthread_t> {
    let gate = Arc::into_raw(Arc::clone(gate));
    let mut thread = MaybeUninit::uninit();
    // SAFETY: `thread` has space for the id of the thread, a null pointer means default attributes,
    // and `pass` gets the argument that it expects.
    let error = unsafe {
        libc::pthread_create(thread.as_mut_ptr(), ptr::null(), pass, gate.cast_mut().cast())
    };
    if error != 0 {
        // SAFETY: no thread was started, so the pointer is still ours, and it comes from
        // `into_raw`.
        drop(unsafe { Arc::from_raw(gate) });
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: `pthread_create` has succeeded and written it.
    Ok(unsafe { thread.assume_init() })
}

extern "C" fn pass(gate: *mut c_void) -> *mut c_void {
    // SAFETY: the pointer was created by `begin` for this thread alone.
    let gate = unsafe { Arc::from_raw(gate.cast_const().cast::<Gate>()) };
    gate.lock().unwrap_or_else(PoisonError::into_inner).push(this_task());
    ptr::null_mut()
}

/// The system's id of the calling thread.
#[cfg(target_os = "linux")]
pub(crate) fn this_task() -> Task {
    // SAFETY: the call has no arguments and cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) as Task }
}

#[cfg(not(target_os = "linux"))]
pub(crate) const fn this_task() -> Task {
    0
}

/// Whether the system still counts a thread of this process.
#[cfg(target_os = "linux")]
pub(crate) fn is_there(task: Task) -> bool {
    // SAFETY: the arguments are numbers, and signal 0 is only a check.
    task != 0 && unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), task, 0) == 0 }
}

#[cfg(not(target_os = "linux"))]
pub(crate) const fn is_there(_: Task) -> bool {
    false
}
