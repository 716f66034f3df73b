//! The part of a summary that the cells need.

use crate::sketch::Sketch;

#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) deviations: f64,
    pub(crate) sketch: Sketch,
}

impl Summary {
    pub(crate) fn folded(count: u64, sum: f64, min: f64, max: f64, _squares: f64) -> Self {
        Self { count, sum, min, max, deviations: 0.0, sketch: Sketch::new() }
    }

    pub(crate) fn with_squared_deviations(self, deviations: f64) -> Self {
        Self { deviations, ..self }
    }

    pub(crate) fn sketch_mut(&mut self) -> &mut Sketch {
        &mut self.sketch
    }
}
