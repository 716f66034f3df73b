//! A program that measures, spawns, forks and flushes according to a plan: `walking PORT PLAN`.
//!
//! A plan consists of words: `c3` counts three times, `a3` counts amounts, `t3` times, `g3` reads a
//! gauge, `n3` counts by name, `k3` counts with a handle that is kept; `f` flushes, `j` joins the
//! threads started here; `s [ … ]` starts a thread with its own plan, and `p [ … ]` a process.

#![expect(clippy::unwrap_used, reason = "a program of tests, which fails so")]

use rustix::process::{Pid, WaitOptions, waitpid};
use std::iter::Peekable;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock, RwLock};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;
use zibrato::{CounterHandle, Stats, Zibrato, count, gauge, time};

/// Maximum time that measurements wait for the broker.
const DEADLINE: Duration = Duration::from_secs(30);

/// Readings recorded in this process.
static MADE: AtomicU64 = AtomicU64::new(0);

static KEPT: OnceLock<CounterHandle> = OnceLock::new();

fn main() {
    let args: Vec<_> = std::env::args().collect();
    let [_, port, plan] = &args[..] else { panic!("two arguments") };
    let guard = Zibrato::builder()
        .port(port.parse().unwrap())
        .flush_deadline(DEADLINE)
        .interval(Duration::from_millis(10))
        // Also while no worker is subscribed.
        .demand(false)
        .install()
        .unwrap();
    KEPT.set(guard.handle().counter("info", "walk.kept")).unwrap();
    walk(&parse(&mut plan.split_whitespace().peekable()));
    let stats = guard.shutdown();
    assert_eq!((stats.recorded, stats.delivered), (made(), made()), "{stats:?}");
}

enum Step {
    Measure(char, u64),
    Flush,
    Join,
    Thread(Vec<Self>),
    Process(Vec<Self>),
}

fn parse<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(word) = words.next_if(|word| *word != "]") {
        let mut inner = || {
            assert_eq!(words.next(), Some("["));
            let steps = parse(words);
            assert_eq!(words.next(), Some("]"));
            steps
        };
        steps.push(match word {
            "f" => Step::Flush,
            "j" => Step::Join,
            "s" => Step::Thread(inner()),
            "p" => Step::Process(inner()),
            _ => {
                let (what, times) = word.split_at(1);
                Step::Measure(what.chars().next().unwrap(), times.parse().unwrap())
            }
        });
    }
    steps
}

/// Locked for reading by a thread that starts or ends another one, and for writing by a thread that
/// forks: the standard library has a lock that a thread holds while it starts and ends. In a child
/// that is forked in the meantime, this lock is never released, and no thread can start.
static THREADS: RwLock<()> = RwLock::new(());

fn walk(steps: &[Step]) {
    let mut children = Vec::new();
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for step in steps {
            match step {
                Step::Measure(what, times) => measure(*what, *times),
                Step::Flush => drop(zibrato::installed().unwrap().flush(Duration::from_millis(5))),
                Step::Join => threads.drain(..).for_each(join),
                Step::Thread(plan) => threads.push(begin_thread(scope, plan)),
                Step::Process(plan) => children.push(begin_process(plan)),
            }
        }
        threads.into_iter().for_each(join);
    });
    for child in children {
        let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0), "a child ended with {status:?}");
    }
}

/// A thread that has executed its plan, and ends when it may.
struct Thread<'scope> {
    handle: ScopedJoinHandle<'scope, ()>,
    /// Used three times: when the thread has started, when its plan is done, and when it may end.
    meeting: Arc<Barrier>,
}

fn begin_thread<'scope>(scope: &'scope Scope<'scope, '_>, plan: &'scope [Step]) -> Thread<'scope> {
    let _no_fork = THREADS.read().unwrap();
    let meeting = Arc::new(Barrier::new(2));
    let theirs = Arc::clone(&meeting);
    let run = move || {
        theirs.wait();
        walk(plan);
        theirs.wait();
        theirs.wait();
    };
    let handle = Builder::new().spawn_scoped(scope, run).unwrap();
    meeting.wait();
    Thread { handle, meeting }
}

fn join(thread: Thread<'_>) {
    thread.meeting.wait();
    let _no_fork = THREADS.read().unwrap();
    thread.meeting.wait();
    thread.handle.join().unwrap();
}

/// A process that has only this thread of its parent, and ends with its plan.
fn begin_process(plan: &[Step]) -> Pid {
    let no_threads = THREADS.write().unwrap();
    if let Some(child) = fork() {
        return child;
    }
    drop(no_threads);
    MADE.store(0, Ordering::Relaxed);
    let z = zibrato::installed().unwrap();
    assert_eq!(z.stats(), Stats::default());
    walk(plan);
    assert_eq!(z.stats().recorded, made());
    if made().is_multiple_of(2) {
        let stats = z.flush(DEADLINE);
        assert_eq!((stats.delivered, stats.pending), (made(), 0), "{stats:?}");
    }
    // Otherwise the end flushes.
    std::process::exit(0);
}

/// Returns the child's id in the parent, and nothing in the child.
#[expect(unsafe_code, reason = "fork has no safe form")]
fn fork() -> Option<Pid> {
    // SAFETY: the child continues only with code that this program tests (the SDK must support
    // this), and with the memory and threads of the C library, which glibc and musl support after a
    // fork.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "no fork: {}", std::io::Error::last_os_error());
    #[cfg(target_os = "linux")]
    if pid == 0 {
        // A child that hangs must not outlive its parent, which the test can end. The thread that
        // forks waits for it.
        let kill = Some(rustix::process::Signal::KILL);
        rustix::process::set_parent_process_death_signal(kill).unwrap();
    }
    Pid::from_raw(pid)
}

fn measure(what: char, times: u64) {
    let z = zibrato::installed().unwrap();
    for n in 0..times {
        match what {
            'c' => count!("info", "walk.count"),
            'a' => count!("info", "walk.amount", n as i64 - 3),
            't' => time!("info", "walk.time", ()),
            'g' => gauge!("info", "walk.gauge", n),
            'n' => z.count("info", "walk.named", 1),
            'k' => KEPT.get().unwrap().increment(1),
            _ => panic!("{what}"),
        }
        MADE.fetch_add(1, Ordering::Relaxed);
    }
}

fn made() -> u64 {
    MADE.load(Ordering::Relaxed)
}
