//! What passes on the replay port: requests for what the journal holds, and the answers.
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

/// The most cursors that a broker keeps.
pub const MAX_CURSORS: usize = 1_000;

/// The most levels that one cursor names.
pub const MAX_CURSOR_LEVELS: usize = 1_000;

/// The largest request: a fetch with the most and longest levels.
pub const MAX_REQUEST_BYTES: usize = 128 << 10;

/// Who reads: a cursor's name, and the process that reads for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Reader {
    /// The name of the cursor, such as `zibrato-carbon`.
    pub name: String,
    /// A text that no other process has, chosen at start. One process at a time owns a name.
    pub session: String,
}

/// Asks for the batches after a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Fetch {
    /// Who reads.
    #[serde(flatten)]
    pub reader: Reader,
    /// What to tell another process that wants the same name, such as `web-1, process 42`.
    #[serde(default)]
    pub about: String,
    /// The levels to hand out, `*` for every level. The cursor keeps them wanted while the reader
    /// is away.
    pub levels: Vec<String>,
    /// After which place to begin; `None` means after the cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Position>,
    /// How long to wait for batches when there are none, in milliseconds.
    #[serde(default)]
    pub wait_ms: u64,
    /// About how many bytes of batches to hand out at most; one batch is always handed out.
    #[serde(default)]
    pub max_bytes: u64,
}

/// A place in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Position {
    /// Which journal; one that is begun anew has another number.
    pub journal: u64,
    /// The offset of the last batch before this place; 0 is the beginning.
    pub offset: u64,
}

/// Where a cursor is to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "fixed by the wire")]
pub enum ResetTo {
    /// Behind everything: only what comes from now on.
    End,
    /// After the batch with this offset; 0 is the beginning of what is kept.
    Offset(u64),
    /// Before the first batch that was received at this time or later, in unix milliseconds.
    Time(u64),
}

/// A request on the replay port.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "fixed by the wire")]
pub enum ReplayRequest {
    /// Hand out batches.
    Fetch(Fetch),
    /// Everything up to the place has been delivered.
    Commit(Commit),
    /// The reader is done for now; another may take the name over.
    Release(Reader),
    /// List the cursors.
    Cursors,
    /// Set a cursor.
    Reset(Reset),
    /// Forget a cursor.
    Delete(Named),
}

/// Says that everything up to a place has been delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Commit {
    /// Who has read it.
    #[serde(flatten)]
    pub reader: Reader,
    /// The place.
    #[serde(flatten)]
    pub at: Position,
}

/// Asks to set a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Reset {
    /// The name of the cursor.
    pub name: String,
    /// Where to.
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
    /// The head of batches; they follow, in four frames each.
    Batches(Fetched),
    /// The cursor stands there now, safe on disk.
    Committed(Position),
    /// The name is free.
    Released,
    /// The cursors.
    Cursors(Vec<CursorState>),
    /// The cursor has been set, to that offset, or deleted.
    Done(Done),
    /// It was not done.
    Refused(Refused),
}

/// The head of an answer with batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Fetched {
    /// After this place to go on.
    #[serde(flatten)]
    pub next: Position,
    /// Everything received before this moment (unix milliseconds, the broker's clock) has been
    /// handed out with this answer and those before; `None` when there is more to fetch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_until_ms: Option<u64>,
    /// The offset of the last batch in the journal.
    pub end: u64,
    /// How many batches, of whatever level, should have been there and are gone: retention has
    /// deleted them, or they were damaged.
    #[serde(default)]
    pub gone: u64,
    /// The name had a cursor once, which was forgotten because nobody read with it for longer than
    /// batches are kept. It begins anew, and what came in between is not handed out. Told once.
    #[serde(default, skip_serializing_if = "is_false")]
    pub forgotten: bool,
}

/// What the broker knows of a cursor.
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
    /// How many batches, of whatever level, are behind it in the journal.
    pub behind: u64,
    /// How long ago the oldest of them was received, in milliseconds.
    pub lag_ms: u64,
    /// When it was last heard of, in unix milliseconds.
    pub heard_ms: u64,
    /// Batches, of whatever level, that were gone before they were read.
    pub gone: u64,
    /// Who reads now; empty when nobody does.
    pub reader: String,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Done {
    /// Where the cursor stands, or stood.
    pub offset: u64,
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Refused {
    /// A word for programs.
    pub why: Refusal,
    /// A sentence for people, which says how to mend it.
    pub text: String,
    /// With [`Refusal::Owned`]: the other process is connected and was heard of just now, so that
    /// waiting for the name is of no use. Brokers up to 0.3.0 do not tell.
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
    /// The request is not to be understood, or asks for what cannot be.
    Malformed,
    /// The broker keeps no journal.
    NoJournal,
    /// Another process reads under this name.
    Owned,
    /// There are too many cursors.
    TooMany,
    /// There is no cursor of this name.
    Unknown,
    /// The journal could not be read, or a cursor could not be written to disk.
    Disk,
    /// The broker knows the committed place, but cannot write it to disk now. It keeps trying;
    /// until then a restart of the broker brings the place before it back. The reader goes on.
    NotSaved,
    /// A reason that a later version has.
    #[serde(other)]
    Other,
}

/// The frames are no request, or no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The body is not a MessagePack map with what is needed.
    #[error("a body on the replay port does not have the expected structure: {0}")]
    Body(#[from] rmp_serde::decode::Error),
    /// The first frame names nothing that is known.
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

/// The body of a message that needs none.
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
    /// [`ReplayError`] when they are no request.
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
    /// [`ReplayError`] when they are no answer.
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
    // Texts and numbers in a Vec: there is nothing that could fail.
    debug_assert!(body.is_ok());
    [topic.to_vec(), body.unwrap_or_default()]
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ReplayError> {
    Ok(rmp_serde::from_slice(body)?)
}

#[cfg(test)]
mod tests;
