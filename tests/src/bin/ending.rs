//! A program that measures and then ends in a given way: `ending PORT DEADLINE_MS COUNTS END`.

#![expect(clippy::disallowed_methods, reason = "it also tests threads without an owner")]
#![expect(clippy::unwrap_used, reason = "a program of tests, which fails so")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, OnceLock};
use std::time::Duration;
use zibrato::{Builder, Guard, Stats, Zibrato, count, gauge, time};

static KEPT: OnceLock<Guard> = OnceLock::new();

const THREADS: usize = 4;

/// Number of forks while other threads measure.
const FORKS: usize = 20;

#[expect(clippy::print_stdout, reason = "what the test reads")]
fn main() {
    let args: Vec<_> = std::env::args().collect();
    let [_, port, deadline, counts, end] = &args[..] else { panic!("four arguments") };
    let counts: u64 = counts.parse().unwrap();
    let builder = Zibrato::builder()
        .port(port.parse().unwrap())
        .flush_deadline(Duration::from_millis(deadline.parse().unwrap()))
        // Longer than any test, so that what arrives was flushed by the end.
        .interval(Duration::from_secs(3600))
        .flush_on_panic(end.starts_with("hooked"));
    if end == "fork_before_install" {
        return fork_before_install(&builder, counts);
    }
    let guard = builder.install().unwrap();
    before(counts);
    match end.as_str() {
        "return" => {}
        "exit" => std::process::exit(0),
        "exit_in_thread" => drop(std::thread::spawn(|| std::process::exit(0)).join()),
        "exit_while_dropping" => {
            let exit = std::thread::spawn(|| std::process::exit(0));
            drop(guard);
            return drop(exit.join());
        }
        "forget" => return std::mem::forget(guard),
        "static" => return KEPT.set(guard).unwrap(),
        "panic" => panic!("on purpose"),
        "hooked_abort" => {
            let _aborts = PanicsWhenDropped;
            panic!("on purpose");
        }
        "abort" => {
            guard.handle().flush(Duration::from_secs(30));
            count!("info", "after");
            std::process::abort();
        }
        "sigterm" => until_sigterm(counts),
        "threads" => count_on_threads(counts),
        "fork_return" => return fork_and(guard, counts, Child::Return),
        "fork_exit" => return fork_and(guard, counts, Child::Exit),
        "fork_idle" => return fork_and(guard, 0, Child::Return),
        "fork_twice" => return fork_and(guard, counts, Child::Forks),
        "fork_timed" => return fork_after_timing(guard, counts),
        "fork_busy" => println!("{}", fork_while_others_measure(counts)),
        "fork_anew" => return install_anew_in_child(guard, port.parse().unwrap(), counts),
        "fork_shut_down" => {
            drop(guard);
            if fork() == 0 {
                child(counts);
                return;
            }
            return wait_for_children(1);
        }
        other => panic!("no end {other:?}"),
    }
    drop(guard);
}

/// A panic during a panic aborts, like every panic with `panic = "abort"`.
struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("during a panic");
    }
}

/// Installs a handler as programs do, and receives the signal.
fn until_sigterm(counts: u64) {
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, std::sync::Arc::clone(&stop))
        .unwrap();
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        count!("info", "rounds");
        rounds += 1;
        if rounds == counts {
            signal_hook::low_level::raise(signal_hook::consts::SIGTERM).unwrap();
        }
    }
    assert_eq!(rounds, counts);
}

fn before(counts: u64) {
    for _ in 0..counts {
        count!("info", "before");
    }
}

/// The same call site in every process.
fn both(counts: u64) {
    for _ in 0..counts {
        count!("info", "both");
    }
}

fn child(counts: u64) {
    let z = zibrato::installed();
    for _ in 0..counts {
        count!("info", "child");
        time!("info", "child.time", ());
        if let Some(z) = &z {
            z.count("info", "child.named", 1);
        }
    }
}

/// What a child does.
#[derive(Clone, Copy, PartialEq)]
enum Child {
    Return,
    Exit,
    Forks,
}

/// The child continues with a copy of everything that its parent has.
fn fork_and(guard: Guard, counts: u64, what: Child) {
    // So that the copy is not empty.
    let scope = guard.handle().count_me("info", "scope");
    let handle = guard.handle().counter("info", "both.handle");
    let count_through_handle = || (0..counts).for_each(|_| handle.increment(1));
    both(counts);
    count_through_handle();
    if fork() != 0 {
        for _ in 0..counts {
            count!("info", "parent");
        }
        return wait_for_children(1);
    }
    assert_eq!(guard.handle().stats(), Stats::default());
    // First, so that nothing else has updated the call site after the fork.
    both(counts);
    child(counts);
    count_through_handle();
    let stats = guard.handle().stats();
    assert_eq!((stats.recorded, stats.pending), (5 * counts, 5 * counts));
    drop(scope);
    match what {
        Child::Return => {}
        Child::Exit => std::process::exit(0),
        Child::Forks if fork() == 0 => {
            for _ in 0..counts {
                count!("info", "grandchild");
            }
        }
        Child::Forks => wait_for_children(1),
    }
    let stats = guard.shutdown();
    assert!(stats.balances() && stats.pending == 0 && stats.total_lost() == 0, "{stats:?}");
}

