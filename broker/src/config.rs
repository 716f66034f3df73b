//! What a broker is told before it starts.

use crate::journal::JournalConfig;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use zibrato::curve::SecretKey;
use zibrato::wire::MAX_FRAME_BYTES;

/// The longest that is waited for anything; beyond it an `Instant` may have no room for the end.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// How a broker is to run.
///
/// ```
/// use zibrato_broker::Config;
/// let config = Config::new().host("localhost").port(6_000).high_water(1_000);
/// config.check().unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Config {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) max_frame: usize,
    pub(crate) high_water: u32,
    pub(crate) max_memory: u64,
    pub(crate) linger: Duration,
    pub(crate) settle: Duration,
    pub(crate) exposure: Exposure,
    /// The broker's key, and the list of those that are let in.
    pub(crate) curve: Option<(SecretKey, PathBuf)>,
    /// The folder to listen in, and the permissions of its sockets.
    pub(crate) ipc: Option<(PathBuf, u32)>,
    pub(crate) journal: Option<JournalConfig>,
}

/// Which addresses may be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// Any. Whoever reaches the ports may push and subscribe.
    Anywhere,
    /// Only those that other machines cannot reach.
    Loopback,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 5550,
            http: None,
            max_frame: MAX_FRAME_BYTES,
            high_water: 10_000,
            max_memory: u64::MAX,
            linger: Duration::from_secs(5),
            settle: Duration::ZERO,
            exposure: Exposure::Loopback,
            curve: None,
            ipc: None,
            journal: None,
        }
    }
}

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The address to listen on: a number or a name, or `off` for none. Defaults to `127.0.0.1`.
    /// Anything but loopback needs [`curve`](Self::curve) or [`insecure`](Self::insecure).
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Encrypts, under this key, and lets in only those whose public keys are in `allowed`: a file
    /// with one on each line, and after it who has it, or a folder of such files that end in `.pub`.
    /// [`Broker::reload_keys`](crate::Broker::reload_keys) reads it again. Defaults to neither.
    pub fn curve(mut self, key: SecretKey, allowed: impl Into<PathBuf>) -> Self {
        self.curve = Some((key, allowed.into()));
        self
    }

    /// Listens in this folder too, for programs of the same machine, which have
    /// `ipc:///the/folder` as their host. `mode` is that of the sockets: `0o600` for programs of the
    /// same user, `0o660` for those of the same group too. Defaults to no folder.
    pub fn ipc(mut self, folder: impl Into<PathBuf>, mode: u32) -> Self {
        self.ipc = Some((folder.into(), mode));
        self
    }

    /// The port for publishers; subscribers get the next one, those who read the journal the second
    /// after it, legacy publishers the third. 0 takes any that are free. Defaults to 5550.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Where to serve `/healthz`, `/readyz` and `/metrics`. Defaults to nowhere.
    pub fn http(mut self, address: Option<SocketAddr>) -> Self {
        self.http = address;
        self
    }

    /// The most bytes that a frame may have; who sends a larger one is disconnected. Defaults to
    /// 4 MiB.
    pub fn max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes;
        self
    }

    /// The most messages that wait for one subscriber, and from one publisher. Beyond it a
    /// subscriber loses messages and a publisher has to wait. Defaults to 10,000.
    pub fn high_water(mut self, messages: u32) -> Self {
        self.high_water = messages;
        self
    }

    /// How many bytes of memory the process is to stay within. From half of it on, so that
    /// there is room for what comes until it helps, it takes measures against peers that do not read
    /// what waits for them, or do not finish what they send: publishers who sent much are cut off and
    /// come back by themselves, so are subscribers and readers of the journal that do not read, and
    /// other readers get little at a time. Meanwhile messages of 64 KiB and more are dropped and
    /// counted, and all when the journal has no room either. Batches that were not acknowledged are
    /// sent again. It is the whole process that is
    /// looked at, the program around the broker included. Defaults to no bound; `zibrato-broker` has
    /// one of 512 MiB.
    pub fn max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = bytes;
        self
    }

    /// How long, when the broker stops, subscribers may take to read what still waits for them.
    /// Defaults to 5 s.
    pub fn linger(mut self, most: Duration) -> Self {
        self.linger = most.min(LONGEST);
        self
    }

    /// How long, when the broker starts, what publishers send waits for subscribers to come back.
    /// Publishers gather while a broker is away, and what they send first, all of it, would pass
    /// before the subscribers have found the new broker. Defaults to no time; `zibrato-broker` takes
    /// a second.
    pub fn settle(mut self, time: Duration) -> Self {
        self.settle = time.min(LONGEST);
        self
    }

    /// Keeps what is taken in a journal: batches are acknowledged when they are safe on disk, and
    /// those who read them later miss nothing. Defaults to none; `zibrato-broker` has one.
    pub fn journal(mut self, journal: impl Into<Option<JournalConfig>>) -> Self {
        self.journal = journal.into();
        self
    }

    /// Lets the broker listen where other machines can reach it. Nothing is encrypted, and whoever
    /// reaches the ports may push and subscribe. Defaults to loopback only.
    pub fn insecure(mut self) -> Self {
        self.exposure = Exposure::Anywhere;
        self
    }
}
