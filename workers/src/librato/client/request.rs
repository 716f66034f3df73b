//! A request: method, path, query and body.
//!
//! Pure.

use super::error::Error;
use crate::http::form::{escape, form_encode};
use crate::http::retry::Repeat;
use serde::Serialize;

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Delete,
    Get,
    Post,
    Put,
}

/// A request to the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) verb: Verb,
    /// The path below the base URL, with escapes.
    pub(super) path: String,
    /// Escaped too, without `?`.
    pub(super) query: String,
    /// JSON; none is sent for an empty object.
    pub(super) body: Option<Vec<u8>>,
    pub(super) repeat: Repeat,
}

impl Request {
    fn new(verb: Verb, segments: &[&str], repeat: Repeat) -> Result<Self, Error> {
        let path = path(segments)?;
        Ok(Self { verb, path, query: String::new(), body: None, repeat })
    }

    pub(super) fn get(segments: &[&str]) -> Result<Self, Error> {
        Self::new(Verb::Get, segments, Repeat::Safe)
    }

    pub(super) fn delete(segments: &[&str]) -> Result<Self, Error> {
        Self::new(Verb::Delete, segments, Repeat::Safe)
    }

    pub(super) fn put(segments: &[&str]) -> Result<Self, Error> {
        Self::new(Verb::Put, segments, Repeat::Safe)
    }

    /// A request that creates something.
    pub(super) fn create(segments: &[&str]) -> Result<Self, Error> {
        Self::new(Verb::Post, segments, Repeat::Never)
    }

    /// A request with measurements.
    pub(super) fn measurements(path: &str, body: Vec<u8>) -> Self {
        let (path, query) = (path.to_owned(), String::new());
        Self { verb: Verb::Post, path, query, body: Some(body), repeat: Repeat::Safe }
    }

    /// A request for what a link of the server leads to, which has its escapes already.
    pub(super) fn linked(path: &str, query: &str) -> Self {
        let (path, query) = (path.to_owned(), query.to_owned());
        Self { verb: Verb::Get, path, query, body: None, repeat: Repeat::Safe }
    }

    /// Adds fields to the query, as forms encode them.
    pub(super) fn with_query<'a>(
        mut self,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        for (name, value) in fields {
            if !self.query.is_empty() {
                self.query.push('&');
            }
            form_encode(name, &mut self.query);
            self.query.push('=');
            form_encode(value, &mut self.query);
        }
        self
    }

    pub(super) fn with_body(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(body).map_err(|why| Error::Unwritable(why.into()))?;
        self.body = (bytes != b"{}").then_some(bytes);
        Ok(self)
    }
}

/// A path of segments, each escaped.
fn path(segments: &[&str]) -> Result<String, Error> {
    let mut path = String::new();
    for segment in segments {
        // Servers and proxies resolve the dots, and without a name all metrics would be meant.
        if matches!(*segment, "" | "." | "..") {
            return Err(Error::InvalidAddress((*segment).to_owned()));
        }
        if !path.is_empty() {
            path.push('/');
        }
        escape(
            segment,
            |byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte),
            &mut path,
        );
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::{Error, Request, path};

    #[test]
    fn segments_of_a_path_are_escaped() {
        for (segment, expected) in [
            ("a b", "a%20b"),
            ("a/b?c=1#d", "a%2Fb%3Fc=1%23d"),
            ("cpu*.90", "cpu*.90"),
            ("a:b-c_d", "a:b-c_d"),
            ("café\n%", "caf%C3%A9%0A%25"),
            ("...", "..."),
        ] {
            assert_eq!(path(&["metrics", segment]).unwrap(), format!("metrics/{expected}"));
        }
        for segment in ["", ".", ".."] {
            let error = path(&["metrics", segment]).unwrap_err();
            assert!(matches!(error, Error::InvalidAddress(_)), "{error}");
        }
    }

    #[test]
    fn queries_are_encoded_as_forms() {
        let request = Request::get(&["metrics"]).unwrap();
        let request = request.with_query([("name", "req  est*"), ("tags[a]", "~é&=")]);
        assert_eq!(request.query, "name=req++est%2A&tags%5Ba%5D=~%C3%A9%26%3D");
    }

    #[test]
    fn an_empty_object_is_no_body() {
        let body = |json: &str| {
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            Request::put(&["x"]).unwrap().with_body(&value).unwrap().body
        };
        assert_eq!(body("{}"), None);
        assert_eq!(body("{\"a\":1}").unwrap(), b"{\"a\":1}");
    }
}
