//! The process: the installed instrument, and what happens to it when the process forks or ends.

mod environment;
pub(crate) mod install;
mod install_error;
mod owner;
pub(crate) mod zibrato;

pub use install_error::InstallError;

use self::environment::{DEFAULT_PORT, Environment};
use self::install::{Guard, survive_forks};
use self::owner::{Owner, Settings};
use self::zibrato::Zibrato;
use crate::curve::Curve;
use crate::measurement::{DEFAULT_SOURCE, Level, Source};
use crate::sdk::cells::local;
use crate::sdk::points::variant;
use crate::sdk::sending::contact::PATIENCE;
use crate::sdk::sending::error::BuildError;
use crate::wire::Endpoint;
use std::fmt;
use std::time::Duration;

/// The range of intervals.
const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(3600);

/// Configures an instrument; created by [`Zibrato::builder`](crate::Zibrato::builder).
///
/// ```no_run
/// # fn main() -> Result<(), zibrato::InstallError> {
/// let _zibrato = zibrato::Zibrato::builder()
///     .host("broker.internal")
///     .source("web-1")
///     .levels(["info", "warn"])
///     .install()?;
/// # Ok(())
/// # }
/// ```
///
/// # Variables
///
/// What the code does not set can be set by environment variables. An empty variable counts as
/// unset. [`env_overrides`](Self::env_overrides) lets variables override the code.
///
/// | variable | like | example |
/// |---|---|---|
/// | `ZIBRATO_HOST` | [`host`](Self::host) | `broker.internal`, `ipc:///run/zibrato` |
/// | `ZIBRATO_PORT` | [`port`](Self::port) | `5550` |
/// | `ZIBRATO_CONTROL_PORT` | [`control_port`](Self::control_port) | `5551` |
/// | `ZIBRATO_SOURCE` | [`source`](Self::source) | `web-1` |
/// | `ZIBRATO_LEVELS` | [`levels`](Self::levels) | `info,warn`, or `*` for all |
/// | `ZIBRATO_SERVER_KEY`, `ZIBRATO_CURVE_KEY` | [`curve`](Self::curve) | files, or `public:…` and `secret:…` |
/// | `ZIBRATO_DISABLED` | | `true` or `1`: measure nothing |
///
/// With `ZIBRATO_DISABLED=true`, whatever the code sets, [`install`](Self::install) and
/// [`build`](Self::build) return an instrument that measures nothing, has no threads and no sockets,
/// and ignores all other settings, even invalid ones. [`Stats::disabled`](crate::Stats::disabled)
/// is then true. Tests with a [`capture`](crate::testing::capture) see the same as without it.
///
/// For a service called `zibrato`, Kubernetes sets `ZIBRATO_PORT` to an address such as
/// `tcp://10.0.0.1:5550`. If it is that of `ZIBRATO_SERVICE_HOST` and `ZIBRATO_SERVICE_PORT`, it
/// counts as unset.
#[derive(Clone)]
#[must_use = "nothing is measured until `install` or `build`"]
pub struct Builder {
    host: Option<String>,
    port: Option<u16>,
    control_port: Option<u16>,
    curve: Option<Curve>,
    source: Option<String>,
    env_overrides: bool,
    levels: Option<Vec<String>>,
    interval: Duration,
    flush_deadline: Duration,
    repeat_gauges: Duration,
    demand: bool,
    patience: Duration,
    max_memory: usize,
    max_series_per_site: u32,
    flush_on_panic: bool,
    context: Option<zmq::Context>,
}

