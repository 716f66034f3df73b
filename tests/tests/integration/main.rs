//! Tests.
mod fakes;
