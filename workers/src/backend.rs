//! The trait of backends: a backend turns windows into payloads, and sends one payload at a time.

mod hindrance;
mod sending;

use crate::idle_gauges::IdleGauges;
use crate::levels::Levels;
pub use hindrance::{Greeting, Hindrance};
pub use sending::{Answered, Sending, Target};
use std::error::Error;
use std::ops::ControlFlow::{Break, Continue};
use std::time::{Duration, Instant};
use zibrato::daemon::{Failure, Findings};
use zibrato::window::Window;

/// A backend, to which a worker delivers.
///
/// The worker does everything else: subscription, windows, retries, counting, stopping. A backend
/// has two parts: [`payloads`](Self::payloads) is pure and encodes a window; [`send`](Self::send)
/// sends one payload and returns the result.
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
    /// Encodes a window as payloads, each of which succeeds or fails independently. An empty window
    /// has none.
    ///
    /// Annotations are not among the series. A backend may deliver them
    /// ([`Window::annotations`]), turn them into series ([`Window::count_annotations`]), or ignore
    /// them.
    fn payloads(&mut self, window: Window) -> Vec<Payload>;

    /// The same, but the backend may send the first payloads while it encodes the next ones, so that they
    /// arrive earlier. It sends them like [`send_together`](Self::send_together), with the keys that
    /// `sending` gives, and passes their results to it. Those with a result must be the first ones.
    /// Returns all payloads in order. The body of one that was accepted is not needed any more. Defaults
    /// to sending none.
    fn payloads_sent(&mut self, window: Window, _sending: Sending<'_>) -> Vec<Payload> {
        self.payloads(window)
    }

    /// Sends one payload. Blocks at most for the backend's own timeout.
    ///
    /// The payloads of a window are sent in order, unless [`send_together`](Self::send_together) sends
    /// several at the same time, and before those of the next window.
    ///
    /// # Errors
    /// [`SendError`], which says whether to retry.
    fn send(&mut self, payload: &Payload) -> Result<(), SendError>;

    /// Sends the first of these payloads of a window, and as many of the next ones as the backend can
    /// send at the same time. Payloads are begun in order. Their results are passed to `answered` with
    /// their indexes, in any order and from any thread. When it returns [`Break`],
    /// no further payload is begun. Returns when each that was begun has its result. Those without a
    /// result are sent later. Defaults to sending only the first one.
    fn send_together(&mut self, payloads: &[Payload], answered: Answered<'_>) {
        if let Some(first) = payloads.first() {
            // There is nothing else to begin.
            let (Continue(()) | Break(())) = answered(0, self.send(first));
        }
    }

    /// Sends one payload for a command: the point of `send`, or a dead letter, whose body may have been
    /// edited. Override it if the receiver does not report that it cannot read what it gets. Defaults
    /// to [`send`](Self::send).
    ///
    /// # Errors
    /// As those of [`send`](Self::send).
    fn send_checked(&mut self, payload: &Payload) -> Result<(), SendError> {
        self.send(payload)
    }

    /// Splits a rejected payload into two parts, each with about half of its series, so that good
    /// series are delivered although others are bad. The same payload must always be split in the
    /// same way. `None` if it has one series or cannot be split. Defaults to `None`: a payload is
    /// accepted or rejected as a whole.
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

    /// The names of the first `most` series of a payload, for the report of its rejection. Defaults
    /// to none.
    fn names(&self, _payload: &Payload, _most: usize) -> Vec<String> {
        Vec::new()
    }

    /// The destination, for log lines: an address without secrets. Defaults to none.
    fn destination(&self) -> Option<String> {
        None
    }

    /// The time when the oldest payload was sent that may still be lost, because the receiver
    /// confirms nothing. Windows that were delivered later are not committed yet; after a restart
    /// the worker delivers them again, unchanged. The worker calls this after each window, and
    /// every second while it returns a time. Defaults to `None`: accepted payloads are safe.
    ///
    /// Use this only if receiving a payload several times is harmless.
    fn unsettled_since(&mut self) -> Option<Instant> {
        None
    }

    /// Whether the backend uses [each reading](zibrato::Summary::readings) of timers and histograms.
    /// Windows then keep them while there are few, which takes memory. Defaults to `false`.
    fn keeps_readings(&self) -> bool {
        false
    }

    /// Whether the backend uses the readings of gauges by their second
    /// ([`Fold::GaugeSeconds`](zibrato::window::Fold::GaugeSeconds)). Windows then keep them, which
    /// takes memory. Defaults to `false`.
    fn keeps_gauge_seconds(&self) -> bool {
        false
    }

    /// Number of points that [`payloads`](Self::payloads) has omitted since the start, by reason: a
    /// constant word such as `too_old`. They are shown on `/metrics`. Defaults to none.
    fn omitted(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// Whether payloads contain the series of their window. Then those that are in none are counted as
    /// left out. Payloads about something else, such as alerts, contain none. Defaults to `true`.
    fn delivers_series(&self) -> bool {
        true
    }

    /// A payload that was sent, but turned out later to be rejected. It is handled like one that is
    /// [rejected](SendError::Reject). The worker calls this after each payload, until there is
    /// none. Defaults to none.
    fn take_back(&mut self) -> Option<Refusal> {
        None
    }

    /// A problem with the receiver although it accepts payloads, as a sentence. The worker is then
    /// not ready. The worker calls this together with [`unsettled_since`](Self::unsettled_since).
    /// Defaults to none.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// A backend with its own program, such as `zibrato-carbon`: see [`main`](crate::main).
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

    /// The shortest window that the receiver can distinguish from the next. Defaults to a tenth of
    /// a second.
    const SHORTEST_FLUSH: Duration = Duration::from_millis(100);

    /// What is delivered for a gauge that nobody set in a window, without `--idle-gauges`. Defaults
    /// to its last value.
    const IDLE_GAUGES: IdleGauges = IdleGauges::Repeat;

    /// Commands of the program that another parser reads, for help, the manual page and completions:
    /// see [`zibrato::daemon::Program::other_commands`]. If one is called `send`, the command that sends
    /// a point is only called `submit`. Defaults to none.
    #[must_use]
    fn other_commands() -> Vec<clap::Command> {
        Vec::new()
    }

    /// What is delivered then, for these flags. Defaults to [`IDLE_GAUGES`](Self::IDLE_GAUGES).
    fn idle_gauges(_flags: &Self::Flags) -> IdleGauges {
        Self::IDLE_GAUGES
    }

    /// Creates the backend. It does not wait for the receiver, which may be down at start.
    ///
    /// # Errors
    /// [`Failure`] if the flags are invalid: one line that says what to do.
    fn open(flags: Self::Flags) -> Result<Self, Failure>;

    /// Creates a backend for each destination that the flags name. Each gets a worker of its own,
    /// with its own cursor in the journal, so a destination that is down does not delay the others.
    /// Defaults to the one of [`open`](Self::open).
    ///
    /// # Errors
    /// As those of [`open`](Self::open).
    fn open_all(flags: Self::Flags) -> Result<Vec<Opened<Self>>, Failure> {
        Ok(vec![Opened { destination: None, backend: Self::open(flags)? }])
    }

    /// The host that the backend connects to. `--check` resolves it. A worker that starts resolves
    /// it and connects to it once, in the background, and logs a warning if that fails. Defaults to
    /// none.
    fn target(&self) -> Option<Target> {
        None
    }

    /// For the command `check`: connects to the destination without delivering, and says what works
    /// and what does not. Defaults to `None`: it connects to the [`target`](Self::target).
    fn reach(&mut self) -> Option<Reached> {
        None
    }

    /// What a worker does once, in a thread of its own, while it starts, to find out early that
    /// nothing can be delivered. Defaults to `None`: it connects to the [`target`](Self::target).
    fn greeting(&self) -> Option<Greeting> {
        None
    }

    /// The levels to which the worker subscribes, before the first window. Defaults to ignoring them.
    fn subscribes(&mut self, _levels: &Levels) {}

    /// What may be a mistake in the flags, together with the length of a window: sentences for
    /// `--check` and for the log at start. Defaults to none.
    fn doubts(&mut self, _flush: Duration) -> Vec<String> {
        Vec::new()
    }

    /// For `--check`: checks what else is possible without delivering. Defaults to no check.
    fn check(&self, _findings: &mut Findings) {}
}

