//! What is wrong with the measurements of a request: the answer for the client, and the counters.
//!
//! Pure.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Maximum number of measurements whose faults are named in an answer.
const MAX_NAMED: usize = 100;

/// Maximum number of characters of a name that are shown.
const MAX_SHOWN: usize = 100;

/// The faults of a request.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// By name of the measurement.
    named: BTreeMap<String, Vec<String>>,
    /// Number of faults that are not named.
    more: usize,
    /// The number of each reason, and a sample.
    pub(super) reasons: BTreeMap<&'static str, (u64, String)>,
}

impl Faults {
    /// Adds a fault of a measurement. `reason` is the word of the counter.
    pub(super) fn add(&mut self, of: &str, reason: &'static str, why: impl Into<String>) {
        let (of, why) = (of.chars().take(MAX_SHOWN).collect::<String>(), why.into());
        let (count, _) = self.reasons.entry(reason).or_insert_with(|| (0, format!("{of}: {why}")));
        *count += 1;
        if self.named.len() < MAX_NAMED || self.named.contains_key(&of) {
            self.named.entry(of).or_default().push(why);
        } else {
            self.more += 1;
        }
    }

    /// Whether a fault of this measurement or field is named.
    pub(super) fn has(&self, of: &str) -> bool {
        self.named.contains_key(of)
    }

    /// The number of faults.
    pub(super) fn count(&self) -> u64 {
        self.reasons.values().map(|(count, _)| count).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    /// The body of the answer, in the form of Librato's API.
    pub(super) fn body(&self) -> Value {
        let params: Map<_, _> =
            self.named.iter().map(|(name, faults)| (name.clone(), json!(faults))).collect();
        let mut errors = Map::from_iter([("params".to_owned(), Value::Object(params))]);
        if self.more > 0 {
            let more = format!("{} more measurements are invalid", self.more);
            errors.insert("request".to_owned(), json!([more]));
        }
        json!({ "errors": errors })
    }
}

#[cfg(test)]
mod tests {
    use super::{Faults, MAX_NAMED};
    use serde_json::json;

    #[test]
    fn faults_are_named_by_measurement_and_bounded() {
        let mut faults = Faults::default();
        assert!(faults.is_empty());
        faults.add("cpu", "value", "value: is missing");
        faults.add("cpu", "time", "measure_time: is too far in the past");
        faults.add(&"x".repeat(1000), "value", "value: is missing");
        let long = "x".repeat(100);
        let expected = json!({"errors": {"params": {
            "cpu": ["value: is missing", "measure_time: is too far in the past"],
            long: ["value: is missing"],
        }}});
        assert_eq!(faults.body(), expected);
        assert_eq!(faults.reasons["value"], (2, "cpu: value: is missing".to_owned()));
        (0..1000).for_each(|n| faults.add(&format!("m{n}"), "name", "x"));
        let body = faults.body();
        assert_eq!(body["errors"]["params"].as_object().unwrap().len(), MAX_NAMED);
        assert_eq!(body["errors"]["request"], json!(["902 more measurements are invalid"]));
        assert_eq!(faults.reasons["name"].0, 1000);
    }
}
