//! A running broker: how it is started, asked and stopped.

use crate::bind::{Ports, StartError};
use crate::config::{Config, LONGEST};
use crate::counters::Counters;
use crate::curve::{AllowedError, Gate, Reloaded};
use crate::pages::page;
use crate::raise::RaiseOnDrop;
use crate::router::RouterThread;
use crate::shared::Shared;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zibrato::daemon::{Hangup, HttpServer, Stop};
use zibrato::wire::{Door, WantedLevels};

/// How long a broker that is dropped may take to hand on what it has.
const DROP_DEADLINE: Duration = Duration::from_secs(2);

/// How much longer than its deadline the router is waited for.
const GRACE: Duration = Duration::from_millis(500);

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
}

impl Broker {
    /// Listens, and begins to hand on.
    ///
    /// # Errors
    /// [`StartError`] when the host is unknown, a port is taken, or resources are short.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let sockets = config.bind()?;
        let ports = sockets.ports.clone();
        let gate = sockets.gate.as_ref().map(|(gate, _)| Arc::clone(gate));
        let shared = Arc::new(Shared::new());
        let (stop, ended) = (Stop::new()?, Stop::new()?);
        let (ask, tell) = (stop.clone(), Arc::clone(&shared));
        let router = RouterThread::new(sockets, config.linger, config.settle, ask, tell);
        let router = router.map_err(StartError::Socket)?;
        let for_pages = Arc::clone(&shared);
        let http = config
            .http
            .map(|address| HttpServer::start(address, move |path| page(path, &for_pages)))
            .transpose()
            .map_err(StartError::Http)?;
        let last_word = RaiseOnDrop(ended.clone());
        let router = std::thread::Builder::new().name("zb-router".to_owned()).spawn(move || {
            let _last_word = last_word;
            router.run().inspect_err(|error| tracing::error!(event = "router_failed", %error))
        })?;
        Ok(Self { ports, shared, gate, stop, ended, router: Some(router), http })
    }

    /// The port for publishers.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.ports.port(Door::Publishers)
    }

    /// The port for subscribers.
    #[must_use]
    pub const fn publish_port(&self) -> u16 {
        self.ports.port(Door::Subscribers)
    }

    /// The port for legacy publishers, which are PUB sockets.
    #[must_use]
    pub const fn legacy_port(&self) -> u16 {
        self.ports.port(Door::Legacy)
    }

    /// The endpoint with one of the ports, as ZeroMQ takes it: `tcp://127.0.0.1:5550`.
    #[must_use]
    pub fn endpoint(&self, port: u16) -> String {
        self.ports.tcp_endpoint(port).unwrap_or_default()
    }

    /// Everywhere that a door is, over TCP and in a folder, as ZeroMQ takes it.
    #[must_use]
    pub fn endpoints(&self, door: Door) -> Vec<String> {
        self.ports.endpoints(door)
    }

    /// Reads the list of allowed keys again. Who is no longer on it gets nothing in and nothing out
    /// any more; subscribers are cut off for a moment then, and those who are on it come back by
    /// themselves. Says how the lists differ; nothing if the broker does not encrypt.
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
        loop {
            let mut items = [
                zmq::PollItem::from_fd(stop.as_raw_fd(), zmq::POLLIN),
                zmq::PollItem::from_fd(self.ended.as_raw_fd(), zmq::POLLIN),
                zmq::PollItem::from_fd(hangup.as_raw_fd(), zmq::POLLIN),
            ];
            // An interrupted wait goes on.
            while zmq::poll(&mut items, -1) == Err(zmq::Error::EINTR) {}
            if items[0].is_readable() || items[1].is_readable() {
                return;
            }
            if hangup.take() {
                self.log_reload();
            }
        }
    }

    fn log_reload(&self) {
        match self.reload_keys() {
            Ok(None) => {
                tracing::info!(event = "reloaded", why = "without keys nothing is read again")
            }
            Ok(Some(Reloaded { allowed, added, revoked })) => {
                tracing::info!(event = "reloaded", allowed, added, revoked);
                if allowed == 0 {
                    tracing::warn!(event = "no_keys_allowed", why = "nobody is let in");
                }
            }
            Err(error) => {
                let why = "the list from before stays in force";
                tracing::error!(event = "reload_failed", %error, why);
            }
        }
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
        self.shared.order_stop(Instant::now() + deadline);
        self.stop.raise();
        if !self.ended.wait(deadline + GRACE) {
            return End::TimedOut;
        }
        match router.join() {
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
