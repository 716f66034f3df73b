//! Tests.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

mod fakes;
