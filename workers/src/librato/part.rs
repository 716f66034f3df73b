//! Parts of a body: its halves, and the points that the API rejected while it accepted the others.
//!
//! Pure. A point has the same bytes in a part as in the whole body.

use crate::{Payload, RefusedPart};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A body of one of the two APIs.
#[derive(Serialize, Deserialize)]
struct Body<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    gauges: Option<Vec<&'a RawValue>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    measurements: Option<Vec<&'a RawValue>>,
}

/// The points of a body, and the key of their list.
struct Points<'a> {
    key: &'static str,
    points: Vec<&'a RawValue>,
}

impl<'a> Points<'a> {
    fn of(payload: &'a Payload) -> Option<Self> {
        let body: Body<'a> = serde_json::from_slice(&payload.body).ok()?;
        match (body.gauges, body.measurements) {
            (Some(points), None) => Some(Self { key: "gauges", points }),
            (None, Some(points)) => Some(Self { key: "measurements", points }),
            _ => None,
        }
    }

    /// A body with some of the points.
    fn part(&self, points: &[&RawValue], series: usize) -> Option<Payload> {
        let points = points.to_vec();
        let body = match self.key {
            "gauges" => Body { gauges: Some(points), measurements: None },
            _ => Body { gauges: None, measurements: Some(points) },
        };
        Some(Payload::new(serde_json::to_vec(&body).ok()?, series))
    }
}

/// The first and the second half of a body's points; `None` if there are fewer than two.
pub(super) fn split(payload: &Payload) -> Option<[Payload; 2]> {
    let all = Points::of(payload)?;
    let (left, right) = all.points.split_at(all.points.len() / 2);
    if left.is_empty() {
        return None;
    }
    // Points and series differ in number; that of the series is divided evenly.
    let series = payload.series * left.len() / all.points.len();
    Some([all.part(left, series)?, all.part(right, payload.series - series)?])
}

/// The first names in a body, with their sources.
pub(super) fn names(payload: &Payload, most: usize) -> Vec<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
        source: Option<String>,
        tags: Option<Tags>,
    }
    #[derive(Deserialize)]
    struct Tags {
        source: Option<String>,
    }
    let Some(Points { points, .. }) = Points::of(payload) else { return Vec::new() };
    let named = points.iter().filter_map(|point| serde_json::from_str::<Named>(point.get()).ok());
    let name = |Named { name, source, tags }| match source.or(tags.and_then(|tags| tags.source)) {
        Some(source) => format!("{name} ({source})"),
        None => name,
    };
    named.map(name).take(most).collect()
}

/// Whether an answer is the beginning of a JSON object.
pub(super) fn is_cut(answer: &[u8]) -> bool {
    let is_object = answer.trim_ascii_start().first() == Some(&b'{');
    let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(answer);
    is_object && parsed.is_err_and(|error| error.is_eof())
}

/// The points that a successful answer reports as rejected; `None` if it reports none.
pub(super) fn refused(answer: &[u8], payload: &Payload) -> Option<RefusedPart> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let is_full = |errors: &&Value| match errors {
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    };
    let errors = ["errors", "error"].iter().find_map(|field| answer.get(field).filter(is_full));
    let failed = answer.pointer("/measurements/summary/failed").and_then(Value::as_u64);
    let failed = failed.filter(|failed| *failed > 0);
    if errors.is_none() && failed.is_none() {
        return None;
    }
    let these = errors.and_then(|errors| named(errors, payload));
    let count = failed.and_then(|failed| usize::try_from(failed).ok());
    let of = payload.series;
    Some(match (these, count) {
        (Some(these), Some(count)) if these.series != count => RefusedPart::SomeOf(count.min(of)),
        (Some(these), _) => RefusedPart::These(these),
        (None, Some(count)) => RefusedPart::SomeOf(count.min(of)),
        (None, None) => RefusedPart::SomeOf(of),
    })
}

/// The points whose names or indexes an error list contains.
fn named(errors: &Value, payload: &Payload) -> Option<Payload> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: std::borrow::Cow<'a, str>,
    }
    let all = Points::of(payload)?;
    let mut words = Vec::new();
    texts(errors, &mut words);
    let told_by = |tells: fn(&str, &str, usize) -> bool| -> Vec<&RawValue> {
        let is_told = |(at, point): &(usize, &&RawValue)| {
            let Ok(Named { name }) = serde_json::from_str(point.get()) else { return false };
            words.iter().any(|word| tells(word, &name, *at))
        };
        all.points.iter().enumerate().filter(is_told).map(|(_, point)| *point).collect()
    };
    // A text that consists of a name means that point; within a sentence the name may be an
    // ordinary word.
    let mut bad = told_by(|text, name, at| {
        let index = format!("[{at}]");
        text == name
            || ["gauges", "measurements"].iter().any(|key| text.contains(&format!("{key}{index}")))
    });
    if bad.is_empty() {
        bad = told_by(|text, name, _| has_part(text, name));
    }
    if bad.is_empty() { None } else { all.part(&bad, bad.len()) }
}

