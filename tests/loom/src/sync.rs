//! The items of `sync` in `zibrato/src/sdk/cells/mod.rs`, from the model checker.

pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU16, AtomicU32, AtomicU64, Ordering, fence,
};
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicBool as Flag, Ordering::Relaxed};

static TRIES: Flag = Flag::new(false);

/// Whether readers that look again if a writer is in their way look at all. Each look multiplies
/// the orders that there are.
pub(crate) fn allow_attempts(allow: bool) {
    TRIES.store(allow, Relaxed);
}

/// One, or none.
pub(crate) fn attempts(_most: usize) -> usize {
    usize::from(TRIES.load(Relaxed))
}

/// As `once_cell::race::OnceBox`, with its orderings.
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
        // SAFETY: it is null, or came from a box below that nobody takes back while this is
        // borrowed.
        unsafe { pointer.as_ref() }
    }

    pub(crate) fn set(&self, value: Box<T>) -> Result<(), Box<T>> {
        let (null, new) = (ptr::null_mut(), Box::into_raw(value));
        match self.pointer.compare_exchange(null, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            // SAFETY: it is the box from above, which nobody else got to see.
            Err(_) => Err(unsafe { Box::from_raw(new) }),
        }
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> Box<T>) -> &T {
        if self.get().is_none() {
            drop(self.set(make()));
        }
        self.get().expect("somebody has set it")
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        let pointer = self.pointer.with_mut(|pointer| *pointer);
        if !pointer.is_null() {
            // SAFETY: it came from a box, and nobody borrows this any more.
            drop(unsafe { Box::from_raw(pointer) });
        }
    }
}
