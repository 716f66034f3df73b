//! Differences between what was recorded and what is found.

use std::collections::{BTreeMap, BTreeSet};

/// The result of a case.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Each difference is explained; the reasons.
    ByDesign(BTreeSet<String>),
    Failed(String),
    Passed,
}

/// Lines for Carbon without their time: name and value.
pub(crate) type Lines = BTreeMap<String, f64>;

/// A line that differs.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) name: String,
    pub(crate) recorded: Option<f64>,
    pub(crate) found: Option<f64>,
}

impl Difference {
    /// Whether there is a recorded line, and none is found.
    pub(crate) const fn is_missing(&self) -> bool {
        self.recorded.is_some() && self.found.is_none()
    }

    /// Whether a line is found that was not recorded.
    pub(crate) const fn is_extra(&self) -> bool {
        self.recorded.is_none() && self.found.is_some()
    }
}

/// Whether two values are equal. They may differ in their last digits, because the order of
/// additions is not recorded.
pub(crate) fn is_equal(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= a.abs() * 1e-12
}

/// What differs in a case, and why it does.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    pub(crate) unexplained: Vec<Difference>,
    reasons: BTreeSet<String>,
    failures: Vec<String>,
}

impl Differences {
    /// Adds the lines that differ.
    pub(crate) fn compare(&mut self, recorded: &Lines, found: &Lines) {
        let names: BTreeSet<_> = recorded.keys().chain(found.keys()).collect();
        for name in names {
            let (recorded, found) = (recorded.get(name).copied(), found.get(name).copied());
            let same = matches!((recorded, found), (Some(a), Some(b)) if is_equal(a, b));
            if !same {
                self.unexplained.push(Difference { name: name.clone(), recorded, found });
            }
        }
    }

    /// Adds a difference that is by design.
    pub(crate) fn by_design(&mut self, reason: &str) {
        self.reasons.insert(reason.to_owned());
    }

    /// Adds a difference that is a failure.
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        self.failures.push(what.into());
    }

    /// Whether anything that is by design was found.
    pub(crate) fn has_reasons(&self) -> bool {
        !self.reasons.is_empty()
    }

    /// The differences for which `rule` holds are by design.
    pub(crate) fn explain(&mut self, reason: &str, rule: impl Fn(&Difference) -> bool) {
        let before = self.unexplained.len();
        self.unexplained.retain(|difference| !rule(difference));
        if self.unexplained.len() < before {
            self.by_design(reason);
        }
    }

    /// A missing line is by design if one with the same value is found under another name, for which
    /// `is_same` holds: the recorded name, then the other one.
    pub(crate) fn explain_names(&mut self, reason: &str, is_same: impl Fn(&str, &str) -> bool) {
        let pair = |all: &[Difference]| {
            all.iter().enumerate().find_map(|(a, missing)| {
                let value = missing.recorded.filter(|_| missing.is_missing())?;
                let b = all.iter().position(|extra| {
                    extra.is_extra()
                        && extra.found.is_some_and(|found| is_equal(value, found))
                        && is_same(&missing.name, &extra.name)
                })?;
                Some((a, b))
            })
        };
        while let Some((a, b)) = pair(&self.unexplained) {
            self.unexplained.remove(a.max(b));
            self.unexplained.remove(a.min(b));
            self.by_design(reason);
        }
    }

    /// Everything that is not explained becomes a failure. Call it before the next comparison.
    pub(crate) fn settle(&mut self) {
        for Difference { name, recorded, found } in self.unexplained.drain(..) {
            self.failures.push(format!("{name}: recorded {recorded:?}, found {found:?}"));
        }
    }

    pub(crate) fn outcome(mut self) -> Outcome {
        self.settle();
        if !self.failures.is_empty() {
            Outcome::Failed(self.failures.join("; "))
        } else if self.reasons.is_empty() {
            Outcome::Passed
        } else {
            Outcome::ByDesign(self.reasons)
        }
    }
}

/// The path of a name with Graphite's tags.
pub(crate) fn path(name: &str) -> &str {
    name.split(';').next().unwrap_or_default()
}

/// Whether `found` is the path that `zibrato-carbon` makes of `recorded`, where the two differ:
/// characters that Graphite cannot query are `_`, empty parts are omitted, and what is changed has a
/// hash.
pub(crate) fn is_cleaned(recorded: &str, found: &str) -> bool {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || "/\\;*?[]{}(),'\"`|~".contains(c);
    let mut cleaned: Vec<_> = recorded
        .split('.')
        .filter(|part| !part.is_empty())
        .map(|part| part.replace(is_bad, "_"))
        .collect();
    let mut parts: Vec<_> = found.split('.').map(without_hash).collect();
    cleaned.dedup();
    parts.dedup();
    // Nothing is left of a name with empty parts only.
    let is_nothing = cleaned.is_empty() && parts == ["_"];
    found.split('.').any(|part| without_hash(part) != part) && (cleaned == parts || is_nothing)
}

/// A part without the hash at its end.
fn without_hash(part: &str) -> &str {
    let is_hash = |hash: &str| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    part.rsplit_once('_').filter(|(_, hash)| is_hash(hash)).map_or(part, |(before, _)| before)
}
