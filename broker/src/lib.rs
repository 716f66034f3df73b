//! The broker: receives measurements and publishes them by level.
//!
//! ```text
//! publishers ──PUSH──▶ port      ┐          ┌ port + 1 ──▶ subscribers: batches, lines,
//! (batches, lines)               ├ zb-router ┤              wanted levels, acknowledgements
//! Python 0.2 ──PUB───▶ port + 3  ┘          └ http     ──▶ /healthz, /readyz, /metrics
//! ```
//!
//! One thread owns all sockets. Batches are published unchanged. Lines are published to subscribers to
//! lines, and aggregated into one batch per second for subscribers to batches. `docs/protocol.md`
//! in the repository draws every frame.

mod acks;
mod bind;
mod broker;
mod broker_clock;
mod command;
mod config;
mod connections;
mod counters;
mod curve;
mod descriptors;
mod expand;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod ipc;
mod journal;
mod keygen;
mod line_windows;
mod memory;
mod pages;
mod ports;
mod replay;
mod router;
mod self_metrics;
mod shared;
mod start_error;
mod subscriptions;

// The public interface is:
pub use broker::{Broker, End, StopReport};
pub use command::Flags;
pub use config::Config;
pub use counters::{Counters, Dropped, IntakeCounters, PeerCounters};
pub use curve::{AllowedError, KeyCounters, Reloaded};
pub use ipc::IpcError;
pub use journal::{Health, JournalConfig, JournalError};
pub use start_error::StartError;
