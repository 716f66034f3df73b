//! Harness and fakes for tests.
