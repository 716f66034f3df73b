//! The messages between publishers, broker and workers: lines, batches and control messages.
//!
//! Everything here is pure: it converts bytes to values and back. `docs/protocol.md` in the
//! repository draws each frame byte by byte.
//!
//! ```text
//! line      level|mtype|name|value|timestamp|source                    one frame, UTF-8
//!
//! batch     zb1|<level>|                                               frame 0, topic
//!           publisher id (16 bytes), sequence (u64 BE)                 frame 1, id
//!           journal offset (u64 BE), unix ms received (u64 BE)         frame 2, stamp: broker adds
//!           MessagePack map: source, interval, entries                 last frame, body
//!
//! control   zb!levels            MessagePack array of levels
//!           zb!ack|<id in hex>   MessagePack map: level to highest sequence taken
//!
//! replay    zb!fetch, zb!batches … MessagePack map; see `ReplayRequest`, with feature `daemon`
//! ```

mod address;
mod batch;
mod control;
mod frame;
mod line;
mod msgpack;
#[cfg(feature = "daemon")]
mod replay;

pub use address::Endpoint;
pub use batch::{
    BatchError, BatchReader, BatchWriter, EncodedSummary, Entries, Entry, EntryError, MAX_TAGS,
    Members, Numbers, Readings, Tags, Value,
};
pub use control::{ACK_PREFIX, Ack, ControlError, LEVELS_TOPIC, WantedLevels, ack_topic};
pub use frame::{
    BATCH_PREFIX, BatchId, FrameError, Message, PublisherId, Stamp, batch_topic, line_topic,
    message, topic_level,
};
pub use line::{Line, LineError, LineValue, lines};
#[cfg(feature = "daemon")]
pub use replay::{
    Commit, CursorState, Done, Fetch, Fetched, MAX_CURSOR_LEVELS, MAX_CURSORS, MAX_REQUEST_BYTES,
    Named, Position, Reader, Refusal, Refused, ReplayAnswer, ReplayError, ReplayRequest, Reset,
    ResetTo,
};

/// Maximum size of a frame: 4 MiB. Publishers send no larger ones, and brokers and workers accept
/// none.
pub const MAX_FRAME_BYTES: usize = 4 << 20;

/// The size at which a publisher ends a batch and begins the next one: 256 KiB.
pub const BATCH_TARGET_BYTES: usize = 256 << 10;
