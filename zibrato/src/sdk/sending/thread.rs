//! A thread that begins also in a forked child, whatever the parent's threads did at that moment.
//!
//! Threads of the standard library take a lock of its own when they begin and when they end. A
//! child that is forked meanwhile has it locked for ever, and there every such thread would wait
//! before it does anything. Those of the C library do not: it makes itself fit for forks.

use crate::resources::threads::{Task, this_task, wait_until_uncounted};
use crate::sdk::cells::per_process::generation;
use std::cell::Cell;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::{io, ptr};

thread_local! {
    static OURS: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is one of these.
pub(crate) fn is_ours() -> bool {
    OURS.get()
}

/// A thread that runs. When this is dropped, it goes on by itself.
#[derive(Debug)]
pub(crate) struct Thread {
    id: libc::pthread_t,
    /// The process that it runs in.
    generation: u64,
    /// What the system calls it; 0 until it runs.
    task: Arc<AtomicI32>,
}

type Run = Box<dyn FnOnce() + Send>;

impl Thread {
    /// Begins a thread that the system calls `zibrato-sender`.
    #[expect(unsafe_code, reason = "pthread_create is a function of the C library")]
    pub(crate) fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let task = Arc::new(AtomicI32::new(0));
        let its = Arc::clone(&task);
        let run: Box<Run> = Box::new(Box::new(move || {
            its.store(this_task(), Ordering::SeqCst);
            run();
        }));
        let run = Box::into_raw(run);
        let mut id = MaybeUninit::uninit();
        let create = || {
            // SAFETY: `id` has room for what is written there; no attributes are the usual ones;
            // and `begin` gets what it expects, which nobody else touches any more.
            unsafe { libc::pthread_create(id.as_mut_ptr(), ptr::null(), begin, run.cast()) }
        };
        let error = deaf(create);
        if error != 0 {
            // SAFETY: no thread has begun, so it is still ours, and comes from `into_raw`.
            drop(unsafe { Box::from_raw(run) });
            return Err(io::Error::from_raw_os_error(error));
        }
        // SAFETY: written by `pthread_create`, which has not failed.
        let id = unsafe { id.assume_init() };
        Ok(Self { id, generation: generation(), task })
    }

    /// Waits until it has ended. Does not wait for one that stayed behind in the parent.
    #[expect(unsafe_code, reason = "pthread_join is a function of the C library")]
    pub(crate) fn join(mut self) {
        if self.is_here() {
            // SAFETY: a thread of this process, which nobody has joined or detached: that takes
            // the handle, of which there is one.
            unsafe { libc::pthread_join(self.id, ptr::null_mut()) };
            let task: Task = self.task.load(Ordering::SeqCst);
            wait_until_uncounted(&[task]);
        }
        self.generation = ELSEWHERE;
    }

    fn is_here(&self) -> bool {
        self.generation == generation()
    }
}

// SAFETY: any thread may wait for any other or let it go. Only some C libraries make a pointer of
// the name of a thread, which is all that keeps this from being so by itself.
#[expect(unsafe_code, reason = "what names a thread is a pointer in some C libraries")]
unsafe impl Send for Thread {}
// SAFETY: as above; and a shared reference lets nobody do either.
#[expect(unsafe_code, reason = "what names a thread is a pointer in some C libraries")]
unsafe impl Sync for Thread {}

/// Signals that a thread hears though it is deaf: what it does wrong itself. A profiler's
/// (`SIGPROF`) is not among them, since its handler may use descriptors of the application, which
/// the sender does not have (see `descriptor_table.rs`).
const HEARD: [i32; 6] =
    [libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGTRAP];

/// Makes a thread that is deaf to signals: those that are sent to the process are for the
/// application's threads. Were one of ours to take a signal that all of those have blocked, and
/// wait for in their own way, it would end the process.
#[expect(unsafe_code, reason = "signals are masked by functions of the C library")]
fn deaf<T>(make: impl FnOnce() -> T) -> T {
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: `all` is filled before it is used, and the signals taken out of it are ones.
    let masked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        HEARD.iter().for_each(|signal| _ = libc::sigdelset(all.as_mut_ptr(), *signal));
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let made = make();
    if masked {
        // SAFETY: written by the first call, which has not failed.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    }
    made
}

/// No process has come so far.
const ELSEWHERE: u64 = u64::MAX;

impl Drop for Thread {
    #[expect(unsafe_code, reason = "pthread_detach is a function of the C library")]
    fn drop(&mut self) {
        // In a child there is no such thread, and the C library may have taken back its memory.
        if self.is_here() {
            // SAFETY: as in `join`.
            unsafe { libc::pthread_detach(self.id) };
        }
    }
}

#[expect(unsafe_code, reason = "what a thread is given passes through the C library")]
extern "C" fn begin(run: *mut c_void) -> *mut c_void {
    // SAFETY: what `spawn` has made, for this thread alone.
    let run = unsafe { Box::from_raw(run.cast::<Run>()) };
    #[cfg(target_os = "linux")]
    // SAFETY: the calling thread and a text that ends with a zero. A name that is refused is none.
    unsafe {
        libc::pthread_setname_np(libc::pthread_self(), c"zibrato-sender".as_ptr());
    }
    OURS.set(true);
    // The panic's hook has told of it; whoever waits for the thread sees that it has ended.
    catch_unwind(AssertUnwindSafe(run)).ok();
    ptr::null_mut()
}

#[cfg(test)]
mod tests {
    use super::{Thread, is_ours};
    use std::sync::mpsc::sync_channel;

    #[test]
    fn a_thread_runs_under_its_name_and_is_waited_for() {
        let (say, hear) = sync_channel(1);
        let run = move || {
            #[cfg(target_os = "linux")]
            let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
            #[cfg(not(target_os = "linux"))]
            let name = "zibrato-sender\n".to_owned();
            say.send((name, is_ours())).unwrap();
        };
        Thread::spawn(run).unwrap().join();
        assert_eq!(hear.try_recv(), Ok(("zibrato-sender\n".to_owned(), true)));
        assert!(!is_ours());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn signals_are_for_the_threads_of_the_application() {
        let blocked = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
            let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
            move |signal: i32| mask & 1 << (signal - 1) != 0
        };
        let (say, hear) = sync_channel(1);
        Thread::spawn(move || say.send(blocked()).unwrap()).unwrap().join();
        let is_deaf = hear.try_recv().unwrap();
        let others = [libc::SIGTERM, libc::SIGCHLD, libc::SIGALRM, libc::SIGPROF];
        assert!(others.into_iter().all(&is_deaf));
        assert!([libc::SIGSEGV, libc::SIGBUS].into_iter().all(|signal| !is_deaf(signal)));
        assert!(!blocked()(libc::SIGTERM), "here they are heard as before");
    }

    #[test]
    fn a_panic_ends_the_thread_and_nothing_else() {
        Thread::spawn(|| std::panic::resume_unwind(Box::new(()))).unwrap().join();
        drop(Thread::spawn(|| ()).unwrap());
    }
}