impl Zibrato {
    /// Creates a builder with the defaults.
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl Builder {
    fn new() -> Self {
        Self {
            host: None,
            port: None,
            control_port: None,
            curve: None,
            source: None,
            env_overrides: false,
            levels: None,
            interval: Duration::from_secs(1),
            flush_deadline: Duration::from_millis(500),
            repeat_gauges: Duration::from_secs(10),
            demand: true,
            patience: PATIENCE,
            max_memory: local::DEFAULT_MAX_MEMORY,
            max_series_per_site: variant::DEFAULT_MAX_SERIES,
            flush_on_panic: false,
            context: None,
        }
    }

    /// The broker's host: a name, an address, or `ipc://` and the folder of a broker on this
    /// machine, such as `ipc:///run/zibrato`, which ignores ports. Defaults to the variable
    /// `ZIBRATO_HOST`, or else to `127.0.0.1`.
    ///
    /// It is not an error if the host does not answer or does not exist: the instrument keeps
    /// trying.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// The broker's port. Acknowledgements are received from the next port. Defaults to
    /// the variable `ZIBRATO_PORT`, or else to 5550.
    pub const fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The port on which the broker publishes, if it is not the one after [`port`](Self::port), for
    /// example because of a tunnel. Defaults to the variable `ZIBRATO_CONTROL_PORT`, or else to the
    /// next port.
    pub const fn control_port(mut self, port: u16) -> Self {
        self.control_port = Some(port);
        self
    }

    /// Encrypts the connection, and connects only to the broker with this key. Defaults to the keys
    /// in the variables `ZIBRATO_SERVER_KEY` and `ZIBRATO_CURVE_KEY`, or in the files that they
    /// name, and to no encryption if neither is set.
    ///
    /// The broker must allow the client's public key. While it refuses the connection, measurements
    /// are summed up as if it were away.
    pub fn curve(mut self, curve: Curve) -> Self {
        self.curve = Some(curve);
        self
    }

    /// The source of measurements: a program, class or host. Defaults to the variable
    /// `ZIBRATO_SOURCE`, or else to `not_specified`.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Lets variables override what the code sets. By default, a variable applies only if the code
    /// does not set the same.
    ///
    /// Use it if the code contains the usual settings, and operators may change them.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), zibrato::InstallError> {
    /// // ZIBRATO_HOST, if it is set, or else broker.internal.
    /// let _zibrato = zibrato::Zibrato::builder().host("broker.internal").env_overrides().install()?;
    /// # Ok(())
    /// # }
    /// ```
    pub const fn env_overrides(mut self) -> Self {
        self.env_overrides = true;
        self
    }

    /// Measures only these levels. Defaults to the variable `ZIBRATO_LEVELS`, or else to all
    /// levels. The variable cannot name a level that contains a comma, white space or `;`.
    pub fn levels<L: Into<String>>(mut self, levels: impl IntoIterator<Item = L>) -> Self {
        self.levels = Some(levels.into_iter().map(Into::into).collect());
        self
    }

    /// The interval in which measurements are sent: 10 ms to 1 h. Defaults to one second.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Maximum time of the last flush, when the guard or the last handle is dropped. Defaults to
    /// 500 ms.
    pub const fn flush_deadline(mut self, deadline: Duration) -> Self {
        self.flush_deadline = deadline;
        self
    }

    /// Whether to skip levels that no worker wants. Defaults to true.
    ///
    /// The broker publishes the wanted levels every second: those of connected workers, and of
    /// workers with a cursor. A call at another level costs two loads and two branches. A level is
    /// measured at most two seconds after a worker wants it, and until five seconds after no worker
    /// wants it any more. Until the program has received this list for five seconds, all levels are
    /// measured. While the broker is away, the last list applies.
    ///
    /// With `false`, all levels that [`levels`](Self::levels) allows are always measured.
    pub const fn demand(mut self, demand: bool) -> Self {
        self.demand = demand;
        self
    }

    /// How often the last reading of a gauge is sent again while nobody sets it, until the program
    /// ends; see `--idle-gauges` of the workers. Zero turns it off. Defaults to ten seconds.
    /// Repetitions are not counted as readings, but have their size.
    ///
    /// ```
    /// let builder = zibrato::Zibrato::builder().repeat_gauges(std::time::Duration::from_secs(60));
    /// ```
    pub const fn repeat_gauges(mut self, every: Duration) -> Self {
        self.repeat_gauges = every;
        self
    }

    /// Maximum memory for the cells of all threads together, in bytes. Defaults to 16 MiB.
    ///
    /// A thread needs 40 bytes for each call site of the program, and up to some KiB for each timer
    /// that it uses. Beyond the limit, threads share cells: measuring is slower, but nothing is
    /// lost. The limit applies to the whole process. The last instrument that is built sets it;
    /// existing cells stay.
    pub const fn max_memory(mut self, bytes: usize) -> Self {
        self.max_memory = bytes;
        self
    }

    /// Maximum number of series of each call site whose tags are made at run time, in the process.
    /// Defaults to 1,000. Readings of further series are added to one whose tags have the value
    /// `_overflow`, and [`Stats::overflowing`](crate::Stats::overflowing) is the name of the first.
    /// A series that is not used for an hour makes room for another.
    ///
    /// `max_series = 5000` in an attribute or macro changes it for one call site.
    pub const fn max_series_per_site(mut self, series: u32) -> Self {
        self.max_series_per_site = series;
        self
    }

    /// Flushes at each panic, before it unwinds or aborts. Defaults to false.
    ///
    /// Use it for programs built with `panic = "abort"`, which would lose the measurements since
    /// the last interval. Each panic, even one that is caught, then takes up to the
    /// [`flush_deadline`](Self::flush_deadline). A panic hook does this and then calls the previous
    /// hook; a hook that is set later replaces it. Only for an installed instrument.
    pub const fn flush_on_panic(mut self, flush: bool) -> Self {
        self.flush_on_panic = flush;
        self
    }

    /// Opens the sockets in this ZeroMQ context. Defaults to a separate context. After the context
    /// is destroyed, nothing more is sent.
    ///
    /// On Linux, the application cannot close the file descriptors of the separate context, so a
    /// daemon may close all descriptors that it does not know. It must not close those of this
    /// context, because libzmq would abort the process.
    pub fn context(mut self, context: zmq::Context) -> Self {
        self.context = Some(context);
        self
    }

    /// How long the broker may be silent before the program reports it. For tests.
    #[doc(hidden)]
    pub const fn report_after(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Installs the instrument: attributes and macros record into it until the guard is dropped.
    ///
    /// Takes a few milliseconds, so call it when the program starts, and not within a request.
    ///
    /// # Errors
    /// [`InstallError`], also if an instrument is already installed, or has not finished its last
    /// flush.
    pub fn install(self) -> Result<Guard, InstallError> {
        let (flush_on_panic, deadline) = (self.flush_on_panic, self.flush_deadline);
        let guard = install::install(self.build()?).map_err(|_| InstallError::AlreadyInstalled)?;
        if flush_on_panic {
            install::flush_at_panics(deadline);
        }
        Ok(guard)
    }

    /// Builds an instrument without installing it: only its handle records into it.
    ///
    /// # Errors
    /// [`BuildError`] if a setting or a variable is invalid, or the system has no sockets or threads available.
    pub fn build(self) -> Result<Zibrato, BuildError> {
        let environment = Environment(&|name: &str| std::env::var_os(name));
        // Nothing else is read: a program whose other settings are wrong can be started, too.
        if environment.is_disabled()? {
            let source = self.source.as_deref().and_then(|source| Source::new(source).ok());
            return Ok(Zibrato::new(Owner::disabled(source.unwrap_or_default())));
        }
        let settings = self.settings(&environment)?;
        survive_forks();
        local::limit_memory(self.max_memory);
        variant::limit_series(self.max_series_per_site.max(1));
        Ok(Zibrato::new(Owner::start(settings, self.context)?))
    }

    /// The settings of the code and of the environment together.
    fn settings(&self, environment: &Environment<'_>) -> Result<Settings, BuildError> {
        let source = self.source.as_deref().map(Source::new).transpose()?;
        let source = match self.decide(source, || environment.source())? {
            Some(source) => source,
            None => Source::new(DEFAULT_SOURCE)?,
        };
        let levels = self.levels.as_ref().map(|levels| {
            levels.iter().map(|level| Level::new(level)).collect::<Result<_, _>>().map(Some)
        });
        let levels = self.decide(levels.transpose()?, || environment.levels())?.flatten();
        if !INTERVALS.contains(&self.interval) {
            return Err(BuildError::Interval { interval: self.interval });
        }
        let host = self.decide(self.host.clone(), || environment.host())?;
        let host = host.unwrap_or_else(|| "127.0.0.1".to_owned());
        // A broker in a folder has no ports.
        let is_folder = Endpoint::Publishers.ipc_endpoint(&host).is_some();
        let [port, control_port] = if is_folder { [0; 2] } else { self.ports(environment)? };
        let endpoints = [(Endpoint::Publishers, port), (Endpoint::Subscribers, control_port)];
        let [Some(publishers), Some(subscribers)] =
            endpoints.map(|(endpoint, port)| endpoint.address(&host, port))
        else {
            return Err(BuildError::Host { host });
        };
        Ok(Settings {
            source,
            levels,
            endpoints: [publishers, subscribers],
            curve: self.decide(self.curve.clone(), || Ok(environment.curve()?))?,
            interval: self.interval,
            flush_deadline: self.flush_deadline,
            repeat_gauges: self.repeat_gauges,
            demand: self.demand,
            patience: self.patience,
        })
    }

    /// The port and the control port.
    fn ports(&self, environment: &Environment<'_>) -> Result<[u16; 2], BuildError> {
        let port = self.decide(self.port, || environment.port())?.unwrap_or(DEFAULT_PORT);
        let control_port = match self.decide(self.control_port, || environment.control_port())? {
            Some(port) => port,
            None => port.checked_add(1).ok_or(BuildError::Port { port })?,
        };
        match (port, control_port) {
            (0, _) => Err(BuildError::Port { port }),
            (_, 0) => Err(BuildError::ControlPort { port: control_port }),
            ports => Ok(ports.into()),
        }
    }

    /// A setting of the code or of the environment, which is read only if it decides.
    fn decide<T>(
        &self,
        code: Option<T>,
        environment: impl FnOnce() -> Result<Option<T>, BuildError>,
    ) -> Result<Option<T>, BuildError> {
        match code {
            Some(code) if !self.env_overrides => Ok(Some(code)),
            code => Ok(environment()?.or(code)),
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("source", &self.source)
            .field("levels", &self.levels)
            .field("interval", &self.interval)
            .field("flush_deadline", &self.flush_deadline)
            .finish_non_exhaustive()
    }
}
