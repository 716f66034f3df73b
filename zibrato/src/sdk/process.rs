//! What the C library tells of the process: that it ends, and that it has forked.
//!
//! The standard library has neither. The handlers live as long as the process, and do nothing
//! while nothing is installed.

use super::{handle, kept, owner, point, thread, ticks};
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many forks lie between this process and the one that first measured.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Tells a process from those that it was forked from. It costs a load, where asking for the
/// process id is a system call.
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Every lock that is the whole process's. A fork copies locks as they stand; one that another
/// thread holds at that moment would stay locked in the child for ever.
///
/// They are let go from the first to the last; the last frees memory, which an allocator may count.
struct Locks {
    _installed: handle::Held,
    _reborn: owner::Held,
    _free: kept::Held,
    _comparisons: ticks::Held,
    points: point::Held,
}

impl Locks {
    /// Takes them all, and as long as some cannot be had, none.
    fn take() -> Self {
        loop {
            let room = point::room();
            match Self::take_now(room) {
                Ok(locks) => return locks,
                Err(room) => drop(room),
            }
        }
    }

    /// Takes them in the order in which they nest everywhere else; or gives the room again, which
    /// is not to be dropped before they are let go: the allocator may measure.
    fn take_now(room: point::Room) -> Result<Self, point::Room> {
        let others = || Some((handle::hold()?, owner::hold()?, kept::hold()?, ticks::hold()?));
        let Some((_installed, _reborn, _free, _comparisons)) = others() else { return Err(room) };
        let points = point::hold(room)?;
        Ok(Self { _installed, _reborn, _free, _comparisons, points })
    }
}

thread_local! {
    // Never dropped by the thread's end, so that it can be reached even then.
    static HELD: RefCell<ManuallyDrop<Option<Locks>>> =
        const { RefCell::new(ManuallyDrop::new(None)) };
}

fn take_held() -> Option<Locks> {
    HELD.with_borrow_mut(|held| std::mem::take(&mut **held))
}

extern "C" fn before_fork() {
    let locks = Locks::take();
    HELD.with_borrow_mut(|held| **held = Some(locks));
}

extern "C" fn in_parent() {
    drop(take_held());
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    if let Some(Locks { points, .. }) = take_held() {
        // Whatever measures next has to ask, and so finds out that it is in another process.
        points.ask_again();
        points.leave();
    }
}

extern "C" fn at_exit() {
    // A panic must not leave a function that C calls. There is nobody to tell of it any more.
    drop(std::panic::catch_unwind(handle::shut_down_installed));
}

/// From now on forks leave parent and child both fit to go on.
#[expect(unsafe_code, reason = "pthread_atfork is a function of the C library")]
pub(crate) fn survive_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: three functions that live as long as the program and take nothing. Where the
        // system has no memory left for them, forks are what they would be without.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child)) };
    });
}

/// From now on the end of the process flushes what is installed then.
#[expect(unsafe_code, reason = "atexit is a function of the C library")]
pub(crate) fn flush_at_exit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a function that lives as long as the program and takes nothing. Where the system
        // has no room for it, the guard still flushes.
        unsafe { libc::atexit(at_exit) };
    });
}

/// From now on each panic flushes what is installed then, for at most `within`.
pub(crate) fn flush_at_panics(within: Duration) {
    static ONCE: Once = Once::new();
    static WITHIN_MS: AtomicU64 = AtomicU64::new(0);
    WITHIN_MS.store(u64::try_from(within.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            before(info);
            // The sender cannot wait for itself.
            if !thread::is_ours()
                && let Some(installed) = handle::installed_if_free()
            {
                installed.flush(Duration::from_millis(WITHIN_MS.load(Ordering::SeqCst)));
            }
        }));
    });
}
