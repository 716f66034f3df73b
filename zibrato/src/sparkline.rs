//! A line of small bars, for messages and terminals: `▁▅█`.

/// Maximum number of bars in one line; more values are averaged in groups of neighbours.
const MOST_BARS: usize = 24;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Marks an interval without a measurement.
const GAP: char = '·';

/// The bar of a series that does not change.
const LEVEL: char = '▄';

/// Draws values as a line of bars: the smallest value has the lowest bar, the largest one the
/// highest.
///
/// A value that is not finite is a gap, `·`. If all values are equal, the bars have half height.
/// More than 24 values are averaged into 24 bars.
///
/// ```
/// use zibrato::window::sparkline;
/// assert_eq!(sparkline(&[1.0, 2.0, 3.0]), "▁▅█");
/// assert_eq!(sparkline(&[1.0, f64::NAN, 1.0]), "▄·▄");
/// ```
#[must_use]
pub fn sparkline(values: &[f64]) -> String {
    let means: Vec<f64>;
    let values = if values.len() > MOST_BARS {
        means = (0..MOST_BARS).map(|i| mean(group(values, i))).collect();
        &means
    } else {
        values
    };
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let min = finite().fold(f64::INFINITY, f64::min);
    let max = finite().fold(f64::NEG_INFINITY, f64::max);
    values.iter().map(|&value| bar(value, min, max)).collect()
}

/// The values of bar `i`.
fn group(values: &[f64], i: usize) -> &[f64] {
    let edge = |i: usize| i * values.len() / MOST_BARS;
    &values[edge(i)..edge(i + 1)]
}

/// The mean of the finite values; NaN if there are none. Each value is divided before it is added,
/// so that the sum of large ones stays finite.
fn mean(values: &[f64]) -> f64 {
    let finite = || values.iter().filter(|value| value.is_finite());
    let count = finite().count() as f64;
    if count == 0.0 {
        return f64::NAN;
    }
    let sum: f64 = finite().sum();
    if sum.is_finite() { sum / count } else { finite().map(|value| value / count).sum() }
}

fn bar(value: f64, min: f64, max: f64) -> char {
    if !value.is_finite() {
        return GAP;
    }
    if min >= max {
        return LEVEL;
    }
    // Halving keeps the range of the largest doubles finite.
    let share = (value / 2.0 - min / 2.0) / (max / 2.0 - min / 2.0);
    let share = if share.is_finite() { share } else { 0.0 };
    let top = BARS.len() - 1;
    BARS[((share * top as f64 + 0.5) as usize).min(top)]
}

#[cfg(test)]
mod tests {
    use super::sparkline;
    use proptest::prelude::*;

    const INFINITY: f64 = f64::INFINITY;
    const MAX: f64 = f64::MAX;
    const NAN: f64 = f64::NAN;

    #[test]
    fn bars_follow_the_values() {
        let cases: &[(&[f64], &str)] = &[
            (&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], "▁▂▃▄▅▆▇█"),
            (&[1.0, 1.0, 1.0], "▄▄▄"),
            (&[5.0], "▄"),
            (&[], ""),
            (&[NAN, NAN], "··"),
            (&[1.0, NAN, 3.0], "▁·█"),
            (&[3.0, 2.0, 1.0], "█▅▁"),
            (&[-5.0, 0.0, 5.0], "▁▅█"),
            (&[0.0, 0.0, 0.0, 10.0], "▁▁▁█"),
            (&[1.0, 5.0, 22.0, 13.0, 5.0], "▁▂█▅▂"),
            (&[INFINITY, 1.0, -INFINITY, 2.0], "·▁·█"),
            (&[-MAX, 0.0, MAX], "▁▅█"),
            (&[0.0, 5e-324], "▁▁"),
        ];
        for (values, bars) in cases {
            assert_eq!(sparkline(values), *bars, "{values:?}");
        }
    }

    #[test]
    fn many_values_are_averaged_into_24_bars() {
        let rising: Vec<f64> = (0..48).map(f64::from).collect();
        assert_eq!(sparkline(&rising), "▁▁▂▂▂▃▃▃▃▄▄▄▅▅▅▆▆▆▆▇▇▇██");
        assert_eq!(sparkline(&[MAX; 100]), "▄".repeat(24));
        let mut gap = vec![NAN; 25];
        gap[0] = 1.0;
        assert_eq!(sparkline(&gap), format!("▄{}", "·".repeat(23)));
    }

    proptest! {
        #[test]
        fn there_is_a_bar_for_every_value_up_to_24(
            values in prop::collection::vec(prop::num::f64::ANY, 0..100),
        ) {
            prop_assert_eq!(sparkline(&values).chars().count(), values.len().min(24));
        }
    }
}
