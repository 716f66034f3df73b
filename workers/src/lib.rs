//! Workers: subscribe to levels at the broker, fold windows, deliver them to a backend.

mod backend;
mod http;
pub mod librato;
mod program;
mod secret;
pub mod slack;

// The public interface is:
pub use backend::{Backend, BackendProgram, Payload, SendError};
pub use program::main;
pub use secret::Secret;
