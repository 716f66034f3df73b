//! The thread `zb-feed`: receives batches, and queues windows.
//!
//! ```text
//! Feed::next ─▶ folder ─▶ queue ─▶ zb-deliver ─▶ backend
//!               one open   bounded               │
//! Feed::commit ◀── checkpoint of what is settled
//! ```
//!
//! [`FeedLoop`] is the same for every [`Feed`]. [`LiveFeed`] and [`ReplayFeed`] are the feeds of this
//! crate.

mod broker;
mod check;
mod commits;
mod live;
mod outlet;
mod presence;
mod replay;
mod resolve;
mod run;
mod silence;
mod wait;

pub use wait::Wait;

pub(crate) use broker::Broker;
pub(crate) use check::check_broker;
pub(crate) use live::LiveFeed;
pub(crate) use outlet::Outlet;
pub(crate) use replay::ReplayFeed;
pub(crate) use run::{FeedLoop, FeedSettings, MAX_WINDOWS};

use crate::progress::{Checkpoint, Offsets};
use std::task::Poll;
use zibrato::resources::ShortageError;

/// The feed that a worker reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FeedKind {
    /// The messages that the broker publishes from now on. Measurements published while the worker
    /// or its backend is down are lost.
    #[default]
    Live,
    /// The broker's journal, starting at the worker's cursor. Each window is delivered at least
    /// once, even if the worker or the broker restarts, and always with the same contents. If the
    /// broker keeps no journal, the worker reads the live stream and logs an error.
    Replay,
}

/// A source of batches for a worker.
///
/// The worker does everything else: windows, queue, delivery, counters, and the timing of commits.
/// It calls a feed from one thread. A call may block that thread for as long as [`Wait`] allows.
///
/// ```
/// use zibrato_workers::{Checkpoint, Event, Feed, Guarantee, Health, Wait};
///
/// /// Returns batches that are in memory, and then nothing.
/// struct Memory {
///     batches: Vec<[Vec<u8>; 4]>,
///     next: usize,
/// }
///
/// impl Feed for Memory {
///     fn guarantee(&self) -> Guarantee {
///         Guarantee::AtMostOnce
///     }
///
///     fn next(&mut self, wait: &Wait<'_>) -> Event<'_> {
///         let Some(frames) = self.batches.get(self.next) else {
///             wait.sleep();
///             return Event::Idle;
///         };
///         self.next += 1;
///         Event::Batch { frames: frames.iter().map(Vec::as_slice).collect(), at: Checkpoint::default() }
///     }
/// }
/// ```
pub trait Feed: Send + 'static {
    /// What happens to batches that were returned but not delivered. Called once.
    fn guarantee(&self) -> Guarantee;

    /// The next event. If there is none yet, waits for one; [`Event::Idle`] if the wait ends first.
    fn next(&mut self, wait: &Wait<'_>) -> Event<'_>;

    /// Called instead of [`next`](Self::next) while the queue is full, or while the worker is
    /// stopping. It keeps the connection and the uncommitted batches alive, and returns no batch.
    /// Never called with [`Guarantee::AtMostOnce`]. The default sleeps.
    fn hold(&mut self, wait: &Wait<'_>) -> Event<'_> {
        wait.sleep();
        Event::Idle
    }

    /// Commits `at`: everything before it is settled and need not be returned again. Must not
    /// block.
    ///
    /// While it returns [`Poll::Pending`], the worker calls it again with the same checkpoint, at
    /// the latest after the next call of `next` or `hold`. An error is a sentence. The worker logs
    /// and counts it, and tries again later with the checkpoint that is then the latest.
    /// Checkpoints are committed in the order in which they were returned. Never called with
    /// [`Guarantee::AtMostOnce`]. The default does nothing.
    fn commit(&mut self, _at: &Checkpoint) -> Poll<Result<(), String>> {
        Poll::Ready(Ok(()))
    }

    /// Whether the feed is connected to its origin, such as a broker. Called often. Defaults to
    /// [`Health::Connected`].
    fn health(&self) -> Health<'_> {
        Health::Connected
    }

    /// The position of the feed, for metrics. Defaults to zeros.
    fn offsets(&self) -> Offsets {
        Offsets::default()
    }

    /// Called once the worker has stopped and everything that can be committed is committed. Closes
    /// the connection, within a second. The default does nothing.
    fn close(&mut self) {}
}

/// The guarantee of a [`Feed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guarantee {
    /// Uncommitted batches are returned again, in the same order and with the same stamps, when the
    /// feed is restarted. Within one run, each batch is returned once.
    ///
    /// Windows end by the stamps of batches and by [`Event::Watermark`], so they are the same each
    /// time. When the queue is full, the worker requests no batches. A window that is open when the
    /// worker stops is left to the next start.
    AtLeastOnce,
    /// Each batch is returned once. A batch that is returned again nevertheless is counted once.
    ///
    /// Windows end by this machine's clock. When the queue is full, the oldest window is dropped and
    /// counted. A window that is open when the worker stops is delivered.
    AtMostOnce,
}

/// The result of [`Feed::next`] or [`Feed::hold`].
#[expect(missing_debug_implementations, reason = "a feed has none")]
#[non_exhaustive]
pub enum Event<'a> {
    /// A batch.
    Batch {
        /// The frames of the batch, as `docs/protocol.md` describes them: topic, id, stamp and
        /// body. Anything else is rejected and counted. With [`Guarantee::AtMostOnce`] the stamp
        /// may be missing.
        frames: Vec<&'a [u8]>,
        /// The position of the batch: a feed that starts there returns this batch first.
        at: Checkpoint,
    },
    /// Everything before a position has been returned.
    Watermark {
        /// The position.
        at: Checkpoint,
        /// All batches with a stamp before this time have been returned; in Unix milliseconds, by
        /// the clock that sets the stamps. `None` if more batches are known to follow.
        until_ms: Option<u64>,
    },
    /// The wait is over, or the result of [`Feed::commit`] or [`Feed::health`] may have changed.
    Idle,
    /// Batches are missing that should have been returned.
    Gone {
        /// Number of missing batches.
        batches: u64,
        /// The reason, as a sentence.
        why: String,
    },
    /// The committed position was lost at the origin; an unknown number of batches is skipped.
    Forgotten {
        /// The reason, as a sentence.
        why: String,
    },
    /// The feed has ended. Only [`hold`](Feed::hold), [`commit`](Feed::commit) and
    /// [`close`](Feed::close) are called after this.
    End(End),
}

/// Why a [`Feed`] has ended.
#[expect(missing_debug_implementations, reason = "a feed has none")]
#[non_exhaustive]
pub enum End {
    /// All batches were returned. The worker delivers and commits the windows that have ended, and
    /// stops. To end the last window, return an [`Event::Watermark`] first.
    Finished,
    /// The feed cannot continue, for this reason. The worker delivers and commits the windows that
    /// have ended, and stops.
    Failed(String),
    /// Another reader has taken over, as this sentence says. The worker delivers nothing more, and
    /// stops.
    TakenOver(String),
    /// There is nothing to read, for this reason. The worker continues with another feed.
    Replaced(Box<dyn Feed>, String),
}

/// Whether a [`Feed`] is connected to its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health<'a> {
    /// The origin answers.
    Connected,
    /// The origin does not answer. The sentence says what to do.
    Disconnected(&'a str),
    /// The origin answers, but rejects requests for this reason.
    Refused(&'a str),
}

/// Why a feed cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// A resource of the system is short.
    #[error(transparent)]
    Shortage(#[from] ShortageError),
    /// The socket cannot be created or connected.
    #[error(transparent)]
    Socket(#[from] zmq::Error),
}
