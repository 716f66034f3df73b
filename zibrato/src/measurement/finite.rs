//! Sums of finite numbers that stay finite, because an infinity is not allowed on the wire.

/// The sum, or the largest double if it would be infinite.
///
/// A reading of `1e300` is allowed, but its square overflows. If the sum became infinite, receivers
/// would reject the whole series, with the readings of all other publishers.
#[must_use]
pub(crate) const fn sum(a: f64, b: f64) -> f64 {
    (a + b).clamp(f64::MIN, f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn sums_stay_finite() {
        assert_eq!(sum(1.0, 2.5), 3.5);
        assert_eq!(sum(f64::MAX, f64::MAX), f64::MAX);
        assert_eq!(sum(-1e308, -1e308), f64::MIN);
        assert_eq!(sum(0.0, 1e200 * 1e200), f64::MAX);
    }
}
