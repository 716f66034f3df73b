//! Workers: subscribe to levels at the broker, fold windows, deliver them to a backend.

mod backend;
mod backoff;
pub mod carbon;
mod counters;
mod deliver;
mod feed;
mod fold;
mod http;
mod levels;
pub mod librato;
mod program;
mod queue;
mod secret;
pub mod slack;
pub mod tail;
mod thread;
mod worker;

// The public interface is:
pub use backend::{Backend, BackendProgram, Payload, SendError};
pub use counters::Counters;
pub use levels::{Levels, LevelsError};
pub use program::main;
pub use secret::Secret;
pub use worker::{StartError, StopReport, Worker, WorkerBuilder};
