//! From the method and the path of a request to what it asks for.
//!
//! Pure.

use crate::intake::librato::answer::Answer;
use crate::intake::librato::api::Call;
use hyper::header::{CONTENT_TYPE, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

/// Maximum size of a name in a path, in bytes.
const MAX_NAME: usize = 1_000;

/// The parts of the API that are known, and not served.
const NOT_SERVED: [&str; 9] = [
    "alerts",
    "annotations",
    "api_tokens",
    "charts",
    "jobs",
    "measurements",
    "metrics",
    "services",
    "spaces",
];

/// A request that is not served, and the reason for the counter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unserved(pub(super) Answer, pub(super) &'static str);

/// What a request asks for.
pub(super) fn route(head: &Parts) -> Result<Call, Unserved> {
    let path = head.uri.path();
    let query = head.uri.query().unwrap_or_default();
    let rest = path.strip_prefix("/v1/").map(|rest| rest.trim_end_matches('/'));
    let Some(rest) = rest else { return Err(unknown()) };
    // Many clients name the format, as the first version of the API asked for.
    let rest = rest.strip_suffix(".json").unwrap_or(rest);
    let (first, name) = match rest.split_once('/') {
        Some((first, name)) => (first, Some(name)),
        None => (rest, None),
    };
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    let is_post = head.method == Method::POST;
    match (first, name) {
        ("metrics", None) if is_post => Ok(Call::Metrics),
        ("metrics", None) if is_read && !has_field(query, "compose") => {
            Ok(Call::List { query: query.to_owned() })
        }
        ("metrics", Some(name)) if is_read && !name.contains('/') => {
            Ok(Call::Show { name: decoded(name)? })
        }
        ("measurements", None) if is_post => Ok(Call::Measurements),
        ("annotations", Some(name)) if is_post && !name.contains('/') => {
            Ok(Call::Annotate { stream: decoded(name)? })
        }
        ("metrics" | "measurements" | "annotations", None) if is_known(&head.method) => {
            Err(not_served(head, first))
        }
        ("metrics" | "measurements" | "annotations", None) => {
            let answer = Answer::error(405, "Method Not Allowed");
            Err(Unserved(Answer { allow: Some("GET, HEAD, POST"), ..answer }, "method"))
        }
        (first, _) if NOT_SERVED.contains(&first) => Err(not_served(head, first)),
        _ => Err(unknown()),
    }
}

fn is_known(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::DELETE)
}

fn not_served(head: &Parts, first: &str) -> Unserved {
    let why = format!(
        "{} of {first} is not served: zibrato-broker receives measurements and annotations (POST \
         /v1/metrics, /v1/measurements, /v1/annotations/STREAM) and lists what it has received (GET \
         /v1/metrics)",
        head.method
    );
    Unserved(Answer::error(501, &why), "not_served")
}

fn unknown() -> Unserved {
    let why = "Not Found: the API is below /v1/, such as POST /v1/metrics";
    Unserved(Answer::error(404, why), "path")
}

fn has_field(query: &str, field: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == field)
}

/// A name in a path, which may be percent-encoded.
fn decoded(name: &str) -> Result<String, Unserved> {
    match percent_decode_str(name).decode_utf8() {
        Ok(name) if name.len() <= MAX_NAME => Ok(name.into_owned()),
        Ok(_) | Err(_) => {
            let why = "the name in the path is too long, or not UTF-8";
            Err(Unserved(Answer::error(400, why), "path"))
        }
    }
}

/// Refuses requests of web pages. A page of any site can send forms to an address that its reader
/// can reach, such as one on loopback; it cannot omit these headers.
pub(super) fn no_web_page(headers: &HeaderMap) -> Result<(), Unserved> {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if headers.contains_key(ORIGIN) || site.is_some_and(|site| site != b"none") {
        let why = "requests of web pages are refused; send measurements from a program";
        return Err(Unserved(Answer::error(403, why), "web_page"));
    }
    Ok(())
}

