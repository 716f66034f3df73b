//! What the body of a rejection says.
//!
//! Pure.

use serde_json::{Map, Value};

/// The body of an answer that rejects a request.
///
/// The API describes errors in several forms. [`message`](Self::message) is the text that
/// python-librato makes of them, and [`errors`](Self::errors) has each with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPayload {
    body: String,
    message: String,
    errors: Vec<FieldError>,
}

/// One error of a rejection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldError {
    /// Where it is, such as `["params", "name"]`; empty if the server does not say.
    pub path: Vec<String>,
    /// What is wrong, such as `is too far in the past`.
    pub text: String,
}

impl ErrorPayload {
    /// Reads a body, without the secrets that `redact` removes.
    pub(super) fn read(body: &[u8], redact: impl Fn(&str) -> String) -> Self {
        let body = redact(&String::from_utf8_lossy(body));
        let value: Option<Value> = serde_json::from_str(&body).ok();
        let mut errors = Vec::new();
        let message = match &value {
            Some(value) => message(value, &mut errors),
            None if body.trim().is_empty() => "the answer is empty".to_owned(),
            None => body.trim().to_owned(),
        };
        if errors.is_empty() {
            errors.push(FieldError { path: Vec::new(), text: message.clone() });
        }
        Self { body, message, errors }
    }

    /// The whole text, as in `[400] params: name: is invalid`, without the code.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Each error with its place; at least one.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// The body as it was received. Credentials that it repeats are `***`.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }
}

fn message(value: &Value, errors: &mut Vec<FieldError>) -> String {
    let Value::Object(fields) = value else { return text(value) };
    if let Some(error) = fields.get("error").or_else(|| fields.get("message")) {
        return text(error);
    }
    match fields.get("errors") {
        Some(Value::Object(sections)) => {
            let mut path = Vec::new();
            sections.iter().for_each(|(name, section)| {
                path.push(name.clone());
                leaves(section, &mut path, errors);
                path.pop();
            });
            sections
                .iter()
                .flat_map(|(name, section)| entries(name, section))
                .collect::<Vec<_>>()
                .join(", ")
        }
        Some(list) => {
            leaves(list, &mut Vec::new(), errors);
            flat(list)
        }
        None => value.to_string(),
    }
}

/// The texts of a section of `errors`.
fn entries(name: &str, section: &Value) -> Vec<String> {
    match section {
        Value::Array(items) => items.iter().map(|item| format!("{name}: {}", flat(item))).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(field, value)| format!("{name}: {field}: {}", flat(value)))
            .collect(),
        other => vec![format!("{name}: {}", text(other))],
    }
}

fn flat(value: &Value) -> String {
    let joined = |texts: Vec<String>| texts.join(", ");
    match value {
        Value::Array(items) => joined(items.iter().map(flat).collect()),
        Value::Object(fields) => joined(described(fields)),
        other => text(other),
    }
}

fn described(fields: &Map<String, Value>) -> Vec<String> {
    fields.iter().map(|(name, value)| format!("{name}: {}", flat(value))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// All texts with their places.
fn leaves(value: &Value, path: &mut Vec<String>, errors: &mut Vec<FieldError>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| leaves(item, path, errors)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            path.push(name.clone());
            leaves(value, path, errors);
            path.pop();
        }),
        other => errors.push(FieldError { path: path.clone(), text: text(other) }),
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorPayload;

    fn read(body: &str) -> ErrorPayload {
        ErrorPayload::read(body.as_bytes(), |text| text.replace("tok123", "***"))
    }

    #[test]
    fn each_form_of_an_error_has_a_text() {
        for (body, expected) in [
            (r#""out of order""#, "out of order"),
            ("out of order", "out of order"),
            (r#"{"errors":["a","b"],"error":"c"}"#, "c"),
            (r#"{"message":"m"}"#, "m"),
            (r#"{"errors":["a","b"]}"#, "a, b"),
            (r#"{"errors":"a"}"#, "a"),
            (r#"{"errors":{"request":["bad"]}}"#, "request: bad"),
            (r#"{"errors":{"request":"scalar"}}"#, "request: scalar"),
            (r#"{"errors":{"request":["x","y"]}}"#, "request: x, request: y"),
            (r#"{"errors":{"params":{"name":["x","y"]}}}"#, "params: name: x, y"),
            (
                r#"{"errors":{"params":{"conditions":{"duration":["must be set"],"x":["y"]}}}}"#,
                "params: conditions: duration: must be set, x: y",
            ),
            (r#"{"code":7}"#, r#"{"code":7}"#),
            ("[1]", "[1]"),
            (" ", "the answer is empty"),
            ("", "the answer is empty"),
        ] {
            assert_eq!(read(body).message(), expected, "{body}");
        }
    }

    #[test]
    fn errors_have_places_and_secrets_are_removed() {
        let payload = read(r#"{"errors":{"params":{"name":["is invalid","tok123"]},"b":["c"]}}"#);
        let errors: Vec<_> =
            payload.errors().iter().map(|e| (e.path.join("."), e.text.clone())).collect();
        let expected = [("b", "c"), ("params.name", "is invalid"), ("params.name", "***")];
        let mut found: Vec<_> = errors.iter().map(|(path, text)| (&**path, &**text)).collect();
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert!(!payload.body().contains("tok123"));
        assert_eq!(read("x").errors().len(), 1);
        // As deep as the parser goes.
        read(&format!("{{\"errors\":{}1{}}}", "[".repeat(100), "]".repeat(100)));
        read(&"[".repeat(100_000));
    }
}
