//! Numbers and durations that are read at a glance.

/// At most four significant digits, with k, M, G, T or P.
///
/// ```
/// use zibrato_workers::rows::text::number;
/// let texts = [7.0, 1.25, 12_345.0, -2.5e6].map(number);
/// assert_eq!(texts, ["7", "1.25", "12.3k", "-2500k"]);
/// ```
#[must_use]
pub fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.01 || value.abs() >= 1e19 {
        return format!("{value:.1e}");
    }
    let mut scaled = value;
    let mut units = ["", "k", "M", "G", "T", "P"].into_iter().peekable();
    while scaled.abs() >= 9_999.5 && units.len() > 1 {
        scaled /= 1_000.0;
        units.next();
    }
    let digits = match scaled.abs() {
        size if size >= 100.0 || scaled.fract() == 0.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{scaled:.digits$}");
    let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", units.next().unwrap_or_default())
}

/// A duration in seconds, with three digits and a suitable unit.
///
/// ```
/// use zibrato_workers::rows::text::duration;
/// let texts = [2.0, 0.0125, 1.3e-5, 2e-8, 90.0, 300.0].map(duration);
/// assert_eq!(texts, ["2s", "12.5ms", "13µs", "20ns", "90s", "5min"]);
/// ```
#[must_use]
pub fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds.abs() {
        0.0 => (0.0, "s"),
        ..1e-6 => (seconds * 1e9, "ns"),
        ..1e-3 => (seconds * 1e6, "µs"),
        ..1.0 => (seconds * 1e3, "ms"),
        ..120.0 => (seconds, "s"),
        ..7200.0 => (seconds / 60.0, "min"),
        _ => (seconds / 3600.0, "h"),
    };
    let digits = match value.abs() {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let short = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{short}{unit}")
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_at_most_four_digits() {
        let numbers = [0.0, 9999.0, 10_000.0, 1.5, 1e18, 0.5, 12.34, 0.004, 1e20, f64::MAX];
        let texts =
            ["0", "9999", "10k", "1.5", "1000P", "0.5", "12.3", "4.0e-3", "1.0e20", "1.8e308"];
        assert_eq!(numbers.map(number), texts);
    }
}
