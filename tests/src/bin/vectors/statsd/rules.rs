//! The differences from StatsD and bucky that are by design.

use super::wanted::{FRACTIONS, Kind, SAMPLED, SEVERAL, TAGS, Wanted};
use crate::compare::{Difference, Differences, Lines, is_cleaned, path};
use serde_json::Value;
use std::collections::BTreeSet;

/// Explains the differences of a flush.
pub(super) fn explain(case: &Value, wanted: &Wanted, found: &Lines, differences: &mut Differences) {
    let seconds = case["config"]["statsd_flush_time"].as_f64().unwrap_or(10.0);
    // The number of series is compared last.
    let is_number = |difference: &Difference| is_number(&difference.name);
    let (numbers, others): (Vec<_>, _) =
        std::mem::take(&mut differences.unexplained).into_iter().partition(is_number);
    differences.unexplained = others;
    let has_others = !differences.unexplained.is_empty();
    differences.explain_names("tags are Graphite's tags, valid and sorted", |recorded, found| {
        sorted(recorded) == sorted(found)
    });
    differences.explain_names(
        "empty parts of a name are omitted, and a hash keeps the name distinct",
        is_cleaned,
    );
    differences.explain("values that are infinite or not a number are refused", |difference| {
        difference.is_missing() && difference.recorded.is_some_and(|value| !value.is_finite())
    });
    let steps = case["input"]["steps"].as_array().into_iter().flatten();
    let file: String = steps.filter_map(|step| step["savefile"].as_str()).collect();
    differences.explain("a gauge from the file is idle until a client sets it", |difference| {
        let is_known = wanted.keys_of(&difference.name, &[Kind::Gauge]);
        let key = difference.name.rsplit('.').next().unwrap_or_default();
        let is_loaded = file.contains(&format!("{key}\""));
        is_loaded && difference.is_missing() && is_known.is_empty()
    });
    let is_whole = case["config"]["statsd_flush_time"].is_i64();
    differences.explain("rates are not rounded down for a whole flush time", |difference| {
        let (Some(recorded), Some(found)) = (difference.recorded, difference.found) else {
            return false;
        };
        let name = path(&difference.name);
        let is_rate = name.ends_with(".rate") || name.ends_with(".count_ps");
        is_whole && recorded == found.floor() && (is_rate || wanted.is_rate(name, found, seconds))
    });
    let idle = "a counter, timer or set without samples has no lines in the window";
    differences.explain(idle, |difference| {
        let kinds = [Kind::Counter, Kind::Set, Kind::Timer];
        let was = wanted
            .earlier
            .iter()
            .any(|(key, kind)| kinds.contains(kind) && is_part(key, &difference.name));
        difference.recorded == Some(0.0)
            && difference.found.is_none()
            && was
            && wanted.keys_of(&difference.name, &kinds).is_empty()
    });
    for reason in wanted.reasons() {
        differences.explain(reason, |difference| wanted.explains(reason, difference, seconds));
    }
    let value = |differences: &[Difference], of: fn(&Difference) -> Option<f64>| {
        differences.iter().find_map(of)
    };
    let recorded = value(&numbers, |difference| difference.recorded);
    let ours = value(&numbers, |difference| difference.found);
    if numbers.is_empty() {
    } else if has_others && ours.is_none_or(|ours| wanted.can_be(ours)) {
        differences.by_design("numStats is the number of series that differ by design");
    } else if found.is_empty() && recorded == Some(0.0) {
        differences.by_design("a window without series has no lines, and no numStats");
    } else if case["kind"] == "statsd_js"
        && recorded.is_some_and(|recorded| {
            // Three counters, and from the second flush on a gauge.
            (3.0..=4.0).contains(&(recorded - ours.unwrap_or_default()))
        })
    {
        differences.by_design("StatsD's numStats counts its own series too");
    } else {
        differences.unexplained.extend(numbers);
    }
}

/// Reasons for which the value of a line differs, and not its name.
const PAIRED: [&str; 3] = [FRACTIONS, SAMPLED, SEVERAL];

impl Wanted {
    /// Whether this can be the number of series: gauges without readings may be repeated, and tags make
    /// several series of one name.
    fn can_be(&self, number: f64) -> bool {
        let (series, gauges) = (self.series.len(), self.gauges.len());
        let has_tags = self.reasons().contains(TAGS);
        number >= series as f64 && (has_tags || number <= (series + gauges) as f64)
    }

    /// The series of these kinds that a name may belong to.
    fn keys_of(&self, name: &str, kinds: &[Kind]) -> Vec<&(String, Kind)> {
        let is_it = |(key, kind): &&(String, Kind)| kinds.contains(kind) && is_part(key, name);
        self.series.keys().filter(is_it).collect()
    }

    /// Whether a line of this name has the rate of a counter.
    fn is_rate(&self, name: &str, value: f64, seconds: f64) -> bool {
        let counters = self.series.iter().filter(|((_, kind), _)| *kind == Kind::Counter);
        let mut counters = counters.filter(|((key, _), _)| is_part(key, name));
        counters.any(|(_, series)| series.gives(Kind::Counter, name, value * seconds, f64::MAX))
    }

    /// All reasons of this flush.
    fn reasons(&self) -> BTreeSet<&'static str> {
        let series = self.series.values().flat_map(|series| &series.reasons);
        series.chain(self.rejected.values().flatten()).copied().collect()
    }

    /// Whether the reason explains the difference: what is found is what the series should give, and
    /// what is missing has a line that is rejected or belongs to another kind.
    fn explains(&self, reason: &str, difference: &Difference, seconds: f64) -> bool {
        let name = &difference.name;
        let mut series = self
            .series
            .iter()
            .filter(|((key, _), series)| is_part(key, name) && series.reasons.contains(reason));
        match difference.found {
            // These have other values for the same names.
            Some(_) if PAIRED.contains(&reason) && difference.recorded.is_none() => false,
            Some(value) => {
                series.any(|((_, kind), series)| series.gives(*kind, name, value, seconds))
            }
            None => {
                let is_rejected = |(key, reasons): (&String, &BTreeSet<_>)| {
                    is_part(key, name) && reasons.contains(reason)
                };
                series.next().is_some() || self.rejected.iter().any(is_rejected)
            }
        }
    }
}

/// A name whose tags are sorted.
fn sorted(name: &str) -> (&str, Vec<&str>) {
    let mut tags: Vec<_> = name.split(';').skip(1).collect();
    tags.sort_unstable();
    (path(name), tags)
}

/// Whether a name is that of the number of series.
fn is_number(name: &str) -> bool {
    name.split('.').any(|part| part == "numStats")
}

/// Whether a name may be that of a key: it contains all parts of it, in this order. The name of a key
/// without valid characters has an empty part.
fn is_part(key: &str, name: &str) -> bool {
    if key.is_empty() {
        return path(name).split('.').any(str::is_empty);
    }
    let mut parts = path(name).split('.');
    key.split('.').filter(|part| !part.is_empty()).all(|part| parts.any(|other| other == part))
}
