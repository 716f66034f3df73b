//! A running broker: start, status and stop.

mod owned_thread;
mod reload;

use crate::config::{Config, LONGEST};
use crate::counters::Counters;
use crate::curve::{KeyStore, Listener, RevocationFilter};
use crate::intake::rules::RulesStore;
use crate::intake::{self, IntakeThreads, IntakesEnd};
use crate::journal::{OpenedJournal, Parts};
use crate::libzmq::memory::MemoryThread;
use crate::libzmq::reserve::FEWEST;
use crate::pages::page;
use crate::ports::Ports;
use crate::replay::{FetchHandler, Now, ReplayThread};
use crate::router::{RouterSettings, RouterThread, WriteAhead};
use crate::shared::Shared;
use crate::start_error::StartError;
use owned_thread::OwnedThread;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::Level;
use zibrato::clock;
use zibrato::daemon::{Hangup, HttpServer, Stop};
use zibrato::resources::Resources;
use zibrato::window::Dedup;
use zibrato::wire::{Endpoint, WantedLevels};

/// Maximum time to publish queued messages when a broker is dropped.
const DROP_DEADLINE: Duration = Duration::from_secs(2);

/// Maximum duration of one wait. Longer waits are split.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Default level of measurements from intakes whose protocol has no levels.
const INTAKE_LEVEL: &str = "info";

/// Extra time to wait for the router after its deadline.
const GRACE: Duration = Duration::from_millis(500);

/// File descriptors of a broker with keys, pages and a journal, before the first connection.
const DESCRIPTORS: usize = 64;

/// Threads of such a broker, including those of libzmq and of the HTTP pages.
const THREADS: usize = 12;

/// Memory that must be available at the start.
const MEMORY: usize = 128 << 20;

/// A broker that runs in separate threads. Dropping it stops it within two seconds.
///
/// ```
/// use std::time::Duration;
/// use zibrato_broker::{Broker, Config};
/// let broker = Broker::start(Config::new().port(0))?;
/// assert_eq!(broker.publish_port(), broker.port() + 1);
/// let report = broker.stop(Duration::from_secs(10));
/// assert_eq!(report.counters.lines(), 0);
/// # Ok::<(), zibrato_broker::StartError>(())
/// ```
#[derive(Debug)]
pub struct Broker {
    ports: Ports,
    shared: Arc<Shared>,
    key_store: Option<Arc<KeyStore>>,
    rules: Option<Arc<RulesStore>>,
    intakes: IntakeThreads,
    router: OwnedThread<Result<(), zmq::Error>>,
    replay: OwnedThread<()>,
    _memory: Option<MemoryThread>,
    // Last, so that it serves until the end.
    http: Option<HttpServer>,
}

/// How a broker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// Its final counters.
    pub counters: Counters,
    /// Whether it finished in time.
    pub end: End,
}

/// Whether a broker finished in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Everything that was accepted has been published, as far as subscribers read it.
    Clean,
    /// The router failed; the log says why.
    Failed,
    /// An intake failed while it ended, such as StatsD when it saves its gauges; the log says why.
    IntakeFailed,
    /// The deadline passed first.
    TimedOut,
    /// The journal could not be written completely: lines of the last second may be lost.
    /// Publishers still have all batches that are not acknowledged.
    Unwritten,
}

impl Broker {
    /// Checks whether the system has the resources for a broker with this memory limit.
    pub(crate) fn probe(max_memory: u64) -> Result<(), StartError> {
        needs(max_memory).probe().map_err(StartError::Shortage)
    }

