//! The configuration of a broker.

use crate::intake::Intake;
use crate::intake::rules::{RulesError, RulesStore};
use crate::journal::JournalConfig;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use zibrato::Level;
use zibrato::curve::SecretKey;
use zibrato::wire::MAX_FRAME_BYTES;

/// The longest wait. An `Instant` may not be able to represent the end of a longer one.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The configuration of a [`Broker`](crate::Broker).
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
    /// The broker's key, and the list of allowed keys.
    pub(crate) curve: Option<(SecretKey, PathBuf)>,
    /// The folder to listen in, and the permissions of its sockets.
    pub(crate) ipc: Option<(PathBuf, u32)>,
    pub(crate) journal: Option<JournalConfig>,
    pub(crate) intakes: Vec<Arc<dyn Intake>>,
    pub(crate) intake_level: Option<Level>,
    pub(crate) rules: Option<Arc<RulesStore>>,
}

/// Which addresses may be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// Any. Anyone who reaches the ports may publish and subscribe.
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
            intakes: Vec::new(),
            intake_level: None,
            rules: None,
        }
    }
}

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The address or host name to listen on, or `off` for none. Defaults to `127.0.0.1`.
    /// Any address but loopback needs [`curve`](Self::curve) or [`insecure`](Self::insecure).
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Encrypts connections with this key, and accepts only clients whose public keys are in
    /// `allowed`: a file with one key per line, followed by its owner, or a folder of such files that
    /// end in `.pub`. [`Broker::reload_keys`](crate::Broker::reload_keys) reloads it. Defaults to no
    /// encryption.
    pub fn curve(mut self, key: SecretKey, allowed: impl Into<PathBuf>) -> Self {
        self.curve = Some((key, allowed.into()));
        self
    }

    /// Also listens on Unix sockets in this folder, for programs on the same machine, whose host is
    /// `ipc:///the/folder`. `mode` is the mode of the sockets: `0o600` for programs of the same user,
    /// `0o660` for those of the same group too. Defaults to no folder.
    pub fn ipc(mut self, folder: impl Into<PathBuf>, mode: u32) -> Self {
        self.ipc = Some((folder.into(), mode));
        self
    }

    /// The port for publishers. The next one is for subscribers, the second for readers of the
    /// journal, the third for legacy publishers. 0 picks free ports. Defaults to 5550.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The address of the pages `/healthz`, `/readyz` and `/metrics`. Defaults to none.
    pub fn http(mut self, address: Option<SocketAddr>) -> Self {
        self.http = address;
        self
    }

    /// Maximum size of a frame, in bytes. A client that sends a larger one is disconnected. Defaults
    /// to 4 MiB.
    pub fn max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes;
        self
    }

    /// Maximum number of messages queued for one subscriber, and from one publisher. Beyond it a
    /// subscriber loses messages, and a publisher has to wait. Defaults to 10,000.
    pub fn high_water(mut self, messages: u32) -> Self {
        self.high_water = messages;
        self
    }

    /// Memory limit of the whole process, in bytes, including the program around the broker. At
    /// half the limit, the broker disconnects heavy senders, and subscribers and readers of the
    /// journal that do not read; they may reconnect. Other readers get smaller answers. Messages of
    /// 64 KiB and more are then dropped and counted, and so are all other messages if the journal
    /// has no space. Publishers send unacknowledged batches again. Defaults to no limit;
    /// `zibrato-broker` has one of 512 MiB.
    pub fn max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = bytes;
        self
    }

    /// Maximum time for subscribers to read their queued messages when the broker stops. Defaults
    /// to 5 s.
    pub fn linger(mut self, most: Duration) -> Self {
        self.linger = most.min(LONGEST);
        self
    }

    /// Time after a start during which the broker publishes nothing, so that subscribers can
    /// reconnect. Publishers keep their measurements while a broker is away, and subscribers that
    /// have not reconnected would lose the first batches. Defaults to no time; `zibrato-broker`
    /// waits a second.
    pub fn settle(mut self, time: Duration) -> Self {
        self.settle = time.min(LONGEST);
        self
    }

    /// Keeps batches in a journal. They are acknowledged once they are on disk, and readers of the
    /// journal miss nothing. Defaults to no journal; `zibrato-broker` has one.
    pub fn journal(mut self, journal: impl Into<Option<JournalConfig>>) -> Self {
        self.journal = journal.into();
        self
    }

    /// Adds an intake. Defaults to none besides the ports of the broker.
    pub fn intake(mut self, intake: impl Intake) -> Self {
        self.intakes.push(Arc::new(intake));
        self
    }

    /// The level of measurements from intakes whose protocol has no levels. Defaults to `info`.
    pub fn intake_level(mut self, level: Level) -> Self {
        self.intake_level = Some(level);
        self
    }

    /// Applies the rules in this file to what intakes receive. `docs/rules.md` in the repository
    /// describes it. [`Broker::reload_rules`](crate::Broker::reload_rules) reloads it. Defaults to no
    /// rules.
    ///
    /// # Errors
    /// [`RulesError`] if the file cannot be read or has an error.
    pub fn rules(mut self, file: impl AsRef<Path>) -> Result<Self, RulesError> {
        self.rules = Some(Arc::new(RulesStore::open(file.as_ref())?));
        Ok(self)
    }

    /// Allows addresses that other machines can reach. Without [`curve`](Self::curve), nothing is
    /// encrypted, and anyone who reaches the ports may publish and subscribe. The pages, and
    /// [unprotected](Intake::unprotected) addresses of intakes, need this even with keys. Defaults to
    /// loopback only.
    pub fn insecure(mut self) -> Self {
        self.exposure = Exposure::Anywhere;
        self
    }
}
