//! Workers subscribe to levels of a broker, aggregate measurements into windows, and deliver them
//! to a backend.
//!
//! ```text
//! broker ──▶ zb-feed ────────────▶ queue ─────────▶ zb-deliver ────────────────▶ backend
//!            take each batch once  bounded, counts  payloads, send, retry
//!            fold by window        dropped windows  count every outcome
//! ```
//!
//! | to deliver | use |
//! |---|---|
//! | to Carbon, Librato or Slack | the programs `zibrato-carbon`, `zibrato-librato`, `zibrato-slack` |
//! | the same from your own program | [`Worker`] with the type of a backend: `carbon::Carbon`, `librato::Librato`, `slack::Slack` |
//! | to another backend | [`Worker`] with your own [`Backend`] |
//! | to another backend, as a program with the same flags | [`BackendProgram`] and [`main`] |
//! | batches that do not come from a broker | [`WorkerBuilder::start_on`] with your own [`Feed`] |
//!
//! Each backend is a feature of this crate: `carbon`, `librato`, `slack`, and `tail` for
//! `zibrato-tail`. All of them are on by default. With `default-features = false, features =
//! ["carbon"]`, no HTTP client is built.
//!
//! # Writing a worker
//!
//! This is a whole program that appends every counter to a file. It has the flags, variables, log
//! lines and exit codes of `zibrato-carbon`, and delivers as safely.
//!
//! ```no_run
//! use std::fs::{File, OpenOptions};
//! use std::io::Write;
//! use std::path::PathBuf;
//! use zibrato::daemon::{Exit, Failure};
//! use zibrato::window::{Fold, Window};
//! use zibrato_workers::{Backend, BackendProgram, Payload, SendError};
//!
//! struct Append(File);
//!
//! #[derive(Debug, Clone, clap::Args)]
//! struct Flags {
//!     /// Append to this file
//!     #[arg(long, value_name = "FILE")]
//!     file: PathBuf,
//! }
//!
//! impl Backend for Append {
//!     fn payloads(&mut self, window: Window) -> Vec<Payload> {
//!         let (stamp, mut text, mut lines) = (window.stamp(), String::new(), 0);
//!         for series in window.into_series() {
//!             if let Fold::Counter(sum) = series.value {
//!                 text += &format!("{stamp} {} {} {sum}\n", series.source, series.name);
//!                 lines += 1;
//!             }
//!         }
//!         vec![Payload::new(text.into_bytes(), lines)]
//!     }
//!
//!     fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
//!         let written = self.0.write_all(&payload.body);
//!         written.map_err(|error| SendError::Retry { after: None, why: error.into() })
//!     }
//! }
//!
//! impl BackendProgram for Append {
//!     type Flags = Flags;
//!     const PROGRAM: &'static str = "zibrato-append";
//!     const ABOUT: &'static str = "Appends counters to a file, a window at a time";
//!     const EXAMPLES: &'static str = "Example:\n  zibrato-append --file counts --flush 10";
//!
//!     fn open(Flags { file }: Flags) -> Result<Self, Failure> {
//!         let opened = OpenOptions::new().append(true).create(true).open(&file);
//!         opened.map(Self).map_err(|error| {
//!             Failure::new(Exit::Io, format!("--file {}: {error}", file.display()))
//!         })
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     zibrato_workers::main::<Append>()
//! }
//! ```

mod backend;
mod backoff;
#[cfg(feature = "carbon")]
pub mod carbon;
mod counters;
mod curve;
mod dead_letters;
mod deliver;
mod feed;
mod fold;
mod hash;
#[cfg(feature = "http")]
mod http;
mod idle_gauges;
mod levels;
#[cfg(feature = "librato")]
pub mod librato;
#[cfg(any(feature = "carbon", feature = "librato"))]
mod naming;
#[cfg(any(feature = "carbon", feature = "librato"))]
mod once;
mod program;
mod progress;
mod queue;
pub mod rows;
mod secret;
#[cfg(feature = "slack")]
pub mod slack;
mod status;
#[cfg(feature = "tail")]
pub mod tail;
mod thread;
#[cfg(feature = "tls")]
mod tls;
mod worker;

// The public interface is:
pub use backend::{
    Answered, Backend, BackendProgram, Greeting, Hindrance, Opened, Payload, Reached, Refusal,
    RefusedPart, SendError, Sending, Target,
};
pub use counters::Counters;
pub use feed::{End, Event, Feed, FeedKind, Guarantee, Health, Wait};
pub use idle_gauges::{IdleGauges, IdleGaugesError};
pub use levels::{Levels, LevelsError};
pub use program::main;
pub use progress::{Checkpoint, Offsets};
pub use secret::{GivenSecret, Secret};
pub use worker::{StartError, StopReport, Worker, WorkerBuilder};
