//! Annotations: events such as a deployment.
//!
//! Pure: takes bytes, opens nothing.

use super::faults::Faults;
use super::names::legal_name;
use super::scalar::Scalar;
use form_urlencoded::parse;
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// In front of the name of a stream, for the series that counts its annotations.
const PREFIX: &str = "annotations.";

/// Maximum number of links.
const MAX_LINKS: usize = 100;

/// The fields of an annotation as its client wrote them.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Fields<'a> {
    #[serde(borrow)]
    title: Scalar<'a>,
    #[serde(borrow)]
    source: Scalar<'a>,
    #[serde(borrow)]
    description: Scalar<'a>,
    #[serde(borrow)]
    start_time: Scalar<'a>,
    #[serde(borrow)]
    end_time: Scalar<'a>,
    links: Option<Value>,
}

/// A valid annotation.
#[derive(Debug, PartialEq)]
pub(super) struct Annotation<'a> {
    /// The name of the series that counts the annotations of the stream.
    pub(super) series: String,
    pub(super) source: Option<Cow<'a, str>>,
    /// The answer to the client.
    pub(super) shown: Value,
}

impl<'a> Fields<'a> {
    /// Reads a form.
    pub(super) fn of_form(form: &'a [u8]) -> Self {
        let mut fields = Self::default();
        for (key, value) in parse(form) {
            let field = match &*key {
                "title" => &mut fields.title,
                "source" => &mut fields.source,
                "description" => &mut fields.description,
                "start_time" => &mut fields.start_time,
                "end_time" => &mut fields.end_time,
                _ => continue,
            };
            *field = Scalar::Text(value);
        }
        fields
    }

    /// Checks all fields. `id` is the number of the annotation, and `now` the time in Unix seconds.
    ///
    /// # Errors
    /// All faults.
    pub(super) fn check(&self, stream: &str, id: u64, now: u64) -> Result<Annotation<'_>, Faults> {
        let mut faults = Faults::default();
        let fields =
            [("title", &self.title), ("source", &self.source), ("description", &self.description)];
        let [title, source, description] = fields.map(|(name, field)| {
            field.text().unwrap_or_else(|_| {
                faults.add(name, "annotation", "is not a text");
                None
            })
        });
        let mut time = |name: &'static str, field: &Scalar<'_>| match field.number() {
            Ok(time) if time.is_none_or(|time| (0.0..1e11).contains(&time)) => time,
            Ok(_) | Err(_) => {
                faults.add(name, "annotation", "is not a number of seconds since 1970");
                None
            }
        };
        let start = time("start_time", &self.start_time).unwrap_or(now as f64) as u64;
        let end = time("end_time", &self.end_time).map(|end| end as u64);
        if title.is_none() && !faults.has("title") {
            faults.add("title", "annotation", "is missing");
        }
        if end.is_some_and(|end| end < start) {
            faults.add("end_time", "annotation", "is before start_time");
        }
        if !self.links.as_ref().is_none_or(are_links) {
            faults.add("links", "annotation", "are not a list of objects with rel and href");
        }
        let name = legal_name(stream);
        if name.is_empty() {
            faults.add("name", "annotation", "is empty");
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let links = self.links.as_ref().filter(|links| links.is_array());
        let shown = json!({
            "id": id, "title": title, "source": source, "description": description,
            "start_time": start, "end_time": end, "links": links.unwrap_or(&json!([])),
        });
        let series = legal_name(&format!("{PREFIX}{name}")).into_owned();
        Ok(Annotation { series, source: source.map(legal_name), shown })
    }
}

fn are_links(links: &Value) -> bool {
    let is_text = |link: &Value, key| link.get(key).is_some_and(Value::is_string);
    let is_link = |link: &Value| is_text(link, "rel") && is_text(link, "href");
    let are_links = |links: &Vec<Value>| links.len() <= MAX_LINKS && links.iter().all(is_link);
    links.is_null() || links.as_array().is_some_and(are_links)
}

#[cfg(test)]
mod tests {
    use super::Fields;
    use serde_json::json;

    #[test]
    fn an_annotation_counts_in_the_series_of_its_stream() {
        let body = r#"{"title":"build 7","source":"ci box","start_time":1234567890,
            "end_time":1234567900,"links":[{"rel":"travis","href":"http://x"}],"other":[1]}"#;
        let fields: Fields<'_> = serde_json::from_str(body).unwrap();
        let annotation = fields.check("Travis CI", 3, 9).unwrap();
        assert_eq!(annotation.series, "annotations.Travis-CI");
        assert_eq!(annotation.source.as_deref(), Some("ci-box"));
        let shown = json!({
            "id": 3, "title": "build 7", "source": "ci box", "description": null,
            "start_time": 1_234_567_890, "end_time": 1_234_567_900,
            "links": [{"rel": "travis", "href": "http://x"}],
        });
        assert_eq!(annotation.shown, shown);
        let fields = Fields::of_form(b"title=a+b&source=s&x=1");
        let annotation = fields.check("t", 1, 9).unwrap();
        assert_eq!(annotation.shown["title"], "a b");
        assert_eq!(annotation.shown["start_time"], 9);
    }

    #[test]
    fn each_fault_is_named() {
        for (body, field) in [
            ("{}", "title"),
            (r#"{"title":5}"#, "title"),
            (r#"{"title":"a","source":[]}"#, "source"),
            (r#"{"title":"a","start_time":"x"}"#, "start_time"),
            (r#"{"title":"a","start_time":5,"end_time":4}"#, "end_time"),
            (r#"{"title":"a","links":{"rel":"a"}}"#, "links"),
            (r#"{"title":"a","links":[{"rel":"a"}]}"#, "links"),
        ] {
            let fields: Fields<'_> = serde_json::from_str(body).unwrap();
            let faults = fields.check("s", 1, 9).unwrap_err();
            assert_eq!(faults.count(), 1, "{body}");
            assert!(faults.body()["errors"]["params"][field].is_array(), "{body}");
        }
    }
}
