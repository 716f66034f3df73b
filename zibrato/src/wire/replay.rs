//! The messages on the replay port: requests to read the journal, and the answers.
//!
//! ```text
//! request   zb!fetch | zb!commit | zb!release | zb!cursors | zb!reset | zb!delete      frame 0
//!           MessagePack map                                                            frame 1
//!
//! answer    zb!batches | zb!committed | zb!released | zb!list | zb!done | zb!refused   frame 0
//!           MessagePack map                                                            frame 1
//!           and after zb!batches: topic, id, stamp and body of each batch              frames 2 …
//! ```

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Maximum number of cursors that a broker keeps.
pub const MAX_CURSORS: usize = 1_000;

/// Maximum number of levels of one cursor.
pub const MAX_CURSOR_LEVELS: usize = 1_000;

/// Maximum size of a request: a fetch with the maximum number of levels of maximum length.
pub const MAX_REQUEST_BYTES: usize = 128 << 10;

/// A reader: the name of its cursor, and the process that reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Reader {
    /// The name of the cursor, such as `zibrato-carbon`.
    pub name: String,
    /// A unique text that the process chooses at start. Only one process at a time owns a name.
    pub session: String,
}

/// Requests the batches after a position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Fetch {
    /// The reader.
    #[serde(flatten)]
    pub reader: Reader,
    /// A description of this process for another one that wants the same name, such as `web-1,
    /// process 42`.
    #[serde(default)]
    pub about: String,
    /// The levels to send, `*` for every level. The cursor keeps them wanted while the reader is
    /// away.
    pub levels: Vec<String>,
    /// The position to begin after; `None` means that of the cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Position>,
    /// Maximum time to wait for batches if there are none, in milliseconds.
    #[serde(default)]
    pub wait_ms: u64,
    /// Approximate maximum size of the batches in the answer, in bytes. At least one batch is
    /// always sent.
    #[serde(default)]
    pub max_bytes: u64,
}

/// A position in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Position {
    /// The number of the journal. A new journal has another number.
    pub journal: u64,
    /// The offset of the last batch before this position; 0 is the beginning.
    pub offset: u64,
}

/// A new position for a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "fixed by the wire")]
pub enum ResetTo {
    /// The end: only batches that arrive from now on are read.
    End,
    /// After the batch with this offset; 0 is the beginning of the journal.
    Offset(u64),
    /// Before the first batch that was received at this time or later, in Unix milliseconds.
    Time(u64),
}

/// A request on the replay port.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "fixed by the wire")]
pub enum ReplayRequest {
    /// Send batches.
    Fetch(Fetch),
    /// Everything up to the position has been delivered.
    Commit(Commit),
    /// The reader ends; another process may use the name.
    Release(Reader),
    /// List the cursors.
    Cursors,
    /// Move a cursor.
    Reset(Reset),
    /// Delete a cursor.
    Delete(Named),
}

/// Reports that everything up to a position has been delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Commit {
    /// The reader that delivered it.
    #[serde(flatten)]
    pub reader: Reader,
    /// The position.
    #[serde(flatten)]
    pub at: Position,
}

/// Requests to move a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Reset {
    /// The name of the cursor.
    pub name: String,
    /// Its new position.
    pub to: ResetTo,
}

/// Names a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Named {
    /// The name of the cursor.
    pub name: String,
}

/// An answer on the replay port.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "fixed by the wire")]
pub enum ReplayAnswer {
    /// The head of an answer with batches, which follow in four frames each.
    Batches(Fetched),
    /// The cursor is at this position, and that is saved on disk.
    Committed(Position),
    /// The name is free.
    Released,
    /// The cursors.
    Cursors(Vec<CursorState>),
    /// The cursor has been moved to this offset, or deleted.
    Done(Done),
    /// The request was refused.
    Refused(Refused),
}

/// The head of an answer with batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Fetched {
    /// The position to continue after.
    #[serde(flatten)]
    pub next: Position,
    /// The watermark: everything received before this time (Unix milliseconds, the broker's clock)
    /// has been sent in this answer and earlier ones. `None` if there is more to fetch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_until_ms: Option<u64>,
    /// The offset of the last batch in the journal.
    pub end: u64,
    /// Number of missing batches, of any level: retention has deleted them, or they were damaged.
    #[serde(default)]
    pub gone: u64,
    /// Whether the broker had deleted the cursor of this name, because nobody read with it for
    /// longer than batches are kept. A new cursor begins at the end; batches in between are not
    /// sent. Reported once.
    #[serde(default, skip_serializing_if = "is_false")]
    pub forgotten: bool,
}

/// The state of a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct CursorState {
    /// Its name.
    pub name: String,
    /// Its levels; `*` is every level.
    pub levels: Vec<String>,
    /// Everything up to this offset has been delivered.
    pub offset: u64,
    /// Number of batches of any level after it in the journal.
    pub behind: u64,
    /// Age of the oldest of these batches, in milliseconds.
    pub lag_ms: u64,
    /// Time of the reader's last request, in Unix milliseconds.
    pub heard_ms: u64,
    /// Number of batches of any level that were deleted or damaged before they were read.
    pub gone: u64,
    /// The current reader; empty if there is none.
    pub reader: String,
}

