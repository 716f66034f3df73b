//! A running broker: how it is started, asked and stopped.

use crate::config::{Config, LONGEST};
use crate::counters::Counters;
use crate::curve::{AllowedError, Doorway, Gate, Guard, Reloaded};
use crate::descriptors::{self, DescriptorThread};
use crate::journal::{OpenedJournal, Parts};
use crate::memory::MemoryThread;
use crate::pages::page;
use crate::ports::Ports;
use crate::replay::{Desk, Now, ReplayThread};
use crate::router::{RouterSettings, RouterThread, WriteAhead};
use crate::shared::Shared;
use crate::start_error::StartError;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zibrato::clock;
use zibrato::daemon::{Hangup, HttpServer, NotifyOnDrop, Stop};
use zibrato::resources::Resources;
use zibrato::window::Dedup;
use zibrato::wire::{Endpoint, WantedLevels};

/// How long a broker that is dropped may take to hand on what it has.
const DROP_DEADLINE: Duration = Duration::from_secs(2);

/// Longer waits are cut into such.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How much longer than its deadline the router is waited for.
const GRACE: Duration = Duration::from_millis(500);

/// Descriptors of a broker with keys, pages and a journal, before the first connection.
const DESCRIPTORS: usize = 64;

/// Its threads, those of libzmq and of the pages included.
const THREADS: usize = 12;

/// Memory that it is to find at the start.
const MEMORY: usize = 128 << 20;

/// A broker that runs in threads of its own. Dropping it stops it, within two seconds.
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
    gate: Option<Arc<Gate>>,
    stop: Stop,
    ended: Stop,
    router: Option<JoinHandle<Result<(), zmq::Error>>>,
    replay: Replay,
    _memory: Option<MemoryThread>,
    _descriptors: DescriptorThread,
    // Last, so that it tells of the end until the end.
    http: Option<HttpServer>,
}

/// How a broker came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// What it had counted.
    pub counters: Counters,
    /// Whether it got ready in time.
    pub end: End,
}

/// Whether a broker got ready in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Everything that was taken has been handed on, as far as subscribers read it.
    Clean,
    /// The router failed; the log says why.
    Failed,
    /// The deadline passed first.
    TimedOut,
    /// The journal could not be written to the end: lines of the last second may be lost. What is
    /// not acknowledged publishers still have.
    Unwritten,
}

impl Broker {
    /// Whether the system has what a broker with so many bytes of memory takes of it.
    pub(crate) fn probe(max_memory: u64) -> Result<(), StartError> {
        needs(max_memory).probe().map_err(StartError::Shortage)
    }

