//! What a test that fails says, for the tests beside it.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message of the panic of `act`.
pub(crate) fn panic_of<T>(act: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(act)).map(|_| "no panic").unwrap_err();
    panic.downcast::<String>().map_or_else(|_| "another panic".to_owned(), |text| *text)
}
