//! The bytes of a payload on the wire: lines or pickles.
//!
//! Pure.

use super::pickle::{self, InvalidLine};
use std::borrow::Cow;

/// How payloads are written.
#[derive(Debug)]
pub(super) struct Wire {
    encoding: Encoding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Lines,
    /// As pickles of at most this number of points.
    Pickle(usize),
}

impl Wire {
    pub(super) const fn lines() -> Self {
        Self { encoding: Encoding::Lines }
    }

    /// Pickles of at most this number of points.
    pub(super) const fn pickles(batch: usize) -> Self {
        Self { encoding: Encoding::Pickle(batch) }
    }

    pub(super) const fn set_pickle_batch(&mut self, points: usize) {
        if let Encoding::Pickle(batch) = &mut self.encoding {
            *batch = points;
        }
    }

    /// The bytes for these lines.
    pub(super) fn of<'a>(&self, lines: &'a [u8]) -> Result<Cow<'a, [u8]>, InvalidLine> {
        Ok(match self.encoding {
            Encoding::Lines => lines.into(),
            Encoding::Pickle(batch) => pickle::frames(lines, batch)?.into(),
        })
    }
}
