//! Workers: subscribe to levels at the broker, fold windows, deliver them to a backend.

mod backend;

// The public interface is:
pub use backend::{Backend, Payload, SendError};