    /// Listens, and begins to hand on.
    ///
    /// # Errors
    /// [`StartError`] when the host is unknown, a port is taken, or resources are short.
    pub fn start(config: Config) -> Result<Self, StartError> {
        Self::probe(config.max_memory)?;
        let opened = config.journal.as_ref().map(OpenedJournal::open).transpose()?;
        let (sockets, replay) = config.bind()?;
        let ports = sockets.ports.clone();
        let gate = sockets.gate.as_ref().map(|(gate, _)| Arc::clone(gate));
        let guard = (Guard::new(gate.clone()), Doorway::new(ports.clone(), Endpoint::Replay));
        let shared = Arc::new(Shared::new());
        let (stop, ended) = (Stop::new()?, Stop::new()?);
        let (journal, desk, dedup) = start_journal(&config, opened)?;
        let settings = RouterSettings {
            linger: config.linger,
            settle: config.settle,
            stop: stop.clone(),
            shared: Arc::clone(&shared),
        };
        let replay = (sockets.context.clone(), replay);
        let router = RouterThread::new(sockets, settings, journal, dedup);
        let router = router.map_err(StartError::Socket)?;
        // How a process allocates is its own affair, unless it is to be kept small.
        let memory = (config.max_memory < u64::MAX)
            .then(|| MemoryThread::start(config.max_memory, ports.clone(), Arc::clone(&shared)))
            .transpose()?;
        let descriptors = DescriptorThread::start(ports.clone(), Arc::clone(&shared))?;
        let for_pages = Arc::clone(&shared);
        let http = config
            .http
            .map(|address| HttpServer::start(address, move |path| page(path, &for_pages)))
            .transpose()
            .map_err(StartError::Http)?;
        let last_word = NotifyOnDrop::new(ended.clone());
        let router = std::thread::Builder::new().name("zb-router".to_owned()).spawn(move || {
            let _last_word = last_word;
            router.run().inspect_err(|error| tracing::error!(event = "router_failed", %error))
        })?;
        let replay = start_replay(replay, desk, guard, &shared)?;
        let router = Some(router);
        let (_memory, _descriptors) = (memory, descriptors);
        Ok(Self { ports, shared, gate, stop, ended, router, replay, http, _memory, _descriptors })
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

    /// The port for those who read the journal.
    #[must_use]
    pub const fn replay_port(&self) -> u16 {
        self.ports.port(Endpoint::Replay)
    }

    /// The port for legacy publishers, which are PUB sockets.
    #[must_use]
    pub const fn legacy_port(&self) -> u16 {
        self.ports.port(Endpoint::Legacy)
    }

    /// The endpoint with one of the ports, as ZeroMQ takes it: `tcp://127.0.0.1:5550`.
    #[must_use]
    pub fn endpoint(&self, port: u16) -> String {
        self.ports.tcp_endpoint(port).unwrap_or_default()
    }

    /// The addresses of an endpoint, over TCP and in a folder, as ZeroMQ takes them.
    #[must_use]
    pub fn endpoints(&self, endpoint: Endpoint) -> Vec<String> {
        self.ports.endpoints(endpoint)
    }

    /// Reads the list of allowed keys again. Who is no longer on it gets nothing in and nothing out
    /// any more; subscribers and readers are cut off for a moment then, and those who are on it come
    /// back by themselves. Says how the lists differ; nothing if the broker does not encrypt.
    ///
    /// # Errors
    /// [`AllowedError`] when the list cannot be used; then the one before stays in force.
    pub fn reload_keys(&self) -> Result<Option<Reloaded>, AllowedError> {
        self.gate.as_ref().map(|gate| gate.reload()).transpose()
    }

    /// Where `/healthz`, `/readyz` and `/metrics` are served, if they are.
    #[must_use]
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(HttpServer::address)
    }

    /// What has been counted so far. Under load it may be a moment old.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// The levels that subscribers want.
    #[must_use]
    pub fn wanted(&self) -> WantedLevels {
        self.shared.wanted()
    }

    /// Waits until `stop` is raised or the broker has failed. With each HUP until then it
    /// [reads keys again](Self::reload_keys), and says so in the log.
    pub fn wait(&self, stop: &Stop, hangup: &Hangup) {
        while !self.wait_for(stop, hangup, LONGEST_WAIT) {}
    }

    /// As [`wait`](Self::wait), but no longer than `timeout`; whether it is over.
    pub(crate) fn wait_for(&self, stop: &Stop, hangup: &Hangup, timeout: Duration) -> bool {
        let mut items = [
            zmq::PollItem::from_fd(stop.as_raw_fd(), zmq::POLLIN),
            zmq::PollItem::from_fd(self.ended.as_raw_fd(), zmq::POLLIN),
            zmq::PollItem::from_fd(hangup.as_raw_fd(), zmq::POLLIN),
        ];
        let millis = timeout.min(LONGEST_WAIT).as_millis() as i64;
        // An interrupted wait is a short one.
        let woken = zmq::poll(&mut items, millis).is_ok_and(|ready| ready > 0);
        if hangup.take() {
            self.log_reload();
        }
        woken && (items[0].is_readable() || items[1].is_readable())
    }

