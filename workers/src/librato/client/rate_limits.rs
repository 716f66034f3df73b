//! What the server says about its limits.
//!
//! Pure.

use std::time::Duration;

/// A limit of the account, from a header such as `limit=600000,remaining=599998,reset=1531370400`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// The number of measurements that the account may send in a period.
    pub limit: Option<u64>,
    /// The number that is left in this period.
    pub remaining: Option<u64>,
    /// When the next period begins, in Unix seconds.
    pub reset: Option<u64>,
}

/// The two limits of an account, as the last answer gave them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimits {
    /// The one for aggregated measurements, from `X-Librato-RateLimit-Agg`.
    pub aggregated: Option<RateLimit>,
    /// The one for others, from `X-Librato-RateLimit-Std`.
    pub standard: Option<RateLimit>,
}

impl RateLimit {
    fn parse(header: &str) -> Option<Self> {
        let fields = || header.split(',').filter_map(|field| field.trim().split_once('='));
        let number = |name: &str| {
            fields()
                .find(|(known, _)| *known == name)
                .and_then(|(_, value)| value.trim().parse().ok())
        };
        let (limit, remaining, reset) = (number("limit"), number("remaining"), number("reset"));
        let is_empty = limit.is_none() && remaining.is_none() && reset.is_none();
        (!is_empty).then_some(Self { limit, remaining, reset })
    }
}

impl RateLimits {
    /// Those of an answer; `None` if it has no such header.
    pub(super) fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let limit = |name| header(name).and_then(RateLimit::parse);
        let aggregated = limit("x-librato-ratelimit-agg");
        let standard = limit("x-librato-ratelimit-std");
        (aggregated.is_some() || standard.is_some()).then_some(Self { aggregated, standard })
    }

    /// The time until those that are exhausted begin anew.
    pub(super) fn until_reset(&self, now_ms: u64) -> Option<Duration> {
        let exhausted = [self.aggregated, self.standard].into_iter().flatten();
        let exhausted = exhausted.filter(|limit| limit.remaining == Some(0));
        let reset = exhausted.filter_map(|limit| limit.reset).max()?;
        Some(Duration::from_millis(reset.saturating_mul(1000).saturating_sub(now_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::{RateLimit, RateLimits};
    use std::time::Duration;

    #[test]
    fn limits_come_from_their_headers() {
        let read = |aggregated: &'static str, standard: &'static str| {
            RateLimits::read(|name| {
                let value = if name.ends_with("agg") { aggregated } else { standard };
                (!value.is_empty()).then_some(value)
            })
        };
        let limits = read("limit=60,remaining=0,reset=1531370400", " remaining = 7, x").unwrap();
        let aggregated =
            RateLimit { limit: Some(60), remaining: Some(0), reset: Some(1_531_370_400) };
        assert_eq!(limits.aggregated, Some(aggregated));
        assert_eq!(limits.until_reset(1_531_370_399_000), Some(Duration::from_secs(1)));
        assert_eq!(limits.until_reset(1_531_370_499_000), Some(Duration::ZERO));
        for (a, b) in [("", ""), ("none", ""), ("limit=x", "="), ("", ",,")] {
            assert_eq!(read(a, b), None);
        }
        let left = read("remaining=1,reset=9", "").unwrap();
        assert_eq!(left.until_reset(0), None);
        let huge = read("remaining=0,reset=18446744073709551615", "").unwrap();
        assert!(huge.until_reset(0).is_some());
    }
}
