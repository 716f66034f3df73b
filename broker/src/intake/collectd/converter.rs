//! From the readings of a value list to values with names.
//!
//! Pure: takes bytes and times, opens nothing.

use super::names::write_name;
use super::rates::{Past, Rates, value};
use super::types_db::DataSource;
use super::value_list::ListId;

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample<'a> {
    pub(crate) list: &'a ListId<'a>,
    /// The data source of the value.
    pub(crate) source: &'a DataSource,
    pub(crate) name: &'a str,
    pub(crate) value: f64,
}

/// Names values, and computes the rates of those that are counted.
#[derive(Debug, Default)]
pub(crate) struct Converter {
    /// Whether a counter below 2^31 that became smaller was reset, instead of wrapped.
    resets: bool,
    /// The replacement for dots in the parts of a name.
    dot: Option<String>,
    rates: Rates,
    name: String,
    key: Vec<u8>,
}

impl Converter {
    pub(super) fn new(resets: bool, dot: Option<String>) -> Self {
        Self { resets, dot, ..Self::default() }
    }

    /// Passes the value of each of the `readings`, which are as many as data sources, to `take`: or the
    /// data source and the reason, a constant word, if it is not used. First readings have no rate, and
    /// so no value. A reading of a gauge is the bits of a double. The clocks are the time in Unix
    /// milliseconds, and for how long the intake has been open.
    pub(crate) fn convert(
        &mut self,
        list: &ListId<'_>,
        sources: &[DataSource],
        readings: impl Iterator<Item = u64> + Clone,
        clocks: (u64, u64),
        mut take: impl FnMut(Result<Sample<'_>, (&DataSource, &'static str)>),
    ) {
        let Self { resets, dot, rates, name, key } = self;
        list.write_key(key);
        key.extend(sources.iter().map(|source| source.kind.code()));
        let past = rates.replace(key, (list.time, list.interval), readings.clone(), clocks);
        for (at, (source, new)) in sources.iter().zip(readings).enumerate() {
            match checked(source, new, past.at(at), *resets) {
                Ok(Some(value)) => {
                    write_name(list, &source.name, sources.len(), dot.as_deref(), name);
                    take(Ok(Sample { list, source, name, value }));
                }
                Ok(None) => {}
                Err(reason) => take(Err((source, reason))),
            }
        }
    }

    /// Approximate memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.rates.bytes()
    }
}

/// The value of a reading, if it has one, or the reason to reject it.
fn checked(
    source: &DataSource,
    new: u64,
    past: Past<u64>,
    resets: bool,
) -> Result<Option<f64>, &'static str> {
    let Some(value) = value(source.kind, new, past, resets)? else { return Ok(None) };
    if !value.is_finite() {
        return Err("value");
    }
    if (source.min..=source.max).contains(&value) { Ok(Some(value)) } else { Err("range") }
}
