//! A thread that starts even in a forked child, whatever the parent's threads did at the fork.
//!
//! Threads of the standard library take an internal lock when they start and when they end. In a
//! child that was forked meanwhile, the lock stays locked forever, and every new thread would wait
//! for it at its start. Threads of the C library do not have this problem, because the C library
//! prepares its locks for forks.

use crate::resources::threads::{Task, is_there, this_task, wait_until_uncounted};
use crate::sdk::cells::per_process::generation;
use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};
use std::{io, ptr};

thread_local! {
    static OURS: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread was started here.
pub(crate) fn is_ours() -> bool {
    OURS.get()
}

/// A running thread. When this is dropped, the thread is detached.
#[derive(Debug)]
pub(crate) struct Thread {
    id: libc::pthread_t,
    /// The generation of its process.
    generation: u64,
    /// Its id in the system; 0 until it runs.
    task: Arc<AtomicI32>,
}

type Run = Box<dyn FnOnce() + Send>;

impl Thread {
    /// Starts a thread with this name, of at most 15 bytes.
    #[expect(unsafe_code, reason = "pthread_create is a function of the C library")]
    pub(crate) fn spawn(
        name: &'static CStr,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let task = Arc::new(AtomicI32::new(0));
        let its = Arc::clone(&task);
        let run: Box<Run> = Box::new(Box::new(move || {
            its.store(this_task(), Ordering::SeqCst);
            set_name(name);
            run();
        }));
        let run = Box::into_raw(run);
        let mut id = MaybeUninit::uninit();
        let create = || {
            // SAFETY: `id` has room for the result; null attributes are the defaults; and `begin`
            // gets the pointer that it expects, which no other code uses any more.
            unsafe { libc::pthread_create(id.as_mut_ptr(), ptr::null(), begin, run.cast()) }
        };
        let error = with_blocked_signals(create);
        if error != 0 {
            // SAFETY: no thread was started, so the pointer still belongs to this function, and
            // comes from `into_raw`.
            drop(unsafe { Box::from_raw(run) });
            return Err(io::Error::from_raw_os_error(error));
        }
        // SAFETY: `pthread_create` has not failed, so it has written it.
        let id = unsafe { id.assume_init() };
        Ok(Self { id, generation: generation(), task })
    }

    /// Waits until the thread has ended. Does not wait for a thread of the parent process.
    #[expect(unsafe_code, reason = "pthread_join is a function of the C library")]
    pub(crate) fn join(mut self) {
        if self.is_here() {
            // SAFETY: a thread of this process that was neither joined nor detached: both consume
            // the only handle.
            unsafe { libc::pthread_join(self.id, ptr::null_mut()) };
            let task: Task = self.task.load(Ordering::SeqCst);
            wait_until_uncounted(&[task]);
        }
        self.generation = ELSEWHERE;
    }

    /// Waits until the thread has ended, with the destructors of its thread-locals. After this time,
    /// or if the system does not say, the thread is detached.
    pub(crate) fn join_within(self, most: Duration) {
        let until = Instant::now() + most;
        while self.may_run() && self.is_here() && Instant::now() < until {
            std::thread::sleep(POLL);
        }
        if !self.may_run() {
            self.join();
        }
    }

    fn may_run(&self) -> bool {
        let task = self.task.load(Ordering::SeqCst);
        task == 0 || is_there(task)
    }

    fn is_here(&self) -> bool {
        self.generation == generation()
    }
}

// SAFETY: any thread may join or detach any other thread. The type is not `Send` only because the
// id of a thread is a pointer in some C libraries.
#[expect(unsafe_code, reason = "the id of a thread is a pointer in some C libraries")]
unsafe impl Send for Thread {}
// SAFETY: as above; and joining and detaching need ownership.
#[expect(unsafe_code, reason = "the id of a thread is a pointer in some C libraries")]
unsafe impl Sync for Thread {}

/// Signals that are not blocked: those that report errors of the thread itself. The signal of
/// profilers (`SIGPROF`) is blocked, because its handler may use descriptors of the application,
/// which the sender does not have (see `descriptor_table.rs`).
const UNBLOCKED: [i32; 6] =
    [libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGTRAP];

/// Calls `make` with signals blocked, so that the new thread blocks them too: signals to the
/// process are for the threads of the application. If those block a signal in order to wait for it,
/// and our thread did not block it, the signal would end the process.
#[expect(unsafe_code, reason = "signals are masked by functions of the C library")]
fn with_blocked_signals<T>(make: impl FnOnce() -> T) -> T {
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: `all` is initialized before it is used, and the removed signals are valid.
    let masked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        UNBLOCKED.iter().for_each(|signal| _ = libc::sigdelset(all.as_mut_ptr(), *signal));
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let made = make();
    if masked {
        // SAFETY: the first call has not failed, so it has written it.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    }
    made
}

/// Interval in which [`Thread::join_within`] looks whether the thread has ended.
const POLL: Duration = Duration::from_micros(200);

/// A generation that no process has.
const ELSEWHERE: u64 = u64::MAX;

impl Drop for Thread {
    #[expect(unsafe_code, reason = "pthread_detach is a function of the C library")]
    fn drop(&mut self) {
        // A child does not have this thread, and the C library may have freed its memory.
        if self.is_here() {
            // SAFETY: as in `join`.
            unsafe { libc::pthread_detach(self.id) };
            keep_loaded();
        }
    }
}

/// Keeps the library with this code loaded, because a detached thread may still execute it when a
/// plugin is unloaded.
#[expect(unsafe_code, reason = "dladdr and dlopen are functions of the C library")]
fn keep_loaded() {
    let mut found = MaybeUninit::<libc::Dl_info>::uninit();
    let here = keep_loaded as fn() as *const c_void;
    // SAFETY: `found` has space for the result, and is read only if it was written. Its name is a
    // text of the loader, or null. RTLD_NOLOAD loads nothing: a program is not a library, and then
    // this has no effect.
    unsafe {
        if libc::dladdr(here, found.as_mut_ptr()) != 0 {
            let name = found.assume_init().dli_fname;
            if !name.is_null() {
                libc::dlopen(name, libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
            }
        }
    }
}

/// Names the calling thread.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "pthread_setname_np is a function of the C library")]
fn set_name(name: &CStr) {
    // SAFETY: the calling thread and a text that ends with a zero byte. If the name is rejected,
    // there is none.
    unsafe { libc::pthread_setname_np(libc::pthread_self(), name.as_ptr()) };
}

#[cfg(not(target_os = "linux"))]
const fn set_name(_: &CStr) {}

#[expect(unsafe_code, reason = "the C library passes the argument of a thread as a pointer")]
extern "C" fn begin(run: *mut c_void) -> *mut c_void {
    // SAFETY: created by `spawn` for this thread alone.
    let run = unsafe { Box::from_raw(run.cast::<Run>()) };
    OURS.set(true);
    // The panic hook has reported it, and threads that wait for this one see that it has ended.
    catch_unwind(AssertUnwindSafe(run)).ok();
    ptr::null_mut()
}

#[cfg(test)]
mod tests {
    use super::{Thread, is_ours};
    use std::cell::RefCell;
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::time::{Duration, Instant};

    #[test]
    fn a_thread_runs_under_its_name_and_is_waited_for() {
        let (sender, receiver) = sync_channel(1);
        let run = move || {
            #[cfg(target_os = "linux")]
            let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
            #[cfg(not(target_os = "linux"))]
            let name = "zibrato-sender\n".to_owned();
            sender.send((name, is_ours())).unwrap();
        };
        Thread::spawn(c"zibrato-sender", run).unwrap().join();
        assert_eq!(receiver.try_recv(), Ok(("zibrato-sender\n".to_owned(), true)));
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
        let (sender, receiver) = sync_channel(1);
        Thread::spawn(c"test", move || sender.send(blocked()).unwrap()).unwrap().join();
        let is_blocked = receiver.try_recv().unwrap();
        let others = [libc::SIGTERM, libc::SIGCHLD, libc::SIGALRM, libc::SIGPROF];
        assert!(others.into_iter().all(&is_blocked));
        assert!([libc::SIGSEGV, libc::SIGBUS].into_iter().all(|signal| !is_blocked(signal)));
        assert!(!blocked()(libc::SIGTERM), "this thread does not block it");
    }

    /// Its destructor waits until the sender of this channel is dropped.
    struct Waits(Receiver<()>);

    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.recv().unwrap_err();
        }
    }

    #[test]
    fn a_destructor_of_a_thread_local_that_blocks_does_not_block_the_owner() {
        thread_local!(static LAST: RefCell<Option<Waits>> = const { RefCell::new(None) });
        let (ends, waits) = sync_channel(0);
        let run = move || LAST.set(Some(Waits(waits)));
        let thread = Thread::spawn(c"test", run).unwrap();
        let begun = Instant::now();
        thread.join_within(Duration::from_millis(20));
        // It was not joined: the destructor still waits.
        assert!(begun.elapsed() >= Duration::from_millis(20));
        drop(ends);
        let thread = Thread::spawn(c"test", || ()).unwrap();
        thread.join_within(Duration::from_secs(60));
    }

    #[test]
    fn a_panic_ends_the_thread_and_nothing_else() {
        Thread::spawn(c"test", || std::panic::resume_unwind(Box::new(()))).unwrap().join();
        drop(Thread::spawn(c"test", || ()).unwrap());
    }
}
