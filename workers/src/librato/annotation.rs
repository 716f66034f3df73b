//! Annotations as payloads: a line with the place, `annotations/STREAM`, and the event as JSON.
//!
//! Pure.

use super::client::{Annotation as Event, Link};
use super::text;
use crate::hash::fnv1a;
use crate::naming::marked;
use crate::{Payload, SendError};
use zibrato::window::{Window, WindowAnnotation};
use zibrato::{Annotation, DEFAULT_SOURCE};

/// The beginning of the first line.
const PLACE: &[u8] = b"annotations/";

/// The payloads for the annotations of a window.
pub(super) fn payloads(window: &Window) -> Vec<Payload> {
    window.annotations().iter().filter_map(payload).collect()
}

/// The payload for an annotation; `None` if it cannot be encoded, which does not happen: it consists of
/// texts and numbers.
fn payload(of: &WindowAnnotation) -> Option<Payload> {
    let WindowAnnotation { source, annotation, .. } = of;
    let json = serde_json::to_vec(&event(source, annotation)).ok()?;
    let stream = stream(annotation.stream());
    Some(Payload::new([PLACE, stream.as_bytes(), b"\n", &json].concat(), 1))
}

/// The stream and the JSON of a payload that is an annotation; `None` if it is none.
pub(super) fn parts(payload: &Payload) -> Option<(&str, &[u8])> {
    let rest = payload.body.strip_prefix(PLACE)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (stream, json) = rest.split_at_checked(end)?;
    // A dead letter may have been edited.
    let stream = std::str::from_utf8(stream).ok()?.trim_end();
    Some((stream, json)).filter(|_| self::stream(stream) == stream)
}

/// The name of an annotation, for the report of its rejection: its stream, title and source.
pub(super) fn name(payload: &Payload) -> Option<String> {
    let (stream, json) = parts(payload)?;
    let Event { title, source, .. } = serde_json::from_slice(json).ok()?;
    let source = source.map_or_else(String::new, |source| format!(" ({source})"));
    Some(format!("annotation of {stream}: {title}{source}"))
}

/// What the error of an annotation means. A server may have metrics only. It rejects annotations then,
/// and measurements must not wait for them.
pub(super) fn unserved(error: SendError, status: u16) -> SendError {
    match error {
        SendError::Stop { why } if matches!(status, 404 | 405 | 501) => SendError::Reject { why },
        other => other,
    }
}

/// A stream in a path: made legal as a name, and neither `.` nor `..`, which are no places.
fn stream(name: &str) -> String {
    let clean = text::sanitise(name).to_string();
    if clean.bytes().all(|byte| byte == b'.') {
        return marked(&clean, fnv1a(name.as_bytes()), text::MAX_TEXT);
    }
    clean
}

fn event(source: &str, annotation: &Annotation) -> Event {
    let seconds = |ms: u64| i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    let mut event = Event::new(annotation.title()).time(seconds(annotation.start_ms()));
    if source != DEFAULT_SOURCE {
        event.source = Some(text::source(source).to_string());
    }
    event.description = annotation.description().map(str::to_owned);
    event.end_time = annotation.end_ms().map(seconds);
    for link in annotation.links() {
        let mut shown = Link::new(link.rel(), link.href());
        shown.label = link.label().map(str::to_owned);
        event = event.link(shown);
    }
    event
}

#[cfg(test)]
mod tests {
    use super::{name, parts, payload, unserved};
    use crate::{Payload, SendError};
    use zibrato::window::{Window, WindowAnnotation};
    use zibrato::{Annotation, DEFAULT_SOURCE};

    fn of(source: &str, annotation: &Annotation) -> WindowAnnotation {
        let mut window = Window::new(0, 60_000, 1);
        window.add_annotation(source, annotation);
        window.annotations()[0].clone()
    }

    #[test]
    fn an_annotation_has_its_place_and_all_its_fields() {
        let deploy = Annotation::new("web deploys", "version 7", 1_700_000_000_999).unwrap();
        let deploy =
            deploy.with_description("by\nAnn").unwrap().with_end(1_700_000_042_000).unwrap();
        let deploy = deploy.with_link("ci", "https://ci/7", Some("the build")).unwrap();
        let deploy = deploy.with_link("diff", "https://git/7", None).unwrap();
        let sent = payload(&of("ci box", &deploy)).unwrap();
        let (stream, json) = parts(&sent).unwrap();
        assert!(stream.starts_with("web-deploys_"), "{stream}");
        let json: serde_json::Value = serde_json::from_slice(json).unwrap();
        assert!(json["source"].as_str().unwrap().starts_with("ci-box_"), "{json}");
        let expected = serde_json::json!({
            "title": "version 7", "source": json["source"], "description": "by\nAnn",
            "start_time": 1_700_000_000, "end_time": 1_700_000_042,
            "links": [
                { "rel": "ci", "href": "https://ci/7", "label": "the build" },
                { "rel": "diff", "href": "https://git/7" },
            ],
        });
        assert_eq!(json, expected);
        assert_eq!(sent.series, 1);
    }

    #[test]
    fn what_is_not_known_is_not_sent() {
        let panic = Annotation::new("panics", "it happened", 5_000).unwrap();
        let sent = payload(&of(DEFAULT_SOURCE, &panic)).unwrap();
        assert_eq!(
            String::from_utf8(sent.body.clone()).unwrap(),
            "annotations/panics\n{\"title\":\"it happened\",\"start_time\":5}"
        );
        assert_eq!(name(&sent).as_deref(), Some("annotation of panics: it happened"));
        let sent = payload(&of("web-1", &panic)).unwrap();
        assert_eq!(name(&sent).as_deref(), Some("annotation of panics: it happened (web-1)"));
    }

    #[test]
    fn a_server_without_annotations_rejects_them_and_wrong_credentials_hold_them() {
        let of = |status| match unserved(SendError::Stop { why: "no".into() }, status) {
            SendError::Reject { .. } => "reject",
            SendError::Stop { .. } => "stop",
            other => panic!("{other:?}"),
        };
        assert_eq!(
            [401, 403, 404, 405, 501].map(of),
            ["stop", "stop", "reject", "reject", "reject"]
        );
    }

    #[test]
    fn a_place_outside_the_annotations_is_none() {
        for stream in ["..", "."] {
            let sent = payload(&of("a", &Annotation::new(stream, "t", 5).unwrap())).unwrap();
            let (stream, _) = parts(&sent).unwrap();
            assert!(stream.len() > 16, "{stream}");
        }
        for body in ["annotations/..\n{}", "annotations/a/b\n{}", "annotations/\n{}", "{}", ""] {
            assert_eq!(parts(&Payload::new(body.into(), 1)), None, "{body}");
        }
        // As an editor may write it.
        let edited = Payload::new(b"annotations/a\r\n{}\n".to_vec(), 1);
        assert_eq!(parts(&edited), Some(("a", &b"\n{}\n"[..])));
    }
}
