//! The StatsD intake: StatsD and DogStatsD over UDP, TCP and Unix sockets.
//!
//! ```text
//! sockets ─▶ zb-statsd-N: receive, decode, add to a table ─ once a second ─▶ zb-statsd ─▶ broker
//!                          state/table.rs                    publish.rs
//! ```
//!
//! Each receiving thread has its own sockets and table. The thread `zb-statsd` publishes what the
//! tables contain, so receiving does not wait for the broker.

mod address;
mod admin;
mod file;
mod flags;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod grammar;
mod identity;
mod number;
mod publish;
mod receive;
mod samples;
mod shared;
mod state;
mod threads;
#[cfg(test)]
mod vectors;
mod why;

pub(crate) use flags::StatsdFlags;
pub(crate) use samples::{Shown, samples};

use super::flag_error::{Collected, FlagError};
use super::host_port::HostPort;
use super::{Intake, IntakeError, OpenIntake, Unprotected};
use address::Address;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use threads::{Open, Threads};

/// The StatsD intake. It listens at the addresses that are added.
///
/// ```
/// use zibrato_broker::{Broker, Config, Statsd};
/// let statsd = Statsd::new().listen("127.0.0.1:0")?;
/// let broker = Broker::start(Config::new().port(0).intake(statsd))?;
/// assert!(broker.intake_address("statsd").is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Statsd {
    listen: Vec<Address<HostPort>>,
    sockets: Vec<Address<PathBuf>>,
    stream_sockets: Vec<Address<PathBuf>>,
    level: Option<String>,
    source: Option<String>,
    threads: usize,
    max_series: usize,
    gauges: Option<PathBuf>,
    admin: Option<HostPort>,
}

impl Default for Statsd {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            sockets: Vec::new(),
            stream_sockets: Vec::new(),
            level: None,
            source: None,
            threads: 1,
            max_series: MAX_SERIES,
            gauges: None,
            admin: None,
        }
    }
}

/// Default for the maximum number of series of a receiving thread.
const MAX_SERIES: usize = 1_000_000;

/// Approximate memory of a series with a name of usual length and few tags, in bytes.
const SERIES_BYTES: u64 = 400;

impl Statsd {
    /// Listens nowhere yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a UDP port and the TCP port with the same number: `HOST:PORT`, with `dogstatsd://` in
    /// front for clients of Datadog. With port 0 the system chooses one.
    ///
    /// # Errors
    /// If the address is not of this form.
    pub fn listen(mut self, address: &str) -> Result<Self, String> {
        self.listen.push(address.parse()?);
        Ok(self)
    }

    /// Adds a Unix socket for packets, with `dogstatsd://` in front for clients of Datadog.
    ///
    /// # Errors
    /// If the path is empty or the dialect unknown.
    pub fn socket(mut self, path: &str) -> Result<Self, String> {
        self.sockets.push(path.parse()?);
        Ok(self)
    }

    /// Adds a Unix socket for connections, with `dogstatsd://` in front for clients of Datadog.
    ///
    /// # Errors
    /// If the path is empty or the dialect unknown.
    pub fn stream_socket(mut self, path: &str) -> Result<Self, String> {
        self.stream_sockets.push(path.parse()?);
        Ok(self)
    }

    /// The level of what is received. Defaults to
    /// [`Config::intake_level`](crate::Config::intake_level).
    pub fn level(mut self, level: &zibrato::Level) -> Self {
        self.level = Some(level.as_str().to_owned());
        self
    }

    /// The source of series without a tag `source` or `host`. Defaults to the host name.
    pub fn source(mut self, source: &zibrato::Source) -> Self {
        self.source = Some(source.as_str().to_owned());
        self
    }

    /// Number of receiving threads. Defaults to 1.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Maximum number of series of each receiving thread, and of gauges of all threads. Further series
    /// are folded together under the name `_overflow`; readings of further gauges are rejected.
    /// Defaults to 1,000,000.
    pub const fn max_series(mut self, series: usize) -> Self {
        self.max_series = series;
        self
    }

    /// The file that keeps gauges over a restart. Defaults to none.
    pub fn gauges(mut self, file: impl Into<PathBuf>) -> Self {
        self.gauges = Some(file.into());
        self
    }

    /// The TCP port that answers commands: `HOST:PORT`. Defaults to none.
    ///
    /// # Errors
    /// If the address is not of this form.
    pub fn admin(mut self, address: &str) -> Result<Self, String> {
        self.admin = Some(address.parse()?);
        Ok(self)
    }
}

impl Intake for Statsd {
    fn name(&self) -> &'static str {
        "statsd"
    }

    fn levels(&self) -> Vec<String> {
        self.level.iter().cloned().collect()
    }

    fn unprotected(&self) -> Vec<Unprotected> {
        let listen = self.listen.iter().map(|address| Unprotected::new("--statsd", &address.at));
        let admin = self
            .admin
            .iter()
            .map(|admin| Unprotected::new("--statsd-admin", admin).for_those_who("delete series"));
        listen.chain(admin).collect()
    }

    fn warnings(&self) -> Vec<String> {
        self.gauges.as_deref().map(|file| file::examine(file, self.max_series)).unwrap_or_default()
    }

    fn max_bytes(&self) -> u64 {
        let series = (self.threads as u64).saturating_mul(self.max_series as u64);
        series.saturating_mul(SERIES_BYTES)
    }

    fn open(&self) -> Result<OpenIntake, IntakeError> {
        let mut open = Open::new(self.threads, self.max_series);
        let mut text = String::new();
        let mut errors = Collected::default();
        for address in &self.listen {
            let bound = errors.take(address.bind(self.threads));
            let Some((at, packets, listener)) = bound else { continue };
            write!(text, "{at},")?;
            open.add_packets(packets);
            open.add_listener(listener);
        }
        for address in &self.sockets {
            let bound = errors.take(address.bind_packets());
            let Some((file, packets)) = bound else { continue };
            write!(text, "{},", address.at.display())?;
            open.files.push(file);
            open.add_packets(vec![packets]);
        }
        for address in &self.stream_sockets {
            let bound = errors.take(address.bind_stream());
            let Some((file, listener)) = bound else { continue };
            write!(text, "{},", address.at.display())?;
            open.files.push(file);
            open.add_listener(listener);
        }
        let admin = self.admin.as_ref().and_then(|admin| errors.take(bind_admin(admin)));
        if let Some(listener) = admin {
            listener.set_nonblocking(true)?;
            write!(text, "admin={},", listener.local_addr()?)?;
            open.admin = Some(listener);
        }
        if let Some(file) = &self.gauges {
            errors.take(file::check(file));
        }
        errors.finish()?;
        let gauges = self.gauges.clone();
        let (level, source) = (self.level.clone(), self.source.clone());
        Ok(OpenIntake::new(text.trim_end_matches(','), move |context| {
            Threads::start(open)?.run(context, level, source, gauges.as_deref())
        }))
    }
}

fn bind_admin(address: &HostPort) -> Result<TcpListener, FlagError> {
    const FLAG: &str = "--statsd-admin";
    let at = address.resolve(FLAG)?;
    TcpListener::bind(at).map_err(|error| FlagError::of_bind(FLAG, address, at, &error))
}
