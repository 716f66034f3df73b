//! The thread `zb-feed`: batches in, windows out.
//!
//! ```text
//! Feed::next ─▶ folder ─▶ queue ─▶ zb-deliver ─▶ backend
//!               one open   bounded               │
//! Feed::commit ◀── checkpoint behind what is settled
//! ```
//!
//! [`FeedLoop`] is the same for every [`Feed`]. [`LiveFeed`] and [`ReplayFeed`] are the feeds of this
//! crate.

mod broker;
mod check;
mod commits;
mod identify;
mod live;
mod monitor;
mod outlet;
mod presence;
mod replay;
mod resolve;
mod run;
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

/// Which of its own feeds a worker reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FeedKind {
    /// What the broker publishes from now on. What it publishes while the worker or its backend is
    /// away is lost.
    #[default]
    Live,
    /// The broker's journal, from the worker's cursor on. Each window is delivered at least once,
    /// whatever is restarted, and always with the same contents. If the broker keeps no journal, the
    /// worker reads the live stream and logs an error.
    Replay,
}

/// Where a worker gets its batches from.
///
/// The worker does everything else: windows, queue, delivery, counting, the pace of commits. It calls
/// a feed from one thread, which the feed may keep for as long as [`Wait`] allows.
///
/// ```
/// use zibrato_workers::{Checkpoint, Event, Feed, Guarantee, Health, Wait};
///
/// /// Hands out the frames of batches that are in memory, and then nothing.
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
    /// What becomes of batches that were handed out and not delivered. Asked once.
    fn guarantee(&self) -> Guarantee;

    /// What comes next, if need be after a wait; [`Event::Idle`] when the wait is over before
    /// anything came.
    fn next(&mut self, wait: &Wait<'_>) -> Event<'_>;

    /// Called in place of [`next`](Self::next) while the worker has no room for a window, or is being
    /// stopped: keeps the connection and the batches that are not committed alive, and hands out no
    /// batch. With [`Guarantee::AtMostOnce`] it is never called. Defaults to a sleep.
    fn hold(&mut self, wait: &Wait<'_>) -> Event<'_> {
        wait.sleep();
        Event::Idle
    }

    /// Commits: everything before `at` is settled and need not be handed out again. Must not wait.
    ///
    /// While it returns [`Poll::Pending`], the worker calls it again with the same checkpoint, at the
    /// latest when `next` or `hold` has returned. After an error, which is a sentence, the worker
    /// logs, counts and tries again later, with the checkpoint of that moment. Checkpoints come in
    /// the order in which they were handed out. With [`Guarantee::AtMostOnce`] it is never called.
    /// Defaults to nothing.
    fn commit(&mut self, _at: &Checkpoint) -> Poll<Result<(), String>> {
        Poll::Ready(Ok(()))
    }

    /// Whether the far side is there. Asked often. Defaults to [`Health::Connected`].
    fn health(&self) -> Health<'_> {
        Health::Connected
    }

    /// How far the feed has come, for metrics. Defaults to zeros.
    fn offsets(&self) -> Offsets {
        Offsets::default()
    }

    /// The worker has stopped, and everything that can be is committed: takes leave of the far side,
    /// within a second. Defaults to nothing.
    fn close(&mut self) {}
}

/// What a [`Feed`] promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guarantee {
    /// What is not committed is handed out again, in the same order and with the same stamps, when
    /// the feed is started again. Until then each batch is handed out once.
    ///
    /// Windows end by the stamps of batches and by [`Event::Watermark`], so they are the same each
    /// time. When the queue is full, the worker takes no batch. A window that is open when the worker
    /// stops is left to the next start.
    AtLeastOnce,
    /// What was handed out is not handed out again on purpose; if it is, it counts once.
    ///
    /// Windows end by this machine's clock. When the queue is full, the oldest window is dropped and
    /// counted. A window that is open when the worker stops is delivered.
    AtMostOnce,
}

/// What comes from a [`Feed`].
#[expect(missing_debug_implementations, reason = "a feed has none")]
#[non_exhaustive]
pub enum Event<'a> {
    /// A batch.
    Batch {
        /// The frames of the batch, as `docs/protocol.md` describes them: topic, id, stamp and body.
        /// Anything else is refused and counted. Without a guarantee the stamp may be missing.
        frames: Vec<&'a [u8]>,
        /// The place of the batch: a feed that starts there hands it out first.
        at: Checkpoint,
    },
    /// Everything before a place was handed out.
    Watermark {
        /// The place.
        at: Checkpoint,
        /// No batch that is stamped before this time is still to come, in unix milliseconds, by the
        /// clock that stamps batches; `None` when more batches are already known of.
        until_ms: Option<u64>,
    },
    /// The wait is over, or there may be news for [`Feed::commit`] or [`Feed::health`].
    Idle,
    /// Batches that should have been handed out are gone.
    Gone {
        /// How many.
        batches: u64,
        /// Why, as a sentence.
        why: String,
    },
    /// The far side has forgotten what was committed; an unknown number of batches is skipped.
    Forgotten {
        /// Why, as a sentence.
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
    /// Everything was handed out. The worker delivers and commits the windows that have ended, and
    /// stops. An [`Event::Watermark`] before this ends the last window.
    Finished,
    /// The feed cannot go on, for this reason. The worker delivers and commits the windows that have
    /// ended, and stops.
    Failed(String),
    /// Another reader has taken over, as this sentence says. The worker leaves everything to it, and
    /// stops.
    TakenOver(String),
    /// There is nothing to read, for this reason. The worker goes on with another feed.
    Replaced(Box<dyn Feed>, String),
}

/// Whether a [`Feed`] reaches its far side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health<'a> {
    /// It answers.
    Connected,
    /// It does not answer. What to do about it, as a sentence.
    Disconnected(&'a str),
    /// It answers, and refuses for this reason.
    Refused(&'a str),
}

/// Why a feed cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The system has too little of something.
    #[error(transparent)]
    Shortage(#[from] ShortageError),
    /// The socket cannot be created or connected.
    #[error(transparent)]
    Socket(#[from] zmq::Error),
}