    fn log_reload(&self) {
        match self.reload_keys() {
            Ok(None) => {
                tracing::info!(event = "reloaded", why = "there are no keys to reload");
            }
            Ok(Some(Reloaded { allowed, added, revoked })) => {
                tracing::info!(event = "reloaded", allowed, added, revoked);
                if allowed == 0 {
                    tracing::warn!(
                        event = "no_keys_allowed",
                        why = "the list has no keys, so no \
                                                                     client can connect"
                    );
                }
            }
            Err(error) => {
                let why = "the previous list stays in force";
                tracing::error!(event = "reload_failed", %error, why);
            }
        }
    }

    /// What keeps the broker from being ready, if something does, as `/readyz` says it.
    pub(crate) fn unready(&self) -> Option<String> {
        self.shared.unready()
    }

    /// Whether the router has moved lately.
    pub(crate) fn is_alive(&self) -> bool {
        self.shared.is_alive()
    }

    /// Takes what publishers have sent already, hands it on, gives subscribers time to read, and
    /// ends; all of that within `deadline`.
    #[must_use]
    pub fn stop(mut self, deadline: Duration) -> StopReport {
        let end = self.end(deadline);
        StopReport { counters: self.shared.counters(), end }
    }

    fn end(&mut self, deadline: Duration) -> End {
        let Some(router) = self.router.take() else { return End::Clean };
        let deadline = deadline.min(LONGEST);
        let until = Instant::now() + deadline;
        self.shared.order_stop(until);
        self.stop.raise();
        let in_time = self.ended.wait(deadline + GRACE);
        // Readers are served until the end. The last of the two threads then waits, as long as was
        // agreed, for subscribers to read: the sockets of both have one context.
        let left = until.saturating_duration_since(Instant::now());
        let replay_ended = self.replay.end(left + GRACE);
        if !in_time || !replay_ended {
            return End::TimedOut;
        }
        match router.join() {
            Ok(Ok(())) if self.shared.counters().dropped.of("journal") > 0 => End::Unwritten,
            Ok(Ok(())) => End::Clean,
            Ok(Err(_)) | Err(_) => End::Failed,
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end(DROP_DEADLINE);
    }
}

/// What a broker takes of the system in all before the first connection, and is to have left then; and
/// the address space with which it can have as much memory as it may.
const fn needs(max_memory: u64) -> Resources {
    let data = if max_memory == u64::MAX { MEMORY as u64 } else { max_memory };
    Resources {
        descriptors: DESCRIPTORS + descriptors::FEWEST as usize,
        threads: THREADS,
        memory: MEMORY,
        address_space: Resources::address_space_of(THREADS, data),
    }
}

/// The thread of the replay port.
#[derive(Debug)]
struct Replay {
    stop: Stop,
    ended: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Replay {
    /// Ends the thread, and says whether it has ended.
    fn end(&mut self, within: Duration) -> bool {
        self.stop.raise();
        let ended = self.ended.wait(within);
        if let Some(thread) = self.thread.take().filter(|_| ended) {
            // It has said its last word, so this does not wait.
            drop(thread.join());
        }
        ended
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.end(GRACE);
    }
}

/// Starts the journal's thread, if there is a journal; gives what the router and the replay port
/// need of it, and what was taken before.
fn start_journal(
    config: &Config,
    opened: Option<OpenedJournal>,
) -> Result<(Option<WriteAhead>, Option<Desk>, Dedup), StartError> {
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
    let desk = Desk::new(log, cursors, keep, now);
    Ok((Some(WriteAhead::new(journal)), Some(desk), sequences))
}

fn start_replay(
    socket: (zmq::Context, zmq::Socket),
    desk: Option<Desk>,
    guard: (Guard, Doorway),
    shared: &Arc<Shared>,
) -> Result<Replay, StartError> {
    let (stop, ended) = (Stop::new()?, Stop::new()?);
    let replay = ReplayThread::new(socket, desk, guard, (stop.clone(), Arc::clone(shared)));
    let last_word = NotifyOnDrop::new(ended.clone());
    let thread = std::thread::Builder::new().name("zb-replay".to_owned()).spawn(move || {
        let _last_word = last_word;
        if let Err(error) = replay.run() {
            tracing::error!(event = "replay_failed", %error);
        }
    })?;
    Ok(Replay { stop, ended, thread: Some(thread) })
}