/// Whether a text contains another one as a whole word.
fn has_part(text: &str, part: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || ".:-_".contains(c);
    text.match_indices(part).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + part.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(is_name) && !after.is_some_and(is_name)
    })
}

/// All texts in a value, including keys.
fn texts<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => into.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            into.push(key);
            texts(value, into);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{names, refused, split};
    use crate::{Payload, RefusedPart};

    fn payload(names: &[&str]) -> Payload {
        let gauges: Vec<_> =
            names.iter().map(|name| format!(r#"{{"name":"{name}","value":1.0}}"#)).collect();
        Payload::new(format!(r#"{{"gauges":[{}]}}"#, gauges.join(",")).into_bytes(), names.len())
    }

    #[test]
    fn gauges_are_named_with_their_sources() {
        let body = r#"{"gauges":[{"name":"a","source":"web-1"},{"value":1},{"name":"b"}]}"#;
        let whole = Payload::new(body.into(), 3);
        assert_eq!(names(&whole, 5), ["a (web-1)", "b"]);
        assert_eq!(names(&whole, 1), ["a (web-1)"]);
        assert!(names(&Payload::new(b"x".to_vec(), 3), 5).is_empty());
    }

    #[test]
    fn measurements_with_tags_are_split_and_named_like_gauges() {
        let body = r#"{"measurements":[{"name":"a","tags":{"dc":"fra","source":"web-1"}},{"name":"b","tags":{}}]}"#;
        let whole = Payload::new(body.into(), 2);
        assert_eq!(names(&whole, 5), ["a (web-1)", "b"]);
        let [left, right] =
            split(&whole).unwrap().map(|half| String::from_utf8(half.body).unwrap());
        assert!(left.starts_with(r#"{"measurements":[{"name":"a""#), "{left}");
        assert_eq!(right, r#"{"measurements":[{"name":"b","tags":{}}]}"#);
        let bad = refused(br#"{"errors":["measurements[1] is too old"]}"#, &whole);
        assert_eq!(bad, Some(RefusedPart::These(Payload::new(right.into(), 1))));
    }

    #[test]
    fn halves_contain_each_gauge_once_and_unchanged() {
        let whole = payload(&["a", "b", "c", "d", "e"]);
        assert_eq!(split(&whole), Some([payload(&["a", "b"]), payload(&["c", "d", "e"])]));
        for body in ["", "{}", r#"{"gauges":[]}"#, r#"{"gauges":7}"#, "a 1 2"] {
            assert_eq!(split(&Payload::new(body.into(), 2)), None, "{body}");
        }
        assert_eq!(split(&payload(&["a"])), None);
    }

    #[test]
    fn the_number_of_merged_series_is_divided() {
        let mut whole = payload(&["a", "b", "c"]);
        whole.series = 7;
        let [left, right] = split(&whole).unwrap();
        assert_eq!((left.series, right.series), (2, 5));
    }

    #[test]
    fn a_success_that_lists_errors_names_the_rejected_gauges() {
        let whole = payload(&["a", "a.b", "c"]);
        let these = |names: &[&str]| Some(RefusedPart::These(payload(names)));
        for (answer, expected) in [
            ("", None),
            ("ok", None),
            (r#"{"errors":[]}"#, None),
            (r#"{"errors":{}}"#, None),
            (r#"{"measurements":{"summary":{"total":3,"accepted":3,"failed":0}}}"#, None),
            (
                r#"{"errors":[{"param":"name","value":"a","reason":"not of a kind c"}]}"#,
                these(&["a"]),
            ),
            (r#"{"errors":["a.b is invalid", "`c` too"]}"#, these(&["a.b", "c"])),
            (r#"{"errors":{"params":{"gauges[2].value":["is not a number"]}}}"#, these(&["c"])),
            (r#"{"errors":{"a.b":["is in the past"]}}"#, these(&["a.b"])),
            (
                r#"{"measurements":{"summary":{"total":3,"accepted":2,"failed":1}}}"#,
                Some(RefusedPart::SomeOf(1)),
            ),
            (
                r#"{"measurements":{"summary":{"failed":2}},"errors":["a is invalid"]}"#,
                Some(RefusedPart::SomeOf(2)),
            ),
            (r#"{"measurements":{"summary":{"failed":9}}}"#, Some(RefusedPart::SomeOf(3))),
            (r#"{"errors":["something is wrong"]}"#, Some(RefusedPart::SomeOf(3))),
        ] {
            assert_eq!(refused(answer.as_bytes(), &whole), expected, "{answer}");
        }
    }
}
