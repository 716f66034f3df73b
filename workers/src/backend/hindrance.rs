//! What a worker finds out about its destination while it starts.

/// See [`BackendProgram::greeting`](crate::BackendProgram::greeting).
pub type Greeting = Box<dyn FnOnce() -> Result<(), Hindrance> + Send>;

/// Why nothing can be delivered, found out at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hindrance {
    /// A constant word for the log, such as `backend_unreachable`.
    pub event: &'static str,
    /// A sentence that says how to mend it.
    pub why: String,
}

impl Hindrance {
    /// A hindrance.
    #[must_use]
    pub fn new(event: &'static str, why: impl Into<String>) -> Self {
        Self { event, why: why.into() }
    }
}
