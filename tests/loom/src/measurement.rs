//! What a gauge needs of `zibrato/src/measurement`.

#[derive(Debug, Clone, Copy)]
pub(crate) struct Gauge {
    pub(crate) last: f64,
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Gauge {
    pub(crate) fn folded(last: f64, _at_ms: u64, count: u64, sum: f64, min: f64, max: f64) -> Self {
        Self { last, count, sum, min, max }
    }
}

pub(crate) fn finite_sum(a: f64, b: f64) -> f64 {
    a + b
}
