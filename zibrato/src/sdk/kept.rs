//! What a handle keeps: a point of its own, and whose it is.
//!
//! Points live as long as the process, because the sender and a fork have to find them all. When
//! the last handle and the instrument are gone, the next handle of the same shape has the point.

use super::amount::Number;
use super::capture;
use super::instrument::{Instrument, Series};
use super::ledger::Loss;
use super::owner::Owner;
use super::patience;
use super::point::{Origin, Point, Shape};
use super::site::Site;
use crate::measurement::Kind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Points that nobody has any more.
static FREE: Mutex<Vec<&'static Point>> = Mutex::new(Vec::new());

fn free() -> MutexGuard<'static, Vec<&'static Point>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the lock of this file for a fork.
pub(crate) struct Held(
    #[expect(dead_code, reason = "held, not read")] MutexGuard<'static, Vec<&'static Point>>,
);

pub(crate) fn hold() -> Option<Held> {
    patience::lock(&FREE).map(Held)
}

/// A point that handles to one series share.
#[derive(Debug)]
pub(crate) struct Kept {
    point: &'static Point,
    /// Or why there is none.
    series: Result<Series, Loss>,
    owner: Weak<Owner>,
}

impl Kept {
    pub(crate) fn new(kind: Kind, series: Result<Series, Loss>, owner: Weak<Owner>) -> Arc<Self> {
        let shape = match kind {
            Kind::Counter | Kind::Set => Shape::Counter,
            Kind::Gauge => Shape::Gauge,
            Kind::Timer => Shape::Timer,
        };
        let mut free = free();
        let found = free.iter().position(|point| point.shape == shape);
        let found = found.map(|at| free.swap_remove(at));
        drop(free);
        let point = found.unwrap_or_else(|| Box::leak(Box::new(Point::new(shape))));
        point.clear();
        Arc::new(Self { point, series, owner })
    }

    pub(crate) const fn point(&self) -> &'static Point {
        self.point
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.point.ask_again();
        free().push(self.point);
    }
}

/// The way from a handle to its point, which is one load shorter than through what it keeps.
#[derive(Debug, Clone)]
pub(crate) struct Through {
    point: &'static Point,
    kept: Arc<Kept>,
}

impl Through {
    pub(crate) fn new(kept: Arc<Kept>) -> Self {
        Self { point: kept.point, kept }
    }
}

impl Origin for &Through {
    #[inline]
    fn point(self) -> &'static Point {
        self.point
    }

    fn site(self) -> Option<&'static Site> {
        None
    }

    fn instrument(self) -> Option<Arc<Instrument>> {
        let owner = self.kept.owner.upgrade()?;
        let instrument = owner.with(|works| Arc::clone(&works.instrument))?;
        match &self.kept.series {
            // In a forked child the instrument is another one, which does not know it yet.
            Ok(series) => instrument.names().adopt(series, &self.kept),
            Err(why) => instrument.ledger().refuse(*why),
        }
        Some(instrument)
    }

    fn wanted_by(self, instrument: Option<&Instrument>) -> Option<bool> {
        match &self.kept.series {
            Ok(series) => {
                Some(instrument.is_some_and(|instrument| instrument.wants(series.level.as_str())))
            }
            // Each reading comes by here, and is counted as lost.
            Err(_) => None,
        }
    }

    fn catch(self, value: Number) -> bool {
        let Ok(series) = &self.kept.series else { return false };
        capture::capturing() && capture::catch(series.clone(), value.to_f64())
    }
}