/// The child has the parent's readings of a timer, which the parent has already sent.
fn fork_after_timing(guard: Guard, counts: u64) {
    let timed = |times: u64| (0..times).for_each(|_| time!("info", "timed", ()));
    timed(counts);
    assert_eq!(guard.handle().flush(Duration::from_secs(30)).pending, 0);
    if fork() != 0 {
        return wait_for_children(1);
    }
    timed(1);
    let stats = guard.shutdown();
    assert_eq!((stats.recorded, stats.delivered), (1, 1), "{stats:?}");
}

/// The child drops what it inherited and installs its own instrument.
fn install_anew_in_child(guard: Guard, port: u16, counts: u64) {
    let inherited = guard.handle();
    if fork() != 0 {
        return wait_for_children(1);
    }
    assert_eq!(guard.shutdown(), Stats::default());
    let own = Zibrato::builder().port(port).flush_deadline(Duration::from_secs(30)).install();
    let own = own.unwrap();
    drop(inherited);
    child(counts);
    assert_eq!(own.shutdown().delivered, 3 * counts);
}

/// Threads that run until the process ends.
fn count_on_threads(counts: u64) {
    static READY: AtomicUsize = AtomicUsize::new(0);
    for _ in 0..THREADS {
        std::thread::spawn(move || {
            for _ in 0..counts {
                count!("info", "in_threads");
            }
            READY.fetch_add(1, Ordering::SeqCst);
            loop {
                count!("info", "endless");
                gauge!("info", "endless.gauge", 1);
            }
        });
    }
    while READY.load(Ordering::SeqCst) < THREADS {
        std::thread::yield_now();
    }
}

/// Returns how often the other threads have counted.
fn fork_while_others_measure(counts: u64) -> u64 {
    static STOP: AtomicBool = AtomicBool::new(false);
    let busy = |number| {
        let z = zibrato::installed().unwrap();
        let mut made = 0_u64;
        while !STOP.load(Ordering::Relaxed) {
            count!("info", "busy");
            made += 1;
            // Uses several locks, one of which is likely to be held at any moment.
            gauge!("info", "busy.gauge", made);
            count!("info", "busy.fraction", 0.5);
            z.count("info", &format!("busy.named.{number}"), 1);
            if made.is_multiple_of(1000) {
                drop(z.stats());
                // A new thread needs cells.
                std::thread::spawn(|| count!("info", "busy.thread")).join().unwrap();
            }
        }
        made
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|number| scope.spawn(move || busy(number))).collect();
        for _ in 0..FORKS {
            if fork() == 0 {
                child(counts);
                std::process::exit(0);
            }
        }
        wait_for_children(FORKS);
        STOP.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

/// Only the children install an instrument.
fn fork_before_install(builder: &Builder, counts: u64) {
    static STOP: AtomicBool = AtomicBool::new(false);
    let begun = Barrier::new(THREADS + 1);
    // While another thread captures, each call site asks at each use whether it is wanted, for which
    // it takes locks.
    let capture = std::thread::spawn(zibrato::testing::capture).join().unwrap();
    let busy = || {
        begun.wait();
        while !STOP.load(Ordering::Relaxed) {
            count!("info", "busy");
            assert!(zibrato::installed().is_none());
        }
    };
    std::thread::scope(|scope| {
        let threads = [(); THREADS].map(|()| scope.spawn(busy));
        begun.wait();
        for _ in 0..FORKS {
            if fork() == 0 {
                let guard = builder.clone().install().unwrap();
                child(counts);
                assert_eq!(guard.shutdown().delivered, 3 * counts);
                std::process::exit(0);
            }
        }
        wait_for_children(FORKS);
        STOP.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert!(capture.measurements().is_empty());
}

#[expect(unsafe_code, reason = "fork has no safe form")]
fn fork() -> i32 {
    // SAFETY: the child uses only the SDK, whose behaviour after a fork is tested here, and the
    // allocator and threads of the C library, which glibc and musl support after a fork.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "no fork: {}", std::io::Error::last_os_error());
    #[cfg(target_os = "linux")]
    if pid == 0 {
        // A child that hangs must not outlive its parent, which the test ends.
        let kill = Some(rustix::process::Signal::KILL);
        rustix::process::set_parent_process_death_signal(kill).unwrap();
    }
    pid
}

fn wait_for_children(number: usize) {
    for _ in 0..number {
        let (_, status) =
            rustix::process::wait(rustix::process::WaitOptions::empty()).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0), "a child ended with {status:?}");
    }
}
