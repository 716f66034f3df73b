//! What a gauge needs of `zibrato/src/sdk/cells/ticks.rs`, without a clock.

#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment;

impl Moment {
    pub(crate) fn now() -> Self {
        Self
    }

    pub(crate) fn age(self) -> f64 {
        0.0
    }

    pub(crate) fn to_bits(self) -> u64 {
        0
    }

    pub(crate) fn from_bits(_bits: u64) -> Self {
        Self
    }
}