    /// Starts listening and publishing.
    ///
    /// # Errors
    /// [`StartError`] if the host is unknown, a port is in use, or resources are short.
    pub fn start(config: Config) -> Result<Self, StartError> {
        Self::probe(config.max_memory)?;
        let opened = config.journal.as_ref().map(OpenedJournal::open).transpose()?;
        let (sockets, replay) = config.bind()?;
        let level = config.intake_level.as_ref().map_or(INTAKE_LEVEL, Level::as_str);
        let (opened_intakes, sides) =
            intake::open(&config.intakes, level, config.rules.as_ref(), &sockets.context)?;
        let ports = sockets.ports.clone();
        let key_store = sockets.key_store.as_ref().map(|(key_store, _)| Arc::clone(key_store));
        let filter = (
            RevocationFilter::new(key_store.clone()),
            Listener::new(ports.clone(), Endpoint::Replay),
        );
        let shared = Arc::new(Shared::new());
        let (stop, stop_replay) = (Stop::new()?, Stop::new()?);
        let (journal, handler, dedup) = start_journal(&config, opened)?;
        let settings = RouterSettings {
            linger: config.linger,
            settle: config.settle,
            stop: stop.clone(),
            shared: Arc::clone(&shared),
        };
        let replay = (sockets.context.clone(), replay);
        let for_replay = (stop_replay.clone(), Arc::clone(&shared));
        let replay = ReplayThread::new(replay, handler, filter, for_replay);
        let router = RouterThread::new(sockets, sides, settings, journal, dedup);
        let router = router.map_err(StartError::Socket)?;
        // The allocator of the process is configured only if there is a memory limit.
        let memory = (config.max_memory < u64::MAX)
            .then(|| MemoryThread::start(config.max_memory, ports.clone(), Arc::clone(&shared)))
            .transpose()?;
        let for_pages = (Arc::clone(&shared), config.rules.clone());
        let page = move |path: &str| page(path, &for_pages.0, for_pages.1.as_deref());
        let http = config
            .http
            .map(|address| HttpServer::start(address, page))
            .transpose()
            .map_err(StartError::Http)?;
        let router = OwnedThread::start("zb-router", stop, || {
            router.run().inspect_err(|error| tracing::error!(event = "router_failed", %error))
        })?;
        let replay = OwnedThread::start("zb-replay", stop_replay, || {
            if let Err(error) = replay.run() {
                tracing::error!(event = "replay_failed", %error);
            }
        })?;
        let (intakes, rules) = (IntakeThreads::default(), config.rules);
        let mut broker = Self {
            ports,
            shared,
            key_store,
            rules,
            intakes,
            router,
            replay,
            http,
            _memory: memory,
        };
        broker.intakes = IntakeThreads::start(opened_intakes)?;
        Ok(broker)
    }