/// A backend, and the name of its destination if there are several.
#[derive(Debug)]
pub struct Opened<B> {
    /// The name of the destination among the others, such as `graphite-1:2003`. It is the value of
    /// the label `destination` of metrics and a part of the cursor's name. `None` if there is only
    /// one.
    pub destination: Option<String>,
    /// The backend.
    pub backend: B,
}

/// What the command `check` found out about a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reached {
    /// What works, each as a sentence, in the order in which it was tried.
    pub works: Vec<String>,
    /// What does not work after that, as a sentence that says how to mend it.
    pub fails: Option<String>,
}

impl From<Result<Vec<String>, String>> for Reached {
    fn from(result: Result<Vec<String>, String>) -> Self {
        match result {
            Ok(works) => Self { works, fails: None },
            Err(why) => Self { works: Vec::new(), fails: Some(why) },
        }
    }
}

/// The data of one request or one write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Payload {
    /// The bytes.
    pub body: Vec<u8>,
    /// The number of series in it.
    pub series: usize,
    /// Identifies the payload if the receiver gets it twice: the worker's name, the window, and the
    /// index and a hash of the body. It is the same whenever the same window is delivered, also
    /// after a restart. The worker sets it before [`Backend::send`].
    pub key: String,
}

impl Payload {
    /// A payload with this number of series.
    #[must_use]
    pub const fn new(body: Vec<u8>, series: usize) -> Self {
        Self { body, series, key: String::new() }
    }
}

