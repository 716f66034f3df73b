//! Points of series whose names are known only at run time.
//!
//! Points live as long as the process, because the sender has to find them all. When nobody needs
//! such a one any more, the next series of the same kind has it.

use super::point::Point;
use super::shape::Shape;
use crate::measurement::Kind;
use crate::sdk::cells::per_process::PerProcess;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Points that nobody has: of counters, of gauges, of timers.
type Free = [Vec<&'static Point>; 3];

static FREE: PerProcess<Mutex<Free>> = PerProcess::new(Mutex::new(none()));

const fn none() -> Free {
    [const { Vec::new() }; 3]
}

fn free() -> MutexGuard<'static, Free> {
    FREE.get(|_| Mutex::new(none())).lock().unwrap_or_else(PoisonError::into_inner)
}

const fn place(kind: Kind) -> usize {
    match kind {
        Kind::Counter | Kind::Set => 0,
        Kind::Gauge => 1,
        Kind::Timer => 2,
    }
}

/// A point that has one owner.
#[derive(Debug)]
pub(crate) struct OwnedPoint(&'static Point);

impl OwnedPoint {
    /// One in which nothing has gathered.
    pub(crate) fn new(kind: Kind) -> Self {
        let found = free()[place(kind)].pop();
        let point = found.unwrap_or_else(|| Box::leak(Box::new(Point::new(Shape::of(kind)))));
        point.clear();
        Self(point)
    }

    pub(crate) const fn get(&self) -> &'static Point {
        self.0
    }
}

impl Drop for OwnedPoint {
    fn drop(&mut self) {
        self.0.ask_again();
        free()[place(self.0.shape.kind())].push(self.0);
    }
}