    /// The port for publishers.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.ports.port(Endpoint::Publishers)
    }

    /// The port for subscribers.
    #[must_use]
    pub const fn publish_port(&self) -> u16 {
        self.ports.port(Endpoint::Subscribers)
    }

    /// The port for readers of the journal.
    #[must_use]
    pub const fn replay_port(&self) -> u16 {
        self.ports.port(Endpoint::Replay)
    }

    /// The port for legacy publishers, which are PUB sockets.
    #[must_use]
    pub const fn legacy_port(&self) -> u16 {
        self.ports.port(Endpoint::Legacy)
    }

    /// The ZeroMQ address of one of the ports, such as `tcp://127.0.0.1:5550`.
    #[must_use]
    pub fn endpoint(&self, port: u16) -> String {
        self.ports.tcp_endpoint(port).unwrap_or_default()
    }

    /// The ZeroMQ addresses of an endpoint, over TCP and in a folder.
    #[must_use]
    pub fn endpoints(&self, endpoint: Endpoint) -> Vec<String> {
        self.ports.endpoints(endpoint)
    }

    /// The address on which the [intake](Config::intake) with this name listens.
    #[must_use]
    pub fn intake_address(&self, name: &str) -> Option<&str> {
        self.intakes.addresses().find(|(of, _)| *of == name).map(|(_, address)| address)
    }

    /// The name and the address of each intake that has a thread of its own.
    pub(crate) fn intakes(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.intakes.addresses()
    }

    /// The address of `/healthz`, `/readyz` and `/metrics`, if they are served.
    #[must_use]
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(HttpServer::address)
    }

    /// The current counters. Under load they may be slightly outdated.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// The levels that subscribers and cursors want.
    #[must_use]
    pub fn wanted(&self) -> WantedLevels {
        self.shared.wanted()
    }

    /// Waits until `stop` is raised or the broker has failed. Each HUP [reloads the
    /// keys](Self::reload_keys) and the [rules](Self::reload_rules), and logs the result.
    pub fn wait(&self, stop: &Stop, hangup: &Hangup) {
        while !self.wait_for(stop, hangup, LONGEST_WAIT) {}
    }

    /// Like [`wait`](Self::wait), but at most `timeout`. Returns whether the wait is over.
    pub(crate) fn wait_for(&self, stop: &Stop, hangup: &Hangup, timeout: Duration) -> bool {
        let mut items = [
            zmq::PollItem::from_fd(stop.as_raw_fd(), zmq::POLLIN),
            zmq::PollItem::from_fd(self.router.ended().as_raw_fd(), zmq::POLLIN),
            zmq::PollItem::from_fd(hangup.as_raw_fd(), zmq::POLLIN),
        ];
        let millis = timeout.min(LONGEST_WAIT).as_millis() as i64;
        // A signal ends the wait early.
        let woken = zmq::poll(&mut items, millis).is_ok_and(|ready| ready > 0);
        if hangup.take() {
            self.log_reload();
        }
        woken && (items[0].is_readable() || items[1].is_readable())
    }

    /// The reason why the broker is not ready, as `/readyz` shows it. `None` if it is ready.
    pub(crate) fn unready(&self) -> Option<String> {
        self.shared.unready()
    }

    /// Whether the router has made progress recently.
    pub(crate) fn is_alive(&self) -> bool {
        self.shared.is_alive()
    }

    /// Accepts and publishes what publishers have already sent, gives subscribers time to read, and
    /// ends, all within `deadline`.
    #[must_use]
    pub fn stop(mut self, deadline: Duration) -> StopReport {
        let end = self.end(deadline);
        StopReport { counters: self.shared.counters(), end }
    }

    fn end(&mut self, deadline: Duration) -> End {
        let until = Instant::now() + deadline.min(LONGEST);
        let left = || until.saturating_duration_since(Instant::now()) + GRACE;
        // Intakes stop first, because the router still has to accept their last batches.
        let intakes = self.intakes.stop(Instant::now() + deadline.min(LONGEST) / 2);
        self.shared.order_stop(until);
        let router = self.router.end(left());
        // Readers are served until the end. The last of the two threads then waits, up to the
        // linger time, for subscribers to read, because the sockets of both threads share one
        // context.
        let replay = self.replay.end(left());
        let (Some(router), Some(_)) = (router, replay) else { return End::TimedOut };
        if intakes == IntakesEnd::Late {
            return End::TimedOut;
        }
        match router {
            Ok(Ok(())) if self.shared.counters().dropped.of("journal") > 0 => End::Unwritten,
            Ok(Ok(())) if intakes == IntakesEnd::Failed => End::IntakeFailed,
            Ok(Ok(())) => End::Clean,
            Ok(Err(_)) | Err(_) => End::Failed,
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.router.is_owned() {
            self.end(DROP_DEADLINE);
        }
    }
}

/// The resources that must be available when a broker starts, including the address space for its
/// maximum memory.
const fn needs(max_memory: u64) -> Resources {
    let data = if max_memory == u64::MAX { MEMORY as u64 } else { max_memory };
    Resources {
        descriptors: DESCRIPTORS + FEWEST as usize,
        threads: THREADS,
        memory: MEMORY,
        address_space: Resources::address_space_of(THREADS, data),
    }
}

/// Starts the journal's thread, if there is a journal. Returns the parts for the router and the
/// replay port, and the sequences of earlier batches.
fn start_journal(
    config: &Config,
    opened: Option<OpenedJournal>,
) -> Result<(Option<WriteAhead>, Option<FetchHandler>, Dedup), StartError> {
    let (Some(settings), Some(opened)) = (&config.journal, opened) else {
        return Ok((None, None, Dedup::new(Dedup::MAX_PAIRS)));
    };
    let Parts { journal, sequences, cursors } = opened.start()?;
    let log = Arc::clone(&journal.log);
    let health = log.health();
    tracing::info!(
        event = "journal_opened",
        journal = %log.path().display(),
        last_offset = log.end(),
        bytes = health.kept_bytes,
    );
    if health.cut_bytes > 0 || health.damaged > 0 {
        tracing::warn!(
            event = "journal_mended",
            cut_bytes = health.cut_bytes,
            damaged = health.damaged,
            why = "the incomplete end was cut, and damaged places are skipped; `zibrato-broker \
                   journal verify` lists them"
        );
    }
    let now = Now { at: Instant::now(), ms: clock::unix_ms() };
    let keep = (settings.keep_levels.clone(), settings.max_age_ms());
    let handler = FetchHandler::new(log, cursors, keep, now);
    Ok((Some(WriteAhead::new(journal)), Some(handler), sequences))
}
