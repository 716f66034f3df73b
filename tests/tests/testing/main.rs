//! Tests of programs that measure, as `docs/testing.md` shows them, and captures in forked children.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

mod forked;
mod guide;
mod pool;
mod service;
mod spawned;
mod thread;
