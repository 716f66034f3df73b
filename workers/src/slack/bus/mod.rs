//! A channel of Slack as a bus for metrics: senders post lines, a relay delivers them to Carbon.
//!
//! A message holds lines `NAME VALUE TIMESTAMP`, as Carbon reads them. `zibrato-slack send` and
//! `zibrato-slack relay` use such a channel, and so can other programs with the functions here, which
//! read and pack messages.
//!
//! ```
//! use zibrato_workers::slack::bus::{MAX_MESSAGE_CHARS, Packed, Ts, pack, read};
//! let lines = ["a&b 1 1700000000", "c;dc=fra 2.5 1700000000"];
//! let Packed { messages, too_long, .. } = pack(lines, MAX_MESSAGE_CHARS);
//! assert_eq!(messages, ["a&amp;b 1 1700000000\nc;dc=fra 2.5 1700000000"]);
//! assert!(too_long.is_empty());
//! let ts: Ts = "1700000001.000100".parse()?;
//! let contents = read(&messages[0], &ts);
//! assert_eq!(contents.points[0].line(), "a&b 1 1700000000");
//! assert!(contents.is_all_metrics());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backlog;
mod batch;
mod commands;
mod config;
mod deletions;
mod failing;
mod flags;
mod grammar;
mod lines;
mod markup;
mod packing;
mod pipe;
mod program;
mod reader;
mod readings;
mod relay;
mod sender;
mod start;
mod state;
mod to_broker;
mod ts;
mod windows;

pub use super::format::escape;
pub use grammar::{Contents, Point, RejectedLine, Wrong, read, read_line};
pub use markup::decode;
pub use packing::{MAX_MESSAGE_CHARS, Packed, pack};
pub(crate) use program::subcommands;
pub use program::{arguments, main};
pub use ts::{Ts, TsError};
pub use windows::BusModeFlags;
pub(super) use windows::{BusWindows, body};
