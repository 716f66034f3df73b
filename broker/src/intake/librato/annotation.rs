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
use zibrato::{Annotation, AnnotationError, MAX_DESCRIPTION_BYTES, MAX_LINKS, MAX_TITLE_BYTES};

/// The word of the counter of refused annotations.
const REASON: &str = "annotation";

/// Maximum length of a text, in bytes. One that is shorter, but too long for a batch, is cut.
const MAX_TEXT_BYTES: usize = 64 << 10;

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
pub(super) struct Valid<'a> {
    pub(super) annotation: Annotation,
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

    /// Checks all fields, and cuts texts that are too long. `id` is the number of the annotation, and
    /// `now` the time in Unix seconds.
    ///
    /// # Errors
    /// All faults.
    pub(super) fn check(&self, stream: &str, id: u64, now: u64) -> Result<Valid<'_>, Faults> {
        let mut faults = Faults::default();
        let fields =
            [("title", &self.title), ("source", &self.source), ("description", &self.description)];
        let [title, source, description] = fields.map(|(name, field)| match field.text() {
            Ok(text) if text.is_none_or(|text| text.len() <= MAX_TEXT_BYTES) => text,
            Ok(_) => {
                faults.add(name, REASON, "is longer than 64 KiB");
                None
            }
            Err(_) => {
                faults.add(name, REASON, "is not a text");
                None
            }
        });
        let title = title.map(|text| legal_text(text, MAX_TITLE_BYTES, ""));
        let title = title.filter(|title| !title.is_empty());
        let description = description.map(|text| legal_text(text, MAX_DESCRIPTION_BYTES, "\n\t"));
        let mut time = |name: &'static str, field: &Scalar<'_>| match field.number() {
            Ok(time) if time.is_none_or(|time| (0.0..1e11).contains(&time)) => time,
            Ok(_) | Err(_) => {
                faults.add(name, REASON, "is not a number of seconds since 1970");
                None
            }
        };
        let start = time("start_time", &self.start_time).unwrap_or(now as f64) as u64;
        let end = time("end_time", &self.end_time).map(|end| end as u64);
        if title.is_none() && !faults.has("title") {
            faults.add("title", REASON, "is missing");
        }
        if end.is_some_and(|end| end < start) {
            faults.add("end_time", REASON, "is before start_time");
        }
        let links = links(self.links.as_ref()).unwrap_or_else(|why| {
            faults.add("links", REASON, why);
            Vec::new()
        });
        let name = legal_name(stream);
        if name.is_empty() {
            faults.add("name", REASON, "is empty");
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let texts = [title.as_deref(), description.as_deref()].map(Option::unwrap_or_default);
        match build(&name, texts, start, end, &links) {
            Ok(annotation) => {
                let shown = shown(&annotation, id, source);
                Ok(Valid { annotation, source: source.map(legal_name), shown })
            }
            Err(error) => {
                faults.add(field_of(error), REASON, error.to_string());
                Err(faults)
            }
        }
    }
}

/// The `rel`, `href` and `label` of a link.
type Link<'a> = (&'a str, &'a str, Option<&'a str>);

fn build(
    stream: &str,
    [title, description]: [&str; 2],
    start: u64,
    end: Option<u64>,
    links: &[Link<'_>],
) -> Result<Annotation, AnnotationError> {
    let mut annotation =
        Annotation::new(stream, title, start * 1_000)?.with_description(description)?;
    if let Some(end) = end {
        annotation = annotation.with_end(end * 1_000)?;
    }
    links.iter().try_fold(annotation, |of, (rel, href, label)| of.with_link(rel, href, *label))
}

/// The field that an error is about.
const fn field_of(error: AnnotationError) -> &'static str {
    match error {
        AnnotationError::Title(_) => "title",
        AnnotationError::Description(_) => "description",
        AnnotationError::Start => "start_time",
        AnnotationError::End => "end_time",
        AnnotationError::Stream(_) => "name",
        _ => "links",
    }
}

/// The annotation as the API describes it.
fn shown(annotation: &Annotation, id: u64, source: Option<&str>) -> Value {
    let links = annotation.links().iter().map(|link| {
        let mut shown = json!({ "rel": link.rel(), "href": link.href() });
        if let (Some(label), Some(fields)) = (link.label(), shown.as_object_mut()) {
            fields.insert("label".to_owned(), label.into());
        }
        shown
    });
    json!({
        "id": id, "title": annotation.title(), "source": source,
        "description": annotation.description(),
        "start_time": annotation.start_ms() / 1_000,
        "end_time": annotation.end_ms().map(|end| end / 1_000),
        "links": links.collect::<Vec<_>>(),
    })
}

/// A text without control characters other than those that are allowed, which become blanks. One that
/// is too long ends in `…`.
fn legal_text(text: &str, max_bytes: usize, allowed: &str) -> String {
    const ELLIPSIS: char = '…';
    let breaks = |c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}';
    let legal = |c: char| if breaks(c) && !allowed.contains(c) { ' ' } else { c };
    let text: String = text.replace("\r\n", "\n").chars().map(legal).collect();
    let mut text = text.trim().to_owned();
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes - ELLIPSIS.len_utf8()));
        text.push(ELLIPSIS);
    }
    text
}

