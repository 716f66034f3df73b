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

/// Does something so many times, and says how long that took.
type Run = Box<dyn Fn(u64) -> Duration>;

/// One thing that is measured.
pub struct Case {
    pub row: &'static str,
    pub who: Who,
    run: Run,
    /// Brings what it left behind to an end, so that the next case does not pay for it.
    settle: Option<Box<dyn Fn()>>,
    times: u64,
    best: f64,
    /// How often it was done in all.
    pub done: u64,
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

    fn take_turn(&mut self) {
        loop {
            let took = (self.run)(self.times);
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
    Box::new(move |times| time(times, &operation))
}

/// The same on two threads at once; how long the slower one took.
pub fn on_two_threads(operation: impl Fn() + Sync + 'static) -> Run {
    Box::new(move |times| {
        let begin = Barrier::new(2);
        let thread = || {
            begin.wait();
            time(times, &operation)
        };
        thread::scope(|scope| {
            let other = scope.spawn(thread);
            let one = thread();
            one.max(other.join().expect("an operation that does not panic"))
        })
    })
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
