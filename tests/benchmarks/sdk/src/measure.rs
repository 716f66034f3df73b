//! Measures a case: the best of seven loops, in turns with all other cases.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Minimum duration of a loop; a shorter one is too inexact.
const SHORTEST: Duration = Duration::from_millis(20);

/// Number of turns of each case; the best one counts.
pub const ROUNDS: usize = 7;

/// The subject of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Ours,
    /// The lowest possible cost of the row, or another value for comparison.
    Floor(&'static str),
    Peer(&'static str),
}

/// Executes an operation a number of times, on one or more threads, and returns the time per
/// operation.
pub struct Run {
    run: Box<dyn Fn(u64) -> Duration>,
    threads: u32,
}

impl Run {
    /// Runs on one thread, and measures the time itself.
    pub fn by(run: impl Fn(u64) -> Duration + 'static) -> Self {
        Self { run: Box::new(run), threads: 1 }
    }
}

/// One measured operation.
pub struct Case {
    pub row: &'static str,
    pub who: Who,
    run: Run,
    /// Removes accumulated data, so that the next case does not pay for it.
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

    /// Nanoseconds per operation.
    pub const fn ns(&self) -> f64 {
        self.best
    }

    /// Number of executions in total.
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

/// Measures all cases. They take turns in alternating order, so that all of them run under the same
/// conditions.
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

/// A loop around an operation, which is compiled into it as into a function of a program.
pub fn looped(operation: impl Fn() + 'static) -> Run {
    Run::by(move |times| time(times, &operation))
}

/// The same on this number of new threads simultaneously; returns the time of the slowest one. If
/// there are more threads than processors, only the time in which a thread had a processor counts.
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
            let took = all.into_iter().map(|one| one.join().expect("the operation does not panic"));
            took.max().unwrap_or_default()
        });
        took * processors.min(threads) / threads
    };
    Run { run: Box::new(run), threads }
}

/// After each execution, the compiler must assume that the memory is read and changed, so it can
/// neither merge several executions nor keep values in registers.
#[inline(never)]
pub fn time(times: u64, operation: &impl Fn()) -> Duration {
    let begun = Instant::now();
    for _ in 0..times {
        operation();
        black_box(());
    }
    begun.elapsed()
}
