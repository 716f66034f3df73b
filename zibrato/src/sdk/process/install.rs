//! The installed instrument, into which attributes and macros record, and the handlers for forks
//! and for the end of the process.
//!
//! The standard library has no such handlers, so those of the C library are used. They live as long
//! as the process, and do nothing while nothing is installed. There is no handler before a fork,
//! and nothing waits: a child never needs a lock that a thread of its parent may have held (see
//! `per_process.rs`, which also registers the handler that distinguishes a child from its parent).

use super::zibrato::Zibrato;
use crate::sdk::cells::lock;
use crate::sdk::cells::per_process::{PerProcess, call_in_children, generation};
use crate::sdk::collection::ledger::Stats;
use crate::sdk::points::instrument::{self, Instrument};
use crate::sdk::points::point;
use crate::sdk::sending::thread;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::Duration;

/// A child inherits the instrument of its parent, unless it was being installed or removed at the
/// fork; then it belongs to the parent only.
static INSTALLED: PerProcess<RwLock<Option<Zibrato>>> = PerProcess::new(RwLock::new(None));

/// Locked while an instrument is being installed.
static INSTALLING: PerProcess<Mutex<()>> = PerProcess::new(Mutex::new(()));

fn slot() -> &'static RwLock<Option<Zibrato>> {
    INSTALLED.get(|parent| {
        RwLock::new(match parent.try_read() {
            Ok(installed) => installed.clone(),
            Err(TryLockError::Poisoned(installed)) => installed.into_inner().clone(),
            Err(TryLockError::WouldBlock) => None,
        })
    })
}

fn read() -> RwLockReadGuard<'static, Option<Zibrato>> {
    slot().read().unwrap_or_else(PoisonError::into_inner)
}

fn write() -> RwLockWriteGuard<'static, Option<Zibrato>> {
    slot().write().unwrap_or_else(PoisonError::into_inner)
}

/// The installed instrument, if there is one.
///
/// ```
/// let name = format!("shard.{}.full", 7);
/// if let Some(z) = zibrato::installed() {
///     z.count("warn", &name, 1);
/// }
/// ```
#[must_use]
pub fn installed() -> Option<Zibrato> {
    read().clone()
}

/// The instrument for which call sites measure.
fn installed_instrument() -> Option<Arc<Instrument>> {
    read().as_ref()?.owner.instrument().cloned()
}

/// Installs a handle, or returns it if another one is installed.
pub(crate) fn install(handle: Zibrato) -> Result<Guard, Zibrato> {
    flush_at_exit();
    instrument::find_installed_by(installed_instrument);
    // One installation at a time. Call sites look up the installed instrument meanwhile.
    let _installing = lock(INSTALLING.get(|_| Mutex::new(())));
    if installed().is_some() {
        return Err(handle);
    }
    handle.owner.take_sites();
    *write() = Some(handle.clone());
    Ok(Guard { handle, has_ended: false })
}

/// Ends the installation of a handle, unless a child that inherited it has installed another one.
fn uninstall(handle: &Zibrato) {
    let mut installed = write();
    if installed.as_ref().is_some_and(|it| Arc::ptr_eq(&it.owner, &handle.owner)) {
        *installed = None;
    }
}

/// Makes forked children measure for themselves.
pub(crate) fn survive_forks() {
    static DONE: AtomicBool = AtomicBool::new(false);
    // The generation of a child begins before its points ask.
    generation();
    if !DONE.load(Ordering::SeqCst) {
        call_in_children(point::ask_again_in_child);
        // Only now, because another thread that builds an instrument does not wait. If both
        // register the function, it does the same twice.
        DONE.store(true, Ordering::SeqCst);
    }
}

/// Makes the end of the process flush the instrument that is installed then.
#[expect(unsafe_code, reason = "atexit is a function of the C library")]
fn flush_at_exit() {
    static DONE: AtomicBool = AtomicBool::new(false);
    if !DONE.swap(true, Ordering::SeqCst) {
        // SAFETY: the function lives as long as the program, and takes no arguments. If the system
        // has no room for it, the guard still flushes.
        unsafe { libc::atexit(shut_down_installed) };
    }
}

/// The last flush, if the process ends while an instrument is installed.
extern "C" fn shut_down_installed() {
    let shut_down = || installed().map(|handle| handle.owner.shut_down());
    // A panic must not unwind into C code. It cannot be reported any more.
    drop(std::panic::catch_unwind(shut_down));
}

/// Makes each panic flush the instrument that is installed then, for at most `within`.
pub(crate) fn flush_at_panics(within: Duration) {
    static DONE: AtomicBool = AtomicBool::new(false);
    static WITHIN_MS: AtomicU64 = AtomicU64::new(0);
    WITHIN_MS.store(u64::try_from(within.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    if DONE.swap(true, Ordering::SeqCst) {
        return;
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        // The sender's thread cannot wait for itself.
        if !thread::is_ours()
            && let Some(installed) = installed()
        {
            installed.flush(Duration::from_millis(WITHIN_MS.load(Ordering::SeqCst)));
        }
    }));
}

