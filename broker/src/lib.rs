//! The broker: receives measurements and publishes them by level.
//!
//! ```text
//! publishers ──PUSH──▶ port      ┐           ┌ port + 1 ──▶ subscribers: batches, lines,
//! (batches, lines)               ├ zb-router ┤              wanted levels, acknowledgements
//! Python 0.2 ──PUB───▶ port + 3  │           └ http     ──▶ /healthz, /readyz, /metrics
//! anything   ──UDP, …▶ [`Intake`]┘
//! ```
//!
//! One thread receives and publishes all messages. Batches are published unchanged. Lines are
//! published to subscribers to lines, and aggregated into one batch per second for subscribers to
//! batches. `docs/protocol.md` in the repository draws every frame.

mod acks;
mod bind;
mod broker;
mod broker_clock;
mod command;
mod config;
mod counters;
mod curve;
mod expand;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod intake;
mod ipc;
mod journal;
mod keygen;
mod libzmq;
mod line_windows;
mod pages;
mod ports;
mod replay;
mod router;
mod self_metrics;
mod shared;
mod sockets;
mod start_error;
mod subscriptions;

// The public interface is:
pub use broker::{Broker, End, StopReport};
pub use command::Flags;
pub use config::Config;
pub use counters::{Counters, Dropped, IntakeCounters, PeerCounters};
pub use curve::{AllowedError, KeyCounters, Reloaded};
pub use intake::collectd::Collectd;
pub use intake::rules::RulesError;
pub use intake::statsd::Statsd;
pub use intake::{Intake, IntakeContext, IntakeError, OpenIntake, Unprotected};
pub use ipc::IpcError;
pub use journal::{Health, JournalConfig, JournalError};
pub use start_error::StartError;