/// The result of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Done {
    /// The offset of the cursor, or of the deleted one.
    pub offset: u64,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Refused {
    /// The reason, for programs.
    pub why: Refusal,
    /// A sentence for people, which says what to do.
    pub text: String,
    /// With [`Refusal::Owned`]: whether the other process is connected and sent a request recently,
    /// so that waiting for the name is pointless. Brokers up to 0.3.0 do not send it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub alive: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde wants")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// The request is malformed or invalid.
    Malformed,
    /// The broker keeps no journal.
    NoJournal,
    /// Another process reads under this name.
    Owned,
    /// There are too many cursors.
    TooMany,
    /// There is no cursor of this name.
    Unknown,
    /// The journal cannot be read, or a cursor cannot be written to disk.
    Disk,
    /// The broker has received the committed position but cannot write it to disk. It keeps trying.
    /// If it restarts before that succeeds, the cursor is at the previous position. The reader
    /// continues.
    NotSaved,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

/// The frames are not a valid request or answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The body is not a MessagePack map with the required keys.
    #[error("a body on the replay port does not have the expected structure: {0}")]
    Body(#[from] rmp_serde::decode::Error),
    /// The topic in the first frame is unknown.
    #[error("the first frame of a message on the replay port is not a known topic")]
    Topic,
}

const FETCH: &[u8] = b"zb!fetch";
const COMMIT: &[u8] = b"zb!commit";
const RELEASE: &[u8] = b"zb!release";
const CURSORS: &[u8] = b"zb!cursors";
const RESET: &[u8] = b"zb!reset";
const DELETE: &[u8] = b"zb!delete";
const BATCHES: &[u8] = b"zb!batches";
const COMMITTED: &[u8] = b"zb!committed";
const RELEASED: &[u8] = b"zb!released";
const LIST: &[u8] = b"zb!list";
const DONE: &[u8] = b"zb!done";
const REFUSED: &[u8] = b"zb!refused";

/// The body of a message without content.
#[derive(Serialize, Deserialize)]
struct Nothing {}

/// The body of a list.
#[derive(Serialize, Deserialize)]
struct List {
    cursors: Vec<CursorState>,
}

impl ReplayRequest {
    /// The two frames.
    #[must_use]
    pub fn encode(&self) -> [Vec<u8>; 2] {
        match self {
            Self::Fetch(fetch) => frames(FETCH, fetch),
            Self::Commit(commit) => frames(COMMIT, commit),
            Self::Release(reader) => frames(RELEASE, reader),
            Self::Cursors => frames(CURSORS, &Nothing {}),
            Self::Reset(reset) => frames(RESET, reset),
            Self::Delete(named) => frames(DELETE, named),
        }
    }

    /// Reads the two frames.
    ///
    /// # Errors
    /// [`ReplayError`] if they are not a request.
    pub fn decode(topic: &[u8], body: &[u8]) -> Result<Self, ReplayError> {
        Ok(match topic {
            FETCH => Self::Fetch(read(body)?),
            COMMIT => Self::Commit(read(body)?),
            RELEASE => Self::Release(read(body)?),
            CURSORS => Self::Cursors,
            RESET => Self::Reset(read(body)?),
            DELETE => Self::Delete(read(body)?),
            _ => return Err(ReplayError::Topic),
        })
    }
}

impl ReplayAnswer {
    /// The first two frames.
    #[must_use]
    pub fn encode(&self) -> [Vec<u8>; 2] {
        match self {
            Self::Batches(fetched) => frames(BATCHES, fetched),
            Self::Committed(at) => frames(COMMITTED, at),
            Self::Released => frames(RELEASED, &Nothing {}),
            Self::Cursors(cursors) => frames(LIST, &List { cursors: cursors.clone() }),
            Self::Done(done) => frames(DONE, done),
            Self::Refused(refused) => frames(REFUSED, refused),
        }
    }

    /// Reads the first two frames.
    ///
    /// # Errors
    /// [`ReplayError`] if they are not an answer.
    pub fn decode(topic: &[u8], body: &[u8]) -> Result<Self, ReplayError> {
        Ok(match topic {
            BATCHES => Self::Batches(read(body)?),
            COMMITTED => Self::Committed(read(body)?),
            RELEASED => Self::Released,
            LIST => Self::Cursors(read::<List>(body)?.cursors),
            DONE => Self::Done(read(body)?),
            REFUSED => Self::Refused(read(body)?),
            _ => return Err(ReplayError::Topic),
        })
    }
}

fn frames(topic: &[u8], body: &impl Serialize) -> [Vec<u8>; 2] {
    let body = rmp_serde::to_vec_named(body);
    // Encoding texts and numbers into a `Vec` cannot fail.
    debug_assert!(body.is_ok());
    [topic.to_vec(), body.unwrap_or_default()]
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ReplayError> {
    Ok(rmp_serde::from_slice(body)?)
}

#[cfg(test)]
mod tests;
