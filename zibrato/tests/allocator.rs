//! An allocator may count its calls: counting never waits for itself.

#![expect(unsafe_code, reason = "an allocator is declared unsafe")]
#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};
use zibrato::{Loss, Zibrato, count, testing};

struct Counted;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count!("info", "allocations");
        count!("info", "allocated", layout.size());
        // SAFETY: what the caller promised us is what it asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count!("info", "deallocations");
        // SAFETY: it came from `alloc` above, which is the system's, with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// There is one place for an instrument, and tests run side by side.
static PLACE: Mutex<()> = Mutex::new(());

macro_rules! count_at {
    ($($place:literal)*) => { $(count!("info", concat!("place.", $place));)* };
}

/// More call sites than the smallest block has cells.
fn count_at_many_places() {
    count_at!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29);
    count_at!(30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56);
    count_at!(57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
}

/// Ends the process unless what it gives back is dropped in time.
fn watch() -> SyncSender<()> {
    let (done, is_done) = sync_channel(0);
    let watch = move || {
        if is_done.recv_timeout(Duration::from_secs(20)) == Err(RecvTimeoutError::Timeout) {
            // Something waits for itself. A panic allocates, and so would wait, too.
            std::process::abort();
        }
    };
    Builder::new().spawn(watch).unwrap();
    done
}

#[test]
fn an_allocator_may_count() {
    let _place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    let _watch = watch();
    let mut reentrant = 0;
    for _ in 0..3 {
        let builder = Zibrato::builder().port(1).flush_deadline(Duration::ZERO);
        let guard = builder.install().unwrap();
        count_at_many_places();
        let threads = [(); 4].map(|()| Builder::new().spawn(count_at_many_places).unwrap());
        (0..1000).for_each(|size| drop(black_box(vec![0_u8; size + 1])));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        guard.handle().flush(Duration::ZERO);
        let stats = guard.shutdown();
        // Twice for each allocation, and once for its end.
        assert!(stats.lost[&Loss::Deadline] >= 3 * 1000 + 5 * 80, "{stats:?}");
        assert!(stats.balances(), "{stats:?}");
        reentrant += stats.lost.get(&Loss::Reentrant).copied().unwrap_or_default();
    }
    // What was counted while the first cells were made.
    assert!(reentrant > 0);
}

#[test]
fn a_capture_leaves_what_the_allocator_counts_for_it_out() {
    let _place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    let capture = testing::capture();
    for _ in 0..100 {
        count!("info", "captured");
        drop(black_box(vec![0_u8; 100]));
    }
    assert_eq!(
        capture.measurements().iter().filter(|m| m.name.as_str() == "captured").count(),
        100
    );
    assert!(capture.counter("info", "allocations") >= 100.0);
}

#[test]
fn a_child_of_a_program_whose_allocator_counts_measures_on() {
    let _place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    let builder = Zibrato::builder().port(1).flush_deadline(Duration::ZERO);
    let guard = builder.install().unwrap();
    for _ in 0..20 {
        drop(black_box(vec![0_u8; 100]));
        fork_and(|| {
            (0..100).for_each(|size| drop(black_box(vec![0_u8; size + 1])));
            guard.handle().stats().recorded >= 100
        });
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_without_a_sender_ends_though_the_allocator_counts() {
    let _place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    let builder = Zibrato::builder().port(1).flush_deadline(Duration::ZERO);
    let mut guard = Some(builder.install().unwrap());
    fork_and(|| {
        forbid_threads();
        (0..100).for_each(|size| drop(black_box(vec![0_u8; size + 1])));
        let stats = guard.take().unwrap().shutdown();
        stats.recorded >= 100 && stats.balances() && stats.pending == 0
    });
}

/// From now on this process cannot start a thread.
#[cfg(target_os = "linux")]
fn forbid_threads() {
    let none = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    // SAFETY: the arguments are numbers, and a limit that the system only reads.
    unsafe {
        // Root can start any number of threads, so this becomes another user.
        if libc::getuid() == 0 {
            assert_eq!(libc::setgid(60_000) | libc::setuid(60_000), 0);
        }
        assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &raw const none), 0);
    }
}

/// Expects that `act` returns true in a child, in time.
fn fork_and(act: impl FnOnce() -> bool) {
    // SAFETY: the child uses nothing that a thread of the parent could have left locked, and ends
    // without running what belongs to the parent.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let fits = act();
        // SAFETY: it ends the process, and nothing else.
        unsafe { libc::_exit(i32::from(!fits)) };
    }
    let (begun, mut status) = (Instant::now(), 0);
    // SAFETY: a child of ours, and room for how it ended.
    while unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == 0 {
        if begun.elapsed() > Duration::from_secs(10) {
            // SAFETY: a child of ours that has not been waited for.
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
        std::thread::yield_now();
    }
    assert_eq!(status, 0, "it waits for itself, or has measured nothing");
}

#[test]
fn a_fork_does_not_wait_for_what_the_allocator_waits_for() {
    let done = AtomicBool::new(false);
    let _place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    let _watch = watch();
    let builder = Zibrato::builder().port(1).interval(Duration::from_millis(10));
    let guard = builder.flush_deadline(Duration::ZERO).install().unwrap();
    let (begin, end) = (Barrier::new(4), Barrier::new(2));
    let timers = (0..50).map(|n| guard.handle().timer("info", &format!("t.{n}")));
    let timers: Vec<_> = timers.collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Meanwhile each count asks whether it is wanted, for which it takes locks.
            let _capture = testing::capture();
            begin.wait();
            end.wait();
        });
        let record = || {
            begin.wait();
            // What many seconds are folded into is allocated while it is locked.
            for exponent in (0..60).cycle().take_while(|_| !done.load(Ordering::Relaxed)) {
                timers.iter().for_each(|timer| timer.record(Duration::from_nanos(1 << exponent)));
            }
        };
        scope.spawn(record);
        scope.spawn(record);
        begin.wait();
        for _ in 0..200 {
            // SAFETY: the child does nothing but end.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: it ends the process, and nothing else.
                unsafe { libc::_exit(0) };
            }
            // SAFETY: a child of ours, and nobody wants to know how it ended.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        }
        done.store(true, Ordering::Relaxed);
        end.wait();
    });
}
