//! The handling of gauges that nobody set in a window.
//!
//! Publishers repeat such gauges while they run, so a window contains all that is needed.

use std::fmt;
use std::str::FromStr;
use zibrato::Gauge;
use zibrato::wire::{Entry, Value};

/// What a worker delivers for a gauge that nobody set in the window, while its publisher runs.
///
/// ```
/// use zibrato_workers::IdleGauges;
/// assert_eq!("zero".parse(), Ok(IdleGauges::Zero));
/// assert!("null".parse::<IdleGauges>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum IdleGauges {
    /// Nothing.
    Omit,
    /// The last value.
    #[default]
    Repeat,
    /// 0.
    Zero,
}

impl IdleGauges {
    /// All, in the order of their words.
    const ALL: [Self; 3] = [Self::Omit, Self::Repeat, Self::Zero];

    /// The entry as it is added to the window; `None` if it is left out.
    pub(crate) fn apply(self, mut entry: Entry<'_>) -> Option<Entry<'_>> {
        let Value::Gauge(gauge) = &entry.value else { return Some(entry) };
        if !gauge.is_idle() {
            return Some(entry);
        }
        match self {
            Self::Omit => None,
            Self::Repeat => Some(entry),
            Self::Zero => {
                entry.value = Value::Gauge(Gauge::idle(0.0, gauge.at_ms));
                Some(entry)
            }
        }
    }
}

impl fmt::Display for IdleGauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Omit => "omit",
            Self::Repeat => "repeat",
            Self::Zero => "zero",
        })
    }
}

impl FromStr for IdleGauges {
    type Err = IdleGaugesError;

    fn from_str(text: &str) -> Result<Self, IdleGaugesError> {
        let found = Self::ALL.into_iter().find(|word| word.to_string() == text);
        found.ok_or_else(|| IdleGaugesError { text: text.to_owned() })
    }
}

/// A text is not one of the words for idle gauges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown word `{text}`; use repeat, zero or omit")]
#[non_exhaustive]
pub struct IdleGaugesError {
    /// The text.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::IdleGauges;
    use zibrato::Gauge;
    use zibrato::window::{Fold, Window};
    use zibrato::wire::{BatchReader, BatchWriter};

    #[test]
    fn a_word_is_displayed_as_it_was_parsed() {
        for word in ["omit", "repeat", "zero"] {
            assert_eq!(word.parse::<IdleGauges>().unwrap().to_string(), word);
        }
        for bad in ["", "Repeat", "repeat ", "repeat,zero", "0"] {
            let error = bad.parse::<IdleGauges>().unwrap_err().to_string();
            assert!(error.contains("use repeat, zero or omit"), "{error}");
        }
    }

    #[test]
    fn any_number_of_idle_gauges_takes_no_more_series_than_a_window_has() {
        let mut batch = BatchWriter::new("web-1", 0, 1000);
        (0..100_000).for_each(|n| batch.gauge(&format!("n{n}"), &[], &Gauge::idle(1.0, 1)));
        let body = batch.finish();
        for (idle, series, overflowed) in [
            (IdleGauges::Repeat, 1_001, 99_000),
            (IdleGauges::Zero, 1_001, 99_000),
            (IdleGauges::Omit, 0, 0),
        ] {
            let mut window = Window::new(0, 1000, 1_000);
            for entry in BatchReader::new(&body).unwrap().entries().map(Result::unwrap) {
                idle.apply(entry).iter().for_each(|entry| window.fold_entry("web-1", entry));
            }
            assert_eq!((window.len(), window.overflowed()), (series, overflowed), "{idle}");
        }
    }

    #[test]
    fn only_gauges_that_nobody_set_are_idle() {
        let mut batch = BatchWriter::new("web-1", 0, 1000);
        batch.gauge("both", &[], &Gauge::reading(3.0, 900));
        batch.gauge("both", &[], &Gauge::idle(9.0, 950));
        batch.gauge("idle", &[], &Gauge::idle(5.0, 100));
        batch.gauge("set", &[], &Gauge::reading(4.0, 900));
        let body = batch.finish();
        let delivered = |idle: IdleGauges| {
            let mut window = Window::new(0, 1000, 10);
            for entry in BatchReader::new(&body).unwrap().entries().map(Result::unwrap) {
                idle.apply(entry).iter().for_each(|entry| window.fold_entry("web-1", entry));
            }
            let all = window.into_series().into_iter().map(|series| match series.value {
                Fold::Gauge(Some(gauge)) => (series.name.to_string(), gauge.last, gauge.count),
                other => panic!("{other:?}"),
            });
            all.collect::<Vec<_>>()
        };
        let of = |name: &str, last, count| (name.to_owned(), last, count);
        let (both, set) = (of("both", 3.0, 1), of("set", 4.0, 1));
        let repeated = [both.clone(), of("idle", 5.0, 0), set.clone()];
        assert_eq!(delivered(IdleGauges::Repeat), repeated);
        assert_eq!(delivered(IdleGauges::Zero), [both.clone(), of("idle", 0.0, 0), set.clone()]);
        assert_eq!(delivered(IdleGauges::Omit), [both, set]);
    }
}
