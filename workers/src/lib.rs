//! Workers: subscribe to levels at the broker, fold windows, deliver them to a backend.

mod backend;
mod program;

// The public interface is:
pub use backend::{Backend, BackendProgram, Payload, SendError};
pub use program::main;