/// A payload that was sent, but turned out to be rejected.
#[derive(Debug)]
pub struct Refusal {
    /// The payload, with the key with which it was sent.
    pub payload: Payload,
    /// The reason.
    pub why: Box<dyn Error + Send + Sync>,
}

/// The series of a payload that the receiver rejected while it accepted the others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusedPart {
    /// These series: a payload that contains only them.
    These(Payload),
    /// This number of series; the receiver does not say which.
    SomeOf(usize),
}

/// Why a payload was not accepted, and what to do with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The payload was accepted except for some series, which will never be accepted.
    #[error("rejected in part")]
    Partial {
        /// The rejected series.
        refused: RefusedPart,
        /// The answer of the receiver.
        #[source]
        why: Box<dyn Error + Send + Sync>,
    },
    /// The receiver will never accept this payload as it is. If the backend can
    /// [split](Backend::split) it, its parts are tried.
    #[error("rejected")]
    Reject {
        /// The answer of the receiver.
        #[source]
        why: Box<dyn Error + Send + Sync>,
    },
    /// Retry, but not before `after`, if the receiver gave a time.
    #[error("try again")]
    Retry {
        /// The minimum wait.
        after: Option<Duration>,
        /// What happened.
        #[source]
        why: Box<dyn Error + Send + Sync>,
    },
    /// The credentials or the address are wrong: hold everything, log that as an error, and retry
    /// slowly.
    #[error("held")]
    Stop {
        /// The answer of the receiver.
        #[source]
        why: Box<dyn Error + Send + Sync>,
    },
    /// There was no answer, so it is unknown whether the payload was accepted: retry, and count it
    /// as repeated.
    #[error("no answer")]
    Unknown {
        /// The minimum wait.
        after: Option<Duration>,
        /// What happened.
        #[source]
        why: Box<dyn Error + Send + Sync>,
    },
}
