//! The replay port: hands out what the journal holds, to each reader at its own pace.
//!
//! ```text
//! readers ──request──▶ port + 2 ─ zb-replay ─ desk ──reads──▶ segments
//!         ◀──answer───                         └──keeps──▶ cursors
//! ```
//!
//! The thread reads the journal's files by itself: a reader that is far behind costs the router
//! nothing.

mod desk;
mod fetch;
mod gone;
mod owners;
mod refusal;
mod request;
mod saving;
mod thread;
mod unsent;

pub(crate) use desk::{Desk, Now, ReplayHealth};
pub(crate) use thread::ReplayThread;
