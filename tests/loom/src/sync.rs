//! The items of `sync` in `zibrato/src/sdk/cells/mod.rs`, from the model checker.

pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU16, AtomicU32, AtomicU64, Ordering, fence,
};
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicBool as Flag, Ordering::Relaxed};

static TRIES: Flag = Flag::new(false);

/// Whether readers retry when a writer is in progress. Each retry multiplies the number of orders.
pub(crate) fn allow_attempts(allow: bool) {
    TRIES.store(allow, Relaxed);
}

/// The number of attempts: one or none.
pub(crate) fn attempts(_most: usize) -> usize {
    usize::from(TRIES.load(Relaxed))
}

/// Like `once_cell::race::OnceBox`, with its orderings.
#[derive(Debug)]
pub(crate) struct OnceBox<T> {
    pointer: AtomicPtr<T>,
    owns: PhantomData<Box<T>>,
}

impl<T> OnceBox<T> {
    pub(crate) fn new() -> Self {
        Self { pointer: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        let pointer = self.pointer.load(Ordering::Acquire);
        // SAFETY: the pointer is null, or comes from a box below, which is not freed while this is
        // borrowed.
        unsafe { pointer.as_ref() }
    }

    pub(crate) fn set(&self, value: Box<T>) -> Result<(), Box<T>> {
        let (null, new) = (ptr::null_mut(), Box::into_raw(value));
        match self.pointer.compare_exchange(null, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            // SAFETY: it is the box from above, which no other thread has seen.
            Err(_) => Err(unsafe { Box::from_raw(new) }),
        }
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> Box<T>) -> &T {
        if self.get().is_none() {
            drop(self.set(make()));
        }
        self.get().expect("another thread has set it")
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        let pointer = self.pointer.with_mut(|pointer| *pointer);
        if !pointer.is_null() {
            // SAFETY: the pointer comes from a box, and this is no longer borrowed.
            drop(unsafe { Box::from_raw(pointer) });
        }
    }
}
