//! The replay port: hands out what the journal holds, to each reader at its own pace.
//!
//! ```text
//! readers ──request──▶ port + 2 ─ zb-replay ─ handler ──reads──▶ segments
//!         ◀──answer───                         └──keeps──▶ cursors
//! ```
//!
//! The thread reads the journal's files by itself: a reader that is far behind costs the router
//! nothing.

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
