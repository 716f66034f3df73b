//! How a case is measured: the best of seven loops, in turns with all other cases.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// A loop that takes less says too little.
const SHORTEST: Duration = Duration::from_millis(20);

/// How often each case has its turn; the best of them counts.
pub const ROUNDS: usize = 7;

/// What is measured in which row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Ours,
    /// The least that the row could cost, or another measure to compare with.
    Floor(&'static str),
    Peer(&'static str),
}

/// Does something so many times, on so many threads at once, and says how long that took each.
pub struct Run {
    run: Box<dyn Fn(u64) -> Duration>,
    threads: u32,
}

impl Run {
    /// On one thread, timed by itself.
    pub fn by(run: impl Fn(u64) -> Duration + 'static) -> Self {
        Self { run: Box::new(run), threads: 1 }
    }
}

/// One thing that is measured.
pub struct Case {
    pub row: &'static str,
    pub who: Who,
    run: Run,
    /// Brings what it left behind to an end, so that the next case does not pay for it.
    settle: Option<Box<dyn Fn()>>,
    times: u64,
    best: f64,
    done: u64,
}

impl Case {
    pub fn new(row: &'static str, who: Who, run: Run) -> Self {
        Self { row, who, run, settle: None, times: 1, best: f64::INFINITY, done: 0 }
    }

    pub fn settle(mut self, settle: impl Fn() + 'static) -> Self {
        self.settle = Some(Box::new(settle));
        self
    }

    /// Nanoseconds each.
    pub const fn ns(&self) -> f64 {
        self.best
    }

    /// How often it was done in all.
    pub fn done(&self) -> u64 {
        self.done * u64::from(self.run.threads)
    }

    fn take_turn(&mut self) {
        loop {
            let took = (self.run.run)(self.times);
            self.done += self.times;
            if let Some(settle) = &self.settle {
                settle();
            }
            if took >= SHORTEST {
                self.best = self.best.min(took.as_nanos() as f64 / self.times as f64);
                return;
            }
            self.times *= 2;
        }
    }
}

/// Measures all cases. They take turns, in an order that is turned round each time, so that all of
/// them see the machine's good and bad moments.
pub fn measure(cases: &mut [Case]) {
    for round in 1..=ROUNDS {
        eprintln!("sdk: round {round} of {ROUNDS}");
        if round % 2 == 0 {
            cases.iter_mut().rev().for_each(Case::take_turn);
        } else {
            cases.iter_mut().for_each(Case::take_turn);
        }
    }
}

/// A loop around an operation, compiled into it as it would be into a program's function.
pub fn looped(operation: impl Fn() + 'static) -> Run {
    Run::by(move |times| time(times, &operation))
}

/// The same on so many threads at once, all of them new: how long the slowest one took. Where there
/// are more threads than processors, only the part of it in which a thread had one.
pub fn on_threads(threads: u32, operation: impl Fn() + Sync + 'static) -> Run {
    let processors = thread::available_parallelism().map_or(1, |number| number.get() as u32);
    let run = move |times| {
        let begin = Barrier::new(threads as usize);
        let took = thread::scope(|scope| {
            let one = || {
                begin.wait();
                time(times, &operation)
            };
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
            let took =
                all.into_iter().map(|one| one.join().expect("an operation that does not panic"));
            took.max().unwrap_or_default()
        });
        took * processors.min(threads) / threads
    };
    Run { run: Box::new(run), threads }
}

/// After each time the compiler has to believe that somebody looks at the memory and changes it,
/// so that it can neither add several up nor keep anything in a register.
#[inline(never)]
pub fn time(times: u64, operation: &impl Fn()) -> Duration {
    let begun = Instant::now();
    for _ in 0..times {
        operation();
        black_box(());
    }
    begun.elapsed()
}
