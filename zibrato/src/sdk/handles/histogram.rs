//! The handle of a histogram.

use super::Handle;
use crate::sdk::cells::amount::Amount;
use crate::sdk::points::measure;
use std::fmt::Display;

/// A histogram with a name known only at run time: the distribution of a size or an amount, in any
/// unit. Recording costs as much as at a call site.
///
/// Created by [`Zibrato::histogram`](crate::Zibrato::histogram). Clones record into the same series.
/// It does not keep the instrument alive: after the instrument has ended, recording does nothing.
///
/// ```
/// # fn main() -> Result<(), zibrato::InstallError> {
/// let z = zibrato::Zibrato::builder().build()?;
/// let size = z.histogram("info", "response.size").unit("bytes");
/// size.record(512);
/// size.with("route", "/images").record(2.5e6);
/// assert_eq!(z.stats().recorded, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HistogramHandle(pub(crate) Handle);

impl HistogramHandle {
    /// A handle to the series that has this tag, too.
    ///
    /// It is looked up at each call; keep the handle if you measure often.
    #[must_use]
    pub fn with(&self, tag: &str, value: impl Display) -> Self {
        Self(self.0.with(tag, &value))
    }

    /// A handle to the series with this unit, such as `bytes` or `rows`. By default, there is no
    /// unit. It is part of the identity of the series, so give the same unit wherever you record
    /// it.
    ///
    /// A unit has at most 32 bytes. In others, `|` and control characters become `_`, and the text
    /// ends after 32 bytes; [`Stats::renamed`](crate::Stats::renamed) counts such series.
    #[must_use]
    pub fn unit(&self, unit: &str) -> Self {
        Self(self.0.adding(|key| key.unit(unit)))
    }

    /// Records a reading, in the unit of the histogram. It may be negative. NaN and infinities are
    /// counted as lost.
    #[inline]
    pub fn record<A: Amount>(&self, value: A) {
        measure::histogram(&self.0, value);
    }
}
