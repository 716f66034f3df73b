//! The memory that bodies of requests take, from when they arrive until they are handled.

use hyper::body::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Maximum size of all bodies that are in memory, in bytes.
const MAX_BODIES: usize = 64 << 20;

/// The memory of all bodies.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<AtomicUsize>);

impl Memory {
    /// What the bodies take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A body, which gives its memory back when it is dropped.
#[derive(Debug)]
pub(super) struct Pending {
    bytes: Bytes,
    _reserved: Reserved,
}

impl Pending {
    pub(super) const fn new(bytes: Bytes, reserved: Reserved) -> Self {
        Self { bytes, _reserved: reserved }
    }
}

impl AsRef<[u8]> for Pending {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A part of the memory.
#[derive(Debug)]
pub(super) struct Reserved {
    memory: Memory,
    bytes: usize,
}

/// The bodies would take too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfMemory;

impl Reserved {
    /// Nothing yet.
    pub(super) fn new(memory: &Memory) -> Self {
        Self { memory: memory.clone(), bytes: 0 }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds to what is reserved.
    pub(super) fn add(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        if self.memory.0.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_BODIES {
            self.memory.0.fetch_sub(bytes, Ordering::Relaxed);
            return Err(OutOfMemory);
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back all but this much.
    pub(super) fn keep(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.memory.0.fetch_sub(less, Ordering::Relaxed);
        self.bytes -= less;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.keep(0);
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BODIES, Memory, OutOfMemory, Reserved};

    #[test]
    fn memory_is_given_back() {
        let memory = Memory::default();
        let (mut one, mut two) = (Reserved::new(&memory), Reserved::new(&memory));
        one.add(MAX_BODIES - 1).unwrap();
        assert_eq!(two.add(2), Err(OutOfMemory));
        two.add(1).unwrap();
        one.keep(10);
        two.add(MAX_BODIES - 11).unwrap();
        drop(two);
        assert_eq!((one.bytes(), memory.bytes()), (10, 10));
        one.add(MAX_BODIES - 10).unwrap();
    }
}