/// Keeps an instrument installed. When it is dropped, it flushes within the flush deadline, and
/// measuring ends.
///
/// Bind it to a name in `main`; a value bound to `_` is dropped immediately.
///
/// # How a process may end
///
/// | end | measurements until then |
/// |---|---|
/// | the guard is dropped: by return, `?`, or a panic that unwinds | are flushed |
/// | `std::process::exit`, or return from `main` with the guard forgotten or in a static | are flushed by an `atexit` handler |
/// | a thread ends | stay in its cells, and are sent with the next interval |
/// | no broker | wait for one until the flush deadline, and are then lost |
/// | `abort`, `panic = "abort"`, `_exit`, SIGKILL, or a signal without a handler | are lost since the last interval |
///
/// The last flush takes at most [`flush_deadline`](crate::Builder::flush_deadline). The end then takes
/// up to 100 ms more if a batch is still in the socket, up to 200 ms more if the logger of the
/// application blocks, and up to a second more if the sender's thread gets no processor time.
///
/// If the program handles a signal and returns from `main`, that is an ordinary end:
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use signal_hook::consts::SIGTERM;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let stop = Arc::new(AtomicBool::new(false));
/// signal_hook::flag::register(SIGTERM, Arc::clone(&stop))?;
/// let _zibrato = zibrato::Zibrato::builder().source("importer").install()?;
/// while !stop.load(Ordering::Relaxed) {
///     zibrato::count!("info", "importer.rounds");
///     # signal_hook::low_level::raise(SIGTERM)?;
/// }
/// Ok(()) // here the guard is dropped, and flushes
/// # }
/// ```
///
/// # After a fork
///
/// A forked child continues to measure with the same settings, under its own identity and over its
/// own sockets. It opens them when it first measures, so a child that only calls `exec` never does.
/// Measurements of the parent before the fork are sent by the parent. A scope with a name known at
/// run time that began before the fork is counted or timed only in the parent. [`Zibrato::stats`]
/// of the child begins at zero. Dropping the guard in the child flushes what the child measured. If
/// the system gives the child no thread or no sockets, its measurements stay pending, and it tries
/// again once a second. A child made by a bare `clone` or by `vfork`, which skip the hooks of the C
/// library, must not measure before it calls `exec`. Neither must a child that is forked while its
/// parent is inside `exit`, which removes these hooks.
#[derive(Debug)]
#[must_use = "measuring ends when it is dropped; bind it to a name, not to `_`"]
pub struct Guard {
    handle: Zibrato,
    /// Whether it has been shut down, so that nothing is left to do when it is dropped.
    has_ended: bool,
}

impl Guard {
    /// The installed instrument.
    #[must_use]
    pub fn handle(&self) -> Zibrato {
        self.handle.clone()
    }

    /// Ends measuring, flushes within the flush deadline, and returns the statistics.
    pub fn shutdown(mut self) -> Stats {
        self.finish()
    }

    fn finish(&mut self) -> Stats {
        let stats = self.handle.owner.shut_down();
        // Only after the flush, because two instruments cannot share the call sites.
        uninstall(&self.handle);
        self.has_ended = true;
        stats
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.has_ended {
            self.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{installed, write};
    use crate::Zibrato;
    use crate::sdk::{Metadata, Shape, Site, count};
    use std::sync::Arc;
    use std::time::Duration;

    static SITE: Site = Site::new(
        Shape::Counter,
        Metadata {
            level: "info",
            name: Some("site"),
            module: "",
            function: "",
            source: None,
            tags: &[],
        },
    );

    /// As in a child that was forked while its parent was installing the first instrument.
    fn the_second_stays_when_the_first_ends() -> bool {
        let builder = Zibrato::builder().port(1).flush_deadline(Duration::ZERO);
        *write() = None;
        let first = builder.clone().install().unwrap();
        *write() = None;
        let second = builder.install().unwrap();
        drop(first);
        count(&SITE, 1);
        let is_second = installed().is_some_and(|z| Arc::ptr_eq(&z.owner, &second.handle.owner));
        is_second && second.shutdown().recorded == 1 && installed().is_none()
    }

    #[test]
    #[expect(unsafe_code, reason = "fork has no safe form")]
    fn a_guard_ends_only_its_own_installation() {
        // In a child, because other tests install instruments meanwhile.
        // SAFETY: the child uses the SDK, which supports this, and ends without running code of its
        // parent.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: the arguments are numbers.
            unsafe {
                libc::alarm(20);
                libc::_exit(i32::from(!the_second_stays_when_the_first_ends()));
            }
        }
        let mut status = 0;
        // SAFETY: a child of this process, and room for how it ended.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
    }
}
