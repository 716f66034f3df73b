//! Sums of finite numbers that stay finite: an infinity cannot go on the wire.

/// The sum, or the largest double where it would be infinite.
///
/// A reading of `1e300` is allowed, and its square is not; were the sum to become infinite, the
/// whole series would be refused farther on, and with it the readings of everybody else.
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
