//! Answers to clients.
//!
//! Pure.

use serde_json::{Value, json};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// JSON, or empty.
    pub(super) body: String,
    /// What is wrong, for the log; empty if nothing is, or if the body says it.
    pub(super) why: String,
    /// The methods that the path has, if the request had another one.
    pub(super) allow: Option<&'static str>,
    /// After how many seconds a client may try again.
    pub(super) retry_after: Option<u16>,
}

impl Answer {
    /// An answer without a body.
    pub(super) const fn empty(status: u16) -> Self {
        Self { status, body: String::new(), why: String::new(), allow: None, retry_after: None }
    }

    /// An answer with a body.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self { body: body.to_string(), ..Self::empty(status) }
    }

    /// An error of the request as a whole, in the form of Librato's API.
    pub(super) fn error(status: u16, why: &str) -> Self {
        let body = json!({ "errors": { "request": [why] } });
        Self { why: why.to_owned(), ..Self::json(status, &body) }
    }

    /// An error of a parameter.
    pub(super) fn wrong_parameter(name: &str, why: &str) -> Self {
        let body = json!({ "errors": { "params": { name: [why] } } });
        Self { why: format!("{name}: {why}"), ..Self::json(400, &body) }
    }

    /// The request may succeed later.
    pub(super) fn later(why: &str) -> Self {
        Self { retry_after: Some(1), ..Self::error(503, why) }
    }
}