/// Whether the body is a form. Otherwise it is JSON, also if the client does not say it.
pub(super) fn is_form(call: &Call, headers: &HeaderMap) -> Result<bool, Unserved> {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Ok(false) };
    let kind = kind.to_str().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match &*kind {
        "application/json" | "text/json" => Ok(false),
        "application/x-www-form-urlencoded" if *call != Call::Measurements => Ok(true),
        _ => {
            let form = if *call == Call::Measurements { "" } else { " or a form" };
            let why = format!("the Content-Type is {kind:?}; send application/json{form}");
            Err(Unserved(Answer::error(415, &why), "content_type"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_form, no_web_page, route};
    use crate::intake::librato::api::Call;
    use hyper::http::request::Parts;
    use hyper::{HeaderMap, Request};

    fn head(method: &str, uri: &str) -> Parts {
        Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_served_part_of_the_api_is_known() {
        let show = |name: &str| Call::Show { name: name.to_owned() };
        let list = |query: &str| Call::List { query: query.to_owned() };
        let stream = |stream: &str| Call::Annotate { stream: stream.to_owned() };
        for (method, uri, call) in [
            ("POST", "/v1/metrics", Call::Metrics),
            ("POST", "/v1/metrics/", Call::Metrics),
            ("POST", "/v1/metrics.json", Call::Metrics),
            ("POST", "/v1/annotations/deploys.json", stream("deploys")),
            ("GET", "/v1/metrics/cpu.json", show("cpu")),
            ("POST", "/v1/measurements", Call::Measurements),
            ("POST", "http://host:1/v1/metrics?x=1", Call::Metrics),
            ("GET", "/v1/metrics", list("")),
            ("HEAD", "/v1/metrics?offset=5", list("offset=5")),
            ("GET", "/v1/metrics?name=compose", list("name=compose")),
            ("GET", "/v1/metrics/cpu.load", show("cpu.load")),
            ("GET", "/v1/metrics/a%20b%2Fc?count=1", show("a b/c")),
            ("POST", "/v1/annotations/blog-posts", stream("blog-posts")),
            ("POST", "/v1/annotations/..%2F..%2Fetc", stream("../../etc")),
        ] {
            assert_eq!(route(&head(method, uri)), Ok(call), "{method} {uri}");
        }
    }

    #[test]
    fn everything_else_is_answered_with_a_sentence() {
        for (method, uri, status, reason) in [
            ("GET", "/", 404, "path"),
            ("POST", "/metrics", 404, "path"),
            ("GET", "/v1/", 404, "path"),
            ("GET", "/v1/../../etc/passwd", 404, "path"),
            ("GET", "/v1/metrics/a%ff", 400, "path"),
            ("PUT", "/v1/metrics/a", 501, "not_served"),
            ("DELETE", "/v1/metrics", 501, "not_served"),
            ("GET", "/v1/metrics?compose=s(a)", 501, "not_served"),
            ("GET", "/v1/metrics?start_time=1&resolution=1&compose=s(a)", 501, "not_served"),
            ("GET", "/v1/metrics?start_time=1&%63ompose=s(a)", 501, "not_served"),
            ("GET", "/v1/measurements/a", 501, "not_served"),
            ("GET", "/v1/annotations", 501, "not_served"),
            ("POST", "/v1/annotations/a/5/links", 501, "not_served"),
            ("POST", "/v1/alerts", 501, "not_served"),
            ("GET", "/v1/spaces/5/charts", 501, "not_served"),
            ("BREW", "/v1/metrics", 405, "method"),
        ] {
            let unserved = route(&head(method, uri)).unwrap_err();
            assert_eq!((unserved.0.status, unserved.1), (status, reason), "{method} {uri}");
            assert!(unserved.0.body.starts_with("{\"errors\":"), "{method} {uri}");
        }
    }

    #[test]
    fn requests_of_web_pages_are_refused() {
        for (header, value, refused) in [
            ("origin", "http://example.com", true),
            ("origin", "null", true),
            ("sec-fetch-site", "cross-site", true),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", false),
            ("accept", "*/*", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header, value.parse().unwrap());
            let found = no_web_page(&headers).map_err(|unserved| unserved.0.status);
            assert_eq!(found.err(), refused.then_some(403), "{header}: {value}");
        }
    }

    #[test]
    fn a_body_is_json_or_a_form() {
        for (call, kind, expected) in [
            (Call::Metrics, None, Some(false)),
            (Call::Metrics, Some("application/json"), Some(false)),
            (Call::Metrics, Some("Application/JSON; charset=utf-8"), Some(false)),
            (Call::Metrics, Some("application/x-www-form-urlencoded"), Some(true)),
            (Call::Measurements, Some("application/x-www-form-urlencoded"), None),
            (Call::Metrics, Some("text/html"), None),
            (Call::Metrics, Some("multipart/form-data; boundary=x"), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(kind) = kind {
                headers.insert("content-type", kind.parse().unwrap());
            }
            let found = is_form(&call, &headers);
            assert_eq!(found.as_ref().ok(), expected.as_ref(), "{kind:?}");
            assert!(found.is_ok() || found.is_err_and(|unserved| unserved.0.status == 415));
        }
    }
}
