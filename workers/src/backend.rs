//! What a backend is: it turns a window into payloads, and sends one payload at a time.

use std::error::Error;
use std::time::{Duration, Instant};
use zibrato::daemon::{Failure, Findings};
use zibrato::window::Window;

/// Where a worker delivers.
///
/// The worker does everything else: subscription, windows, retry, counting, stopping. A backend is
/// made of two halves: [`payloads`](Self::payloads) is pure and says what goes out;
/// [`send`](Self::send) puts one payload on the wire and says what became of it.
///
/// ```
/// use zibrato::window::Window;
/// use zibrato_workers::{Backend, Payload, SendError};
///
/// struct Console;
///
/// impl Backend for Console {
///     fn payloads(&mut self, window: Window) -> Vec<Payload> {
///         let series = window.len();
///         if series == 0 {
///             return Vec::new();
///         }
///         vec![Payload::new(format!("{series} series").into_bytes(), series)]
///     }
///
///     fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
///         println!("{}", String::from_utf8_lossy(&payload.body));
///         Ok(())
///     }
/// }
/// ```
pub trait Backend: Send + 'static {
    /// Turns a window into what goes out, cut into payloads that succeed or fail each on its own.
    /// An empty window gives none.
    fn payloads(&mut self, window: Window) -> Vec<Payload>;

    /// Sends one payload. Waits no longer than the backend's own timeout.
    ///
    /// The payloads of a window come in their order, and all of them before those of the next.
    ///
    /// # Errors
    /// [`SendError`] says whether to try again.
    fn send(&mut self, payload: &Payload) -> Result<(), SendError>;

    /// Cuts a payload that was refused in two, each with about half of its series, so that the rest
    /// is delivered although one of them is bad. The same payload is always cut the same. `None`
    /// when it has one series, or cannot be cut. Defaults to `None`: a payload is taken or refused
    /// as a whole.
    ///
    /// ```
    /// # use zibrato::window::Window;
    /// # use zibrato_workers::{Backend, Payload, SendError};
    /// # struct Lines;
    /// # impl Backend for Lines {
    /// # fn payloads(&mut self, _: Window) -> Vec<Payload> { Vec::new() }
    /// # fn send(&mut self, _: &Payload) -> Result<(), SendError> { Ok(()) }
    /// // A series is a line.
    /// fn split(&self, payload: &Payload) -> Option<[Payload; 2]> {
    ///     let lines: Vec<_> = payload.body.split_inclusive(|byte| *byte == b'\n').collect();
    ///     let (left, right) = lines.split_at(lines.len() / 2);
    ///     let half = |lines: &[&[u8]]| Payload::new(lines.concat(), lines.len());
    ///     (!left.is_empty()).then(|| [half(left), half(right)])
    /// }
    /// # }
    /// ```
    fn split(&self, _payload: &Payload) -> Option<[Payload; 2]> {
        None
    }

    /// The names of the first `most` series of a payload, for people who read of its rejection.
    /// Defaults to none.
    fn names(&self, _payload: &Payload, _most: usize) -> Vec<String> {
        Vec::new()
    }

    /// Where the backend delivers to, for log lines: an address without secrets. Defaults to none.
    fn destination(&self) -> Option<String> {
        None
    }

    /// When the oldest payload was taken that may still get lost, because the far side confirms
    /// nothing. A window that was delivered later is not committed; a worker that is started again
    /// before that delivers it once more, the same as before. The worker asks after each window, and
    /// every second as long as a time is given. Defaults to `None`: what was taken is safe.
    ///
    /// For far sides to which it is all the same how often a payload comes.
    fn unsettled_since(&mut self) -> Option<Instant> {
        None
    }

    /// A payload that was taken, and that the far side turned out to refuse later. It is treated like
    /// one that is [rejected](SendError::Reject). The worker asks after each payload, until there is
    /// none. Defaults to none.
    fn take_back(&mut self) -> Option<Refusal> {
        None
    }

    /// What is wrong with the far side although it takes payloads, in a sentence: the worker is not
    /// ready then. The worker asks when it asks for [`unsettled_since`](Self::unsettled_since).
    /// Defaults to nothing.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// A backend that is a program of its own, such as `zibrato-carbon`: see [`main`](crate::main).
