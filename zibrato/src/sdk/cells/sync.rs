//! What threads share memory with, by one name each, so that a model checker can take its place.

pub(crate) use once_cell::race::OnceBox;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

/// How often something is tried that another thread may be in the way of.
#[inline]
pub(crate) const fn attempts(most: usize) -> usize {
    most
}