fn links(links: Option<&Value>) -> Result<Vec<Link<'_>>, &'static str> {
    let why = "are not a list of objects with rel and href";
    let links = match links {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(links) => links.as_array().ok_or(why)?,
    };
    if links.len() > MAX_LINKS {
        return Err("are more than 10");
    }
    links
        .iter()
        .map(|link| {
            let text = |key| link.get(key).and_then(Value::as_str);
            Ok((text("rel").ok_or(why)?, text("href").ok_or(why)?, text("label")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Fields;
    use serde_json::{Value, json};

    #[test]
    fn an_annotation_is_kept_as_it_was_sent() {
        let body = r#"{"title":"build 7","source":"ci box","start_time":1234567890,
            "end_time":1234567900,"description":"by\r\nAnn",
            "links":[{"rel":"travis","href":"http://x","label":"Travis"}],"other":[1]}"#;
        let fields: Fields<'_> = serde_json::from_str(body).unwrap();
        let valid = fields.check("Travis CI", 3, 9).unwrap();
        let annotation = &valid.annotation;
        assert_eq!((annotation.stream(), annotation.title()), ("Travis-CI", "build 7"));
        assert_eq!(annotation.description(), Some("by\nAnn"));
        assert_eq!(
            (annotation.start_ms(), annotation.end_ms()),
            (1_234_567_890_000, Some(1_234_567_900_000))
        );
        let link = &annotation.links()[0];
        assert_eq!((link.rel(), link.href(), link.label()), ("travis", "http://x", Some("Travis")));
        assert_eq!(valid.source.as_deref(), Some("ci-box"));
        let shown = json!({
            "id": 3, "title": "build 7", "source": "ci box", "description": "by\nAnn",
            "start_time": 1_234_567_890, "end_time": 1_234_567_900,
            "links": [{"rel": "travis", "href": "http://x", "label": "Travis"}],
        });
        assert_eq!(valid.shown, shown);
        let fields = Fields::of_form(b"title=a+b&source=s&x=1");
        let valid = fields.check("t", 1, 9).unwrap();
        assert_eq!(valid.shown["title"], "a b");
        assert_eq!((&valid.shown["start_time"], &valid.shown["links"]), (&json!(9), &json!([])));
    }

    #[test]
    fn long_texts_are_cut_between_characters_and_control_characters_become_blanks() {
        let check = |title: String, description: String| {
            let body = json!({ "title": title, "description": description }).to_string();
            let fields: Fields<'_> = serde_json::from_str(&body).unwrap();
            fields.check("s", 1, 9).map(|valid| {
                let annotation = valid.annotation;
                (annotation.title().to_owned(), annotation.description().unwrap().to_owned())
            })
        };
        let (title, description) = check("ä".repeat(128), "ö".repeat(2_049)).unwrap();
        assert_eq!(title, "ä".repeat(126) + "…");
        assert_eq!(description, "ö".repeat(2_046) + "…");
        let (title, description) = check("ä".repeat(127), "ö".repeat(2_048)).unwrap();
        assert_eq!((title, description), ("ä".repeat(127), "ö".repeat(2_048)));
        let (title, description) = check("\0a\nb".to_owned(), "a\u{1b}\n\tb ".to_owned()).unwrap();
        assert_eq!((&*title, &*description), ("a b", "a \n\tb"));
        assert!(check("x".repeat(65_536), "x".to_owned()).is_ok());
        let faults = check("x".repeat(65_537), "x".repeat(65_537)).unwrap_err();
        let why = json!(["is longer than 64 KiB"]);
        assert_eq!(faults.body()["errors"]["params"], json!({ "title": why, "description": why }));
    }

    #[test]
    fn each_fault_is_named() {
        let links = |count: usize| -> Value {
            (0..count).map(|n| json!({ "rel": n.to_string(), "href": "http://x" })).collect()
        };
        let with = |links: Value| json!({ "title": "a", "links": links }).to_string();
        let link = |rel: &str, href: &str| json!({ "rel": rel, "href": href });
        for (body, field) in [
            ("{}".to_owned(), "title"),
            (r#"{"title":5}"#.to_owned(), "title"),
            (r#"{"title":"\u0000 "}"#.to_owned(), "title"),
            (r#"{"title":"a","source":[]}"#.to_owned(), "source"),
            (r#"{"title":"a","start_time":"x"}"#.to_owned(), "start_time"),
            (r#"{"title":"a","start_time":5,"end_time":4}"#.to_owned(), "end_time"),
            (with(json!({ "rel": "a" })), "links"),
            (with(json!([{ "rel": "a" }])), "links"),
            (with(json!([link("a", "x"), link("a", "y")])), "links"),
            (with(json!([link("a", "")])), "links"),
            (with(json!([link("a", &"x".repeat(2_049))])), "links"),
            (with(links(11)), "links"),
        ] {
            let fields: Fields<'_> = serde_json::from_str(&body).unwrap();
            let faults = fields.check("s", 1, 9).unwrap_err();
            assert_eq!(faults.count(), 1, "{body}");
            assert!(faults.body()["errors"]["params"][field].is_array(), "{body}");
        }
        let body = with(links(10));
        let fields: Fields<'_> = serde_json::from_str(&body).unwrap();
        assert_eq!(fields.check("s", 1, 9).unwrap().annotation.links().len(), 10);
    }
}
