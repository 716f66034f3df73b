//! The configuration of a worker, and why it may not start.

use super::Worker;
use crate::backend::Backend;
use crate::backoff::Pace;
use crate::feed::{Broker, Feed, FeedKind, OpenError};
use crate::hash::fnv1a;
use crate::idle_gauges::IdleGauges;
use crate::levels::Levels;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use zibrato::curve::Curve;
use zibrato::daemon::Stop;
use zibrato::resources::ShortageError;

/// The shortest window.
const SHORTEST_FLUSH: Duration = Duration::from_millis(100);

/// The longest window.
const LONGEST_FLUSH: Duration = Duration::from_secs(24 * 3600);

/// The longest name.
const MAX_NAME: usize = 64;

/// The configuration of a [`Worker`]; created by [`Worker::builder`](super::Worker::builder).
#[derive(Debug, Clone)]
pub struct WorkerBuilder {
    pub(crate) broker: Broker,
    pub(super) name: String,
    pub(super) program: String,
    pub(super) feed: FeedKind,
    pub(super) levels: Levels,
    pub(super) flush: Duration,
    pub(super) max_series: usize,
    pub(super) max_windows: Option<usize>,
    pub(super) idle_gauges: IdleGauges,
    pub(super) pace: Pace,
    pub(super) catch_up: u32,
    pub(super) dead_letters: Option<(PathBuf, u64)>,
    /// The destination among several, for log lines.
    pub(super) destination: Option<String>,
}

impl WorkerBuilder {
    /// Host of the broker: a name, an address, or `ipc://` and the folder of the broker's Unix
    /// sockets, for which the port is ignored. Defaults to `127.0.0.1`.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.broker.host = host.into();
        self
    }

    /// Port for subscribers of the broker. Defaults to 5551.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.broker.port = port;
        self
    }

    /// Encrypts the connection. The worker talks only to the broker with this public key, which must
    /// allow the worker's own public key. Defaults to no encryption.
    #[must_use]
    pub fn curve(mut self, curve: Curve) -> Self {
        self.broker.curve = Some(curve);
        self
    }

    /// Levels to deliver. Defaults to `info`.
    #[must_use]
    pub fn levels(mut self, levels: Levels) -> Self {
        self.levels = levels;
        self
    }

    /// Length of a window, from 0.1 seconds to a day. Defaults to a minute.
    #[must_use]
    pub const fn flush(mut self, flush: Duration) -> Self {
        self.flush = flush;
        self
    }

    /// Maximum number of series in a window. Further names are summed up as `_overflow`. Defaults to
    /// 1,000,000.
    #[must_use]
    pub const fn max_series(mut self, max_series: usize) -> Self {
        self.max_series = max_series;
        self
    }

    /// Maximum number of windows queued for the backend, from 1 to 10,000. Beyond it the journal holds
    /// the rest; on the live stream the oldest window is dropped and counted. Defaults to 4, or 60 on
    /// the live stream.
    #[must_use]
    pub const fn max_windows(mut self, max_windows: usize) -> Self {
        self.max_windows = Some(max_windows);
        self
    }

    /// What is delivered for a gauge that nobody set in a window, while its publisher runs. Defaults
    /// to [`IdleGauges::Repeat`].
    ///
    /// ```
    /// use zibrato_workers::{IdleGauges, Worker};
    /// let builder = Worker::builder().idle_gauges(IdleGauges::Omit);
    /// # drop(builder);
    /// ```
    #[must_use]
    pub const fn idle_gauges(mut self, idle: IdleGauges) -> Self {
        self.idle_gauges = idle;
        self
    }

    /// Name of the worker in the keys of payloads, in dead letters, and of its cursor in the journal.
    /// 1 to 64 letters, digits, `.`, `_` and `-`. Defaults to `zibrato-worker`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What the worker reads. Defaults to [`FeedKind::Live`].
    ///
    /// ```no_run
    /// use zibrato_workers::{FeedKind, Worker, carbon::Carbon};
    /// let carbon = Carbon::to("127.0.0.1:2003".parse()?);
    /// let worker = Worker::builder().name("shop-carbon").feed(FeedKind::Replay).start(carbon)?;
    /// # drop(worker);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn feed(mut self, feed: FeedKind) -> Self {
        self.feed = feed;
        self
    }

    /// Maximum speed at which a backlog is delivered, as a multiple of real time; it starts at twice
    /// real time. 0 means unlimited. Defaults to 60.
    #[must_use]
    pub const fn catch_up(mut self, times: u32) -> Self {
        self.catch_up = times;
        self
    }

    /// Keeps payloads that the backend rejects (dead letters) as files in `folder`, up to a total of
    /// `max_bytes`. Defaults to none: they are counted, logged and dropped.
    #[must_use]
    pub fn dead_letters(mut self, folder: impl Into<PathBuf>, max_bytes: u64) -> Self {
        self.dead_letters = Some((folder.into(), max_bytes));
        self
    }

    /// Time to wait before a payload is sent again: a random time below `first`, then below twice
    /// that, and so on up to `longest`. Defaults to half a second and a minute.
    #[must_use]
    pub const fn retry_between(mut self, first: Duration, longest: Duration) -> Self {
        self.pace.first = first;
        self.pace.longest = longest;
        self
    }

    /// The factor by which the limit of that time grows, at least 1. Defaults to 2.
    #[must_use]
    pub const fn retry_factor(mut self, factor: f64) -> Self {
        self.pace.factor = factor.max(1.0);
        self
    }

    /// The program that dead letters name.
    pub(crate) fn program(mut self, program: &str) -> Self {
        program.clone_into(&mut self.program);
        self
    }

    /// The settings for one of several destinations, or for the only one.
    pub(crate) fn for_destination(mut self, destination: Option<String>) -> Self {
        self.name = name_for(&self.name, destination.as_deref());
        self.destination = destination;
        self
    }

    /// Starts the worker. The broker need not be there yet.
    ///
    /// # Errors
    /// [`StartError`] when the configuration is invalid, or no more threads or sockets are available.
    pub fn start<B: Backend>(self, backend: B) -> Result<Worker, StartError> {
        self.start_with(backend, Stop::new().map_err(StartError::System)?)
    }

    /// Starts the worker on your own feed. It does not read from a broker, and ignores host, port,
    /// levels and [`feed`](Self::feed).
    ///
    /// # Errors
    /// [`StartError`] when the configuration is invalid, or no more threads are available.
    pub fn start_on<B: Backend>(self, feed: impl Feed, backend: B) -> Result<Worker, StartError> {
        self.check()?;
        self.start_threads(Box::new(feed), backend, Stop::new().map_err(StartError::System)?)
    }

    /// Checks whether the worker could start, as far as possible without starting it.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        if !(SHORTEST_FLUSH..=LONGEST_FLUSH).contains(&self.flush) {
            return Err(StartError::Flush { flush: self.flush });
        }
        if self.broker.endpoint().is_none() {
            let Broker { host, port, .. } = self.broker.clone();
            return Err(StartError::Address { host, port });
        }
        if self.feed == FeedKind::Replay && self.broker.replay().is_none() {
            return Err(StartError::Port { port: self.broker.port });
        }
        // The name becomes a header of requests and the name of a folder.
        let fits =
            (1..=MAX_NAME).contains(&self.name.len()) && self.name.chars().all(may_be_in_name);
        if !fits || self.name.starts_with('.') {
            return Err(StartError::Name { name: self.name.clone() });
        }
        Ok(())
    }
}

