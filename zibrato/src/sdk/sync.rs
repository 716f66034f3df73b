//! What threads share memory with, by one name each, so that a model checker can take its place.

pub(crate) use once_cell::race::OnceBox;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
