//! The metrics that were received since the start, for clients that look before they send.
//!
//! Pure.

use super::names::legal_name;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Maximum number of metrics. Further ones are received, and not listed.
const MAX_METRICS: usize = 100_000;

/// Largest and default number of metrics in an answer.
const MAX_PAGE: usize = 100;

/// Maximum size of a text that describes a metric, in bytes.
const MAX_TEXT: usize = 1_000;

/// The metrics by name.
#[derive(Debug, Default)]
pub(super) struct Seen {
    metrics: HashMap<Arc<str>, Metric, RandomState>,
    /// In the order of answers.
    names: BTreeSet<Arc<str>>,
}

/// What is known about a metric.
#[derive(Debug, Default)]
struct Metric {
    is_counter: bool,
    period: Option<f64>,
    display_name: Option<Box<str>>,
    description: Option<Box<str>>,
}

/// What a request says about a metric.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) is_counter: bool,
    pub(super) period: Option<f64>,
    pub(super) display_name: Option<&'a str>,
    pub(super) description: Option<&'a str>,
}

/// The part of the list that a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) offset: usize,
    pub(super) length: usize,
    /// Names contain this text, in lower case.
    pub(super) name: String,
    pub(super) is_descending: bool,
}

impl Default for Page {
    fn default() -> Self {
        Self { offset: 0, length: MAX_PAGE, name: String::new(), is_descending: false }
    }
}

impl Page {
    /// Reads the query of a request.
    ///
    /// # Errors
    /// The parameter that is wrong, and why.
    pub(super) fn of_query(query: &str) -> Result<Self, (&'static str, &'static str)> {
        let mut page = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "offset" => {
                    page.offset = value.parse().map_err(|_| ("offset", "is not a whole number"))?;
                }
                "length" => {
                    let length = value.parse().map_err(|_| ("length", "is not a whole number"))?;
                    page.length = MAX_PAGE.min(length);
                }
                "name" => page.name = value.to_lowercase(),
                "sort" => page.is_descending = value == "desc",
                _ => {}
            }
        }
        Ok(page)
    }
}

impl Seen {
    /// Notes that a metric was received.
    pub(super) fn note(&mut self, name: &str, about: About<'_>) {
        let has_room = self.metrics.len() < MAX_METRICS;
        let metric = match self.metrics.get_mut(name) {
            Some(metric) => metric,
            None if !has_room => return,
            None => {
                let name: Arc<str> = name.into();
                self.names.insert(Arc::clone(&name));
                self.metrics.entry(name).or_default()
            }
        };
        metric.is_counter = about.is_counter;
        metric.period = about.period.or(metric.period);
        keep(&mut metric.display_name, about.display_name);
        keep(&mut metric.description, about.description);
    }

    /// The metric with this name, as the API shows it. Names are those that were received, made legal;
    /// the case of letters does not matter.
    pub(super) fn metric(&self, name: &str) -> Option<Value> {
        let name = legal_name(name);
        if let Some(metric) = self.shown(&name) {
            return Some(metric);
        }
        let is_alike = |other: &&Arc<str>| other.eq_ignore_ascii_case(&name);
        self.names.iter().find(is_alike).and_then(|alike| self.shown(alike))
    }

    fn shown(&self, name: &str) -> Option<Value> {
        let (name, metric) = self.metrics.get_key_value(name)?;
        let kind = if metric.is_counter { "counter" } else { "gauge" };
        // The API's periods are whole seconds.
        let period = metric.period.map(|period| period as u64);
        Some(json!({
            "name": &**name, "type": kind, "period": period, "attributes": {},
            "display_name": metric.display_name, "description": metric.description,
            "source_lag": null,
        }))
    }

    /// A part of the list, as the API shows it.
    pub(super) fn list(&self, page: &Page) -> Value {
        let is_found =
            |name: &&Arc<str>| page.name.is_empty() || name.to_lowercase().contains(&page.name);
        let found: Vec<_> = match page.is_descending {
            false => self.names.iter().filter(is_found).collect(),
            true => self.names.iter().rev().filter(is_found).collect(),
        };
        let shown = found.iter().skip(page.offset).take(page.length);
        let metrics: Vec<_> = shown.filter_map(|name| self.shown(name)).collect();
        let (total, length) = (self.names.len(), metrics.len());
        json!({
            "query": {
                "found": found.len(), "length": length, "offset": page.offset, "total": total,
            },
            "metrics": metrics,
        })
    }

    /// Approximate memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.metrics.len() * (size_of::<Metric>() + 150)
    }
}

/// Replaces a text, if there is a new one.
fn keep(old: &mut Option<Box<str>>, new: Option<&str>) {
    let Some(new) = new.filter(|new| old.as_deref() != Some(new) && new.len() <= MAX_TEXT) else {
        return;
    };
    *old = Some(new.into());
}

#[cfg(test)]
mod tests {
    use super::{About, MAX_METRICS, Page, Seen};
    use serde_json::{Value, json};

    fn names(list: &Value) -> Vec<&str> {
        let metrics = list["metrics"].as_array().unwrap();
        metrics.iter().map(|metric| metric["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_metric_is_what_was_last_said_about_it() {
        let mut seen = Seen::default();
        let gauge = About { period: Some(60.0), description: Some("load"), ..About::default() };
        seen.note("cpu", gauge);
        seen.note("cpu", About { is_counter: true, display_name: Some("CPU"), ..About::default() });
        let expected = json!({
            "name": "cpu", "type": "counter", "period": 60, "attributes": {},
            "display_name": "CPU", "description": "load", "source_lag": null,
        });
        for name in ["cpu", "CPU"] {
            assert_eq!(seen.metric(name).as_ref(), Some(&expected), "{name}");
        }
        assert_eq!(seen.metric("cp"), None);
        seen.note("a-b", About::default());
        assert_eq!(seen.metric("a b").unwrap()["name"], "a-b");
    }

    #[test]
    fn the_list_is_paged_filtered_and_sorted() {
        let mut seen = Seen::default();
        (0..250).for_each(|n| seen.note(&format!("m{n:03}"), About::default()));
        seen.note("Other", About::default());
        let list = |query: &str| seen.list(&Page::of_query(query).unwrap());
        let first = list("");
        assert_eq!((names(&first).len(), names(&first)[1]), (100, "m000"));
        assert_eq!(first["query"], json!({"found":251,"length":100,"offset":0,"total":251}));
        let last = list("offset=249&length=1000");
        assert_eq!(names(&last), ["m248", "m249"]);
        assert_eq!(names(&list("name=THER")), ["Other"]);
        let found = list("name=m24&length=2&sort=desc");
        assert_eq!(names(&found), ["m249", "m248"]);
        assert_eq!(found["query"], json!({"found":10,"length":2,"offset":0,"total":251}));
        assert_eq!(names(&list("offset=18446744073709551615")), [""; 0]);
        for query in ["offset=-1", "length=x", "offset=18446744073709551616"] {
            assert!(Page::of_query(query).is_err(), "{query}");
        }
    }

    #[test]
    fn metrics_are_bounded() {
        let mut seen = Seen::default();
        (0..=MAX_METRICS).for_each(|n| seen.note(&n.to_string(), About::default()));
        assert_eq!(seen.names.len(), MAX_METRICS);
    }
}