fn may_be_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

/// The name of the worker for a destination: that of the only worker, or that with the destination
/// appended.
pub(crate) fn name_for(name: &str, destination: Option<&str>) -> String {
    let Some(destination) = destination else { return name.to_owned() };
    let whole = format!("{name}.{}", destination.replace(|c| !may_be_in_name(c), "_"));
    if whole.len() <= MAX_NAME {
        return whole;
    }
    // A hash takes 16 characters, and a dot one.
    let head: String = whole.chars().take(MAX_NAME - 17).collect();
    format!("{head}.{:016x}", fnv1a(destination.as_bytes()))
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Shortage(shortage) => Self::Shortage(shortage),
            OpenError::Socket(source) => Self::Socket { source },
        }
    }
}

/// Why a worker could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The host or the port is invalid.
    #[error(
        "`{host}` with port {port} is not a valid address; give a host name or an address, without \
         port, or ipc:// and a broker's folder"
    )]
    Address {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The worker's name is invalid.
    #[error(
        "`{name}` is not a valid name for a worker; use 1 to 64 letters, digits, `.`, `_` and \
             `-`"
    )]
    Name {
        /// The invalid name.
        name: String,
    },
    /// The broker's replay port would be above the highest port.
    #[error(
        "port {port} is too high, because the journal is on the next port; give one up to 65534"
    )]
    Port {
        /// The port on which the broker publishes.
        port: u16,
    },
    /// The length of windows is out of range.
    #[error("flush {flush:?} is out of range (0.1 s to 1 day)")]
    Flush {
        /// The invalid length.
        flush: Duration,
    },
    /// The subscription could not be created.
    #[error("cannot create a subscription socket")]
    Socket {
        /// The error of libzmq.
        source: zmq::Error,
    },
    /// The system has too few descriptors, threads or memory left for a subscription.
    #[error(transparent)]
    Shortage(ShortageError),
    /// The system provided no thread or no descriptor.
    #[error("no more threads or file descriptors are available")]
    System(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAME, name_for};

    #[test]
    fn each_destination_has_a_valid_name_of_its_own() {
        assert_eq!(name_for("w", None), "w");
        assert_eq!(name_for("w", Some("g-1.example.com:2003:a")), "w.g-1.example.com_2003_a");
        assert_eq!(name_for("w", Some("[::1]:2003")), "w.___1__2003");
        let long =
            |end: &str| name_for("zibrato-carbon", Some(&format!("{}:{end}", "h".repeat(90))));
        assert!(long("1").len() == MAX_NAME && long("1") != long("2"), "{}", long("1"));
    }
}
