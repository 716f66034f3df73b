//! A forked child has no captures, and none of its parent's locks.

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use zibrato::testing::{Capture, capture, capture_process};
use zibrato::{count, gauge};
use zibrato_tests::DEADLINE;

const FORKS: usize = 50;

/// Runs `act` in a forked child, and returns its exit code.
#[expect(unsafe_code, reason = "fork has no safe form")]
fn in_child(act: impl FnOnce() + std::panic::UnwindSafe) -> Option<i32> {
    // SAFETY: the child uses only the SDK, whose behaviour after a fork is tested here, and the
    // allocator of the C library, which glibc and musl support after a fork.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "no fork: {}", std::io::Error::last_os_error());
    if pid == 0 {
        let code = i32::from(catch_unwind(act).is_err());
        // SAFETY: ends the process without the destructors that belong to the parent.
        unsafe { libc::_exit(code) };
    }
    let (pid, begun) = (Pid::from_raw(pid), Instant::now());
    loop {
        if let Some((_, status)) = waitpid(pid, WaitOptions::NOHANG).unwrap() {
            return status.exit_status();
        }
        if begun.elapsed() > DEADLINE {
            kill_process(pid.unwrap(), Signal::KILL).unwrap();
            panic!("the child hangs");
        }
        std::thread::yield_now();
    }
}

/// What a child does with the captures of its parent, and with its own.
fn child(thread: &Capture, all: &Capture) {
    count!("info", "forked");
    gauge!("info", "forked.depth", 1);
    assert!(thread.measurements().is_empty() && all.measurements().is_empty());
    {
        let _attached = all.attach();
        count!("info", "forked");
    }
    assert!(all.measurements().is_empty());
    let own = capture_process();
    let of_thread = capture();
    count!("info", "forked");
    assert_eq!(of_thread.counter("info", "forked"), 1.0);
    assert!(!own.has("info", "forked"));
    drop(of_thread);
    count!("info", "forked", 2);
    assert_eq!(own.counter("info", "forked"), 2.0);
}

/// Ends the threads of the test when it is dropped, also if the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_child_that_is_forked_while_threads_are_captured_captures_for_itself() {
    static ENDS: AtomicBool = AtomicBool::new(false);
    let all = capture_process();
    let thread = capture();
    std::thread::scope(|scope| {
        let busy = || {
            while !ENDS.load(Ordering::Relaxed) {
                count!("info", "busy");
            }
        };
        let end = End(&ENDS);
        // They hold the lock of the capture of the process most of the time.
        scope.spawn(busy);
        scope.spawn(busy);
        let codes: Vec<_> = (0..FORKS).map(|_| in_child(|| child(&thread, &all))).collect();
        drop(end);
        assert!(codes.iter().all(|code| *code == Some(0)), "{codes:?}");
    });
    assert!(!thread.has("info", "forked") && !all.has("info", "forked"));
    count!("info", "forked", 3);
    assert_eq!(thread.counter("info", "forked"), 3.0);
}
