//! The replay port: serves the journal to each reader at its own pace.
//!
//! ```text
//! readers ──request──▶ port + 2 ─ zb-replay ─ handler ──reads──▶ segments
//!         ◀──answer───                         └──keeps──▶ cursors
//! ```
//!
//! The thread reads the journal's files itself, so a reader that is far behind does not slow the router
//! down.

mod fetch;
mod gone;
mod handler;
mod owners;
mod refusal;
mod request;
mod saving;
mod thread;

pub(crate) use handler::{FetchHandler, Now, ReplayHealth};
pub(crate) use thread::ReplayThread;