pub trait BackendProgram: Backend + Sized {
    /// The backend's own flags. Each long one can also be set by a variable and in the configuration
    /// file. A flag without a default that is not an [`Option`] is required by every command of the
    /// program, `deadletter list` too.
    type Flags: clap::Args + Clone + std::fmt::Debug + Send;

    /// The program, such as `zibrato-carbon`.
    const PROGRAM: &'static str;

    /// One line for `--help`: what the worker does.
    const ABOUT: &'static str;

    /// Examples for `--help`, printed below the flags.
    const EXAMPLES: &'static str;

    /// The shortest window that the far side can tell from the next. Defaults to a tenth of a
    /// second.
    const SHORTEST_FLUSH: Duration = Duration::from_millis(100);

    /// Makes the backend ready. It does not wait for the far side: a backend that is down at start
    /// comes up later.
    ///
    /// # Errors
    /// When the flags say something that cannot be: one line, with how to mend it.
    fn open(flags: Self::Flags) -> Result<Self, Failure>;

    /// Looks, for `--check`, at what can be known of the far side without delivering, such as
    /// whether its host can be looked up. Defaults to nothing.
    fn check(&self, _findings: &mut Findings) {}
}

/// What goes out in one request or one write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Payload {
    /// The bytes.
    pub body: Vec<u8>,
    /// How many series are in them.
    pub series: usize,
    /// What the far side may know the payload by, when it comes twice: the worker's name, the
    /// window, and the place and a hash of the body; the same whenever the same window is
    /// delivered, also by a worker that was started again. The worker fills it in before
    /// [`Backend::send`].
    pub key: String,
}

impl Payload {
    /// A payload with the number of series that are in it.
    #[must_use]
    pub const fn new(body: Vec<u8>, series: usize) -> Self {
        Self { body, series, key: String::new() }
    }
}

/// A payload that was taken, and that the far side refuses after all.
#[derive(Debug)]
pub struct Refusal {
    /// The payload, with the key that it was sent with.
    pub payload: Payload,
    /// How that was found out.
    pub why: Box<dyn Error + Send + Sync>,
}

/// The series of a payload that a far side refused while it took the others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusedPart {
    /// These: a payload with them alone.
    These(Payload),
    /// So many, and the far side does not say which.
    SomeOf(usize),
}

/// What became of a payload that was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The payload was taken but for some series, which will never be taken.
    #[error("rejected in part")]
    Partial {
        /// Which.
        refused: RefusedPart,
        /// What the far side said.
        #[source]
        why: Box<dyn Error + Send + Sync>,
    },
    /// This payload will never be taken as it is. If the backend can [split](Backend::split) it, its
    /// parts are tried.
    #[error("rejected")]
    Reject {
        /// What the far side said.
        #[source]
        why: Box<dyn Error + Send + Sync>,
    },
    /// Try again, not before `after` if the far side named a time.
    #[error("try again")]
    Retry {
        /// How long to wait at least.
        after: Option<Duration>,
        /// What happened.
        #[source]
        why: Box<dyn Error + Send + Sync>,
    },
    /// The credentials or the address are wrong: hold everything, be loud, keep trying slowly.
    #[error("held")]
    Stop {
        /// What the far side said.
        #[source]
        why: Box<dyn Error + Send + Sync>,
    },
    /// There was no answer, so that nobody knows whether the payload was taken: try again, and
    /// count it as repeated.
    #[error("no answer")]
    Unknown {
        /// How long to wait at least.
        after: Option<Duration>,
        /// What happened.
        #[source]
        why: Box<dyn Error + Send + Sync>,
    },
}
