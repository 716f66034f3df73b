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

/// The lines that differ. Values may differ in their last digits, because the order of additions is
/// not recorded.
pub(crate) fn differences(recorded: &Lines, found: &Lines) -> Vec<Difference> {
    let names: BTreeSet<_> = recorded.keys().chain(found.keys()).collect();
    let difference = |name: &String| {
        let (recorded, found) = (recorded.get(name).copied(), found.get(name).copied());
        let is_equal = match (recorded, found) {
            (Some(a), Some(b)) => a == b || (a - b).abs() <= a.abs() * 1e-12,
            _ => false,
        };
        (!is_equal).then(|| Difference { name: name.clone(), recorded, found })
    };
    names.into_iter().filter_map(difference).collect()
}

/// The outcome, if `rule` gives the reason of each difference that is by design.
pub(crate) fn judge<R: Into<String>>(
    differences: Vec<Difference>,
    rule: impl Fn(&Difference) -> Option<R>,
) -> Outcome {
    let mut reasons = BTreeSet::new();
    let mut unexplained = Vec::new();
    for difference in differences {
        match rule(&difference) {
            Some(reason) => {
                reasons.insert(reason.into());
            }
            None => unexplained.push(format!(
                "{}: recorded {:?}, found {:?}",
                difference.name, difference.recorded, difference.found
            )),
        }
    }
    if !unexplained.is_empty() {
        Outcome::Failed(unexplained.join("; "))
    } else if reasons.is_empty() {
        Outcome::Passed
    } else {
        Outcome::ByDesign(reasons)
    }
}
