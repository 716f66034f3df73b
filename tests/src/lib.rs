//! Harness and fakes for tests.

pub mod fake;
