//! How often each metric is published: a list of patterns with intervals.

use regex::Regex;
use std::cmp::Reverse;
use std::str::FromStr;
use std::time::Duration;
use zibrato::daemon::seconds;

/// The priority of a handler that gives none.
const DEFAULT_PRIORITY: i32 = 100;

/// Shortest and longest interval, in seconds.
pub(super) const INTERVALS: std::ops::RangeInclusive<f64> = 0.1..=86_400.0;

/// A pattern, and the interval of the metrics that match it.
#[derive(Debug, Clone)]
pub(super) struct Handler {
    /// Matches at the start of a [full name](full_name).
    pattern: Regex,
    interval_ms: u64,
    priority: i32,
}

impl FromStr for Handler {
    type Err = String;

    /// Reads `REGEX=SECONDS` or `REGEX=SECONDS@PRIORITY`.
    fn from_str(text: &str) -> Result<Self, String> {
        // The pattern may contain `=`.
        let (pattern, rest) = text
            .rsplit_once('=')
            .ok_or("expected REGEX=SECONDS or REGEX=SECONDS@PRIORITY, such as 'web\\.=2@50'")?;
        let (interval, priority) = match rest.split_once('@') {
            Some((interval, priority)) => {
                let whole = priority.trim().parse();
                let wrong = |_| format!("the priority {priority:?} is not a whole number");
                (interval, whole.map_err(wrong)?)
            }
            None => (rest, DEFAULT_PRIORITY),
        };
        let interval = seconds(INTERVALS)(interval)
            .map_err(|error| format!("the interval {interval:?}: {error}"))?;
        // The pattern alone, so that an error shows what was written.
        let invalid = |error| format!("the pattern {pattern:?} is not valid: {}", cause(&error));
        Regex::new(pattern).map_err(invalid)?;
        let pattern = Regex::new(&format!("^(?:{pattern})")).map_err(invalid)?;
        Ok(Self { pattern, interval_ms: milliseconds(interval), priority })
    }
}

/// The last line. Those before it draw the expression with a mark.
fn cause(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// The handlers in the order in which they are tried: by priority, the largest first, then in the
/// order in which they were given.
#[derive(Debug, Clone)]
pub(super) struct Handlers {
    ordered: Vec<Handler>,
    default_ms: u64,
}

impl Handlers {
    /// `default` is the interval of metrics that no pattern matches.
    pub(super) fn new(mut handlers: Vec<Handler>, default: Duration) -> Self {
        handlers.sort_by_key(|handler| Reverse(handler.priority));
        Self { ordered: handlers, default_ms: milliseconds(default) }
    }

    /// The interval of a metric, in milliseconds.
    pub(super) fn interval_ms(&self, full_name: &str) -> u64 {
        let handler = self.ordered.iter().find(|handler| handler.pattern.is_match(full_name));
        handler.map_or(self.default_ms, |handler| handler.interval_ms)
    }

    /// All intervals, without duplicates.
    pub(super) fn intervals_ms(&self) -> Vec<u64> {
        let handlers = self.ordered.iter().map(|handler| handler.interval_ms);
        let mut all: Vec<_> = handlers.chain([self.default_ms]).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn milliseconds(interval: Duration) -> u64 {
    u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The name that patterns match, which is the one that bucky gives to Graphite: the labels of the
/// host in reverse order, then the name. A part that is equal to the one before it is left out.
pub(super) fn full_name(host: &str, name: &str) -> String {
    let labels = host.split('.').rev().map(str::trim).filter(|_| !host.is_empty());
    let mut parts: Vec<_> = labels.chain(name.split('.')).collect();
    parts.dedup();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::{Handler, Handlers, full_name};
    use std::time::Duration;

    fn handlers(given: &[&str]) -> Handlers {
        let parsed = given.iter().map(|text| text.parse().unwrap()).collect();
        Handlers::new(parsed, Duration::from_secs(10))
    }

    #[test]
    fn the_largest_priority_that_matches_decides_then_the_order() {
        for (given, expected) in [
            (&[][..], &[("a.b", 10_000)][..]),
            (&[r"a\.b=2@1", "a=1@99"], &[("a.b", 1_000), ("a.c", 1_000), ("x", 10_000)]),
            (&["a=1@1", r"a\.b=2@99"], &[("a.b", 2_000), ("a.c", 1_000)]),
            // Without a priority it is 100.
            (&["a=1@100", "a=2", "a=3@101"], &[("a", 3_000)]),
            (&["a=1", "a=2@100"], &[("a", 1_000)]),
            (&["a=1@-5"], &[("a", 1_000)]),
            // Patterns match at the start, also those with an alternative or an anchor.
            (&["b=1"], &[("a.b", 10_000), ("b.a", 1_000)]),
            (&["x|b=1"], &[("a.b", 10_000), ("b.a", 1_000)]),
            (&["^b=0.5"], &[("b", 500)]),
            (&["(?i)B=1"], &[("b", 1_000)]),
            (&["a=b=1"], &[("a=b", 1_000)]),
            (&["=1"], &[("a", 1_000)]),
        ] {
            let handlers = handlers(given);
            for (name, interval_ms) in expected {
                assert_eq!(handlers.interval_ms(name), *interval_ms, "{given:?} {name}");
            }
        }
        assert_eq!(handlers(&["a=1", "b=10", "c=2.5"]).intervals_ms(), [1_000, 2_500, 10_000]);
    }

    #[test]
    fn a_handler_that_cannot_be_read_is_explained() {
        for (bad, expected) in [
            ("a", "expected REGEX=SECONDS"),
            ("a=", "the interval \"\": expected a number of seconds from 0.1 to 86400"),
            ("a=1s", "the interval \"1s\""),
            ("a=-1@1", "the interval \"-1\""),
            ("a=0", "the interval \"0\""),
            ("a=1@", "the priority \"\" is not a whole number"),
            ("a=1@2@3", "the priority \"2@3\""),
            ("a=1@99999999999", "the priority \"99999999999\""),
            ("(=1@1", "the pattern \"(\" is not valid: unclosed group"),
            ("a(?=b)=1", "is not valid: look-around"),
            ("(a{1000}){1000}=1", "is not valid: "),
        ] {
            let error = bad.parse::<Handler>().unwrap_err();
            assert!(error.contains(expected), "{bad}: {error}");
        }
    }

    #[test]
    fn the_full_name_has_the_host_in_reverse() {
        for (host, name, expected) in [
            ("node.co.tld", "a.b", "tld.co.node.a.b"),
            ("", "a.b", "a.b"),
            ("", "", ""),
            ("h", "h.cpu", "h.cpu"),
            ("10.0.0.1", "a", "1.0.10.a"),
            ("web-1 . tld", "a", "tld.web-1.a"),
        ] {
            assert_eq!(full_name(host, name), expected);
        }
    }
}
