//! Carbon, Graphite's receiver: lines or pickles over one persistent TCP connection, or lines in
//! datagrams.

mod address;
mod config_file;
mod connection;
mod datagrams;
mod deadline;
mod edited;
mod encode;
mod failure;
mod flags;
mod folders;
mod gauge_parts;
mod ini;
mod kept;
mod key;
#[cfg(feature = "slack")]
mod lines;
mod name;
mod names;
mod parts;
mod pattern;
mod pickle;
mod relay;
mod remarks;
mod route;
mod schemas;
mod secure;
mod split;
mod stream;
mod wire;

pub use address::{Address, AddressError, Protocol};
pub use flags::CarbonFlags;
pub use gauge_parts::{GaugeParts, GaugePartsError};
pub use key::ApiKeyFlags;
#[cfg(feature = "slack")]
pub(crate) use lines::Lines;
pub use names::{
    Bins, Idle, NameFlags, NameSet, Percentiles, Prefixes, Statistics, StatsdLike, StatsdListError,
    Tags, Template, TemplateError, YesNo,
};
pub use parts::{TimerParts, TimerPartsError};
pub use relay::{HashType, RelayFlags, RelayMethod, Router};
pub use secure::{Tls, TlsFlags};

use crate::backend::{Backend, BackendProgram, Opened, Payload, Refusal, SendError, Target};
use crate::deliver::causes;
use crate::once::Once;
use crate::secret::{GivenSecret, Secret};
use connection::Place;
use encode::Encoder;
use failure::{ConnectionError, failure};
use flags::DEFAULT_PICKLE_BATCH;
use key::ApiKey;
use relay::Share;
use remarks::Remarks;
use route::Route;
use std::time::{Duration, Instant};
use zibrato::daemon::{Exit, Failure, Findings};
use zibrato::window::Window;

/// Delivers to Carbon's receiver of lines or pickles, or to a compatible one.
///
/// A series has the path `prefix.source.name`. Dots separate levels of the tree, a missing source
/// is omitted, and characters that are invalid in a path become `_`. A part that is changed, or
/// truncated because it is longer than a file name, gets a hash of the original appended, so that
/// `a b` and `a_b` stay distinct. So does a series with the same path as another one. Tags become
/// Graphite's tags ([`Tags`]): `web-1.logins;dc=fra 3 1700000040`. The value of a counter is its sum over the
/// window, that of a gauge its last reading ([`GaugeParts`] can add more), that of a set the number
/// of its members. A timer has several values in seconds, and a histogram in its unit, named by
/// [`TimerParts`]. The timestamp is the start of the window, in whole seconds.
///
/// ```
/// use std::time::Duration;
/// use zibrato_workers::{Worker, carbon::Carbon};
/// let carbon = Carbon::to("127.0.0.1:2003".parse()?).prefix("zibrato");
/// let worker = Worker::builder().flush(Duration::from_secs(10)).start(carbon)?;
/// # drop(worker);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Carbon {
    encoder: Encoder,
    remarks: Remarks,
    /// Whether it reports changed names. Of several destinations the first one does.
    reports_names: bool,
    route: Route,
    /// What is wrong with sending the API key to the address, if anything is.
    doubt: Option<&'static str>,
    /// Number of payloads of the window, and how many of them were sent.
    payloads: usize,
    sent: usize,
    /// The window while its payloads are being sent. It is freed afterwards, or after an error.
    spent: Option<Window>,
    /// Whether it is known that the destination reads what is written to it.
    is_reached: bool,
    once: Once,
}

impl Carbon {
    /// Delivers to `address`, which need not be reachable yet.
    #[must_use]
    pub fn to(address: Address) -> Self {
        let route = Route::to(address, DEFAULT_PICKLE_BATCH);
        let (encoder, remarks, once) = (Encoder::default(), Remarks::default(), Once::default());
        let (payloads, sent, spent, is_reached, doubt) = (0, 0, None, false, None);
        Self {
            encoder,
            remarks,
            reports_names: true,
            route,
            doubt,
            payloads,
            sent,
            spent,
            is_reached,
            once,
        }
    }

    /// Prefix of each name, joined by a dot. Defaults to none.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.encoder.naming.set_prefix(prefix);
        self
    }

    /// Timeout to connect, or to write a payload. Defaults to 10 s.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.route.set_timeout(timeout);
        self
    }

    /// Whom to trust, and the client certificate, for an address with TLS. Defaults to the
    /// authorities of the system.
    ///
    /// # Errors
    /// If no certificate can be for the host of the address.
    pub fn tls(mut self, tls: &Tls) -> Result<Self, Failure> {
        self.route.set_tls(tls).map(|()| self)
    }

    /// API key of a hosted Graphite. Every name begins with it and a dot, but only on the wire: not in
    /// payloads, dead letters and log lines.
    ///
    /// # Errors
    /// If it cannot be one part of a name.
    pub fn api_key(self, key: Secret) -> Result<Self, Failure> {
        let given = GivenSecret { secret: key, from: "the API key".to_owned() };
        Ok(self.with_key(ApiKey::parse(given)?))
    }

    fn with_key(mut self, key: ApiKey) -> Self {
        self.doubt = key::doubt(self.route.address());
        self.route.set_key(key);
        self
    }

    /// Maximum number of points in a pickle, at least 1. Defaults to 500.
    #[must_use]
    pub const fn pickle_batch(mut self, points: usize) -> Self {
        self.route.set_pickle_batch(points);
        self
    }

    /// Statistics to deliver for each timer and histogram. Defaults to
    /// `count,sum,mean,min,max,p50,p95,p99,stddev`.
    #[must_use]
    pub fn timer_parts(mut self, parts: TimerParts) -> Self {
        self.encoder.timer_parts = parts;
        self
    }

    /// Values to deliver for each gauge. Defaults to `last`, and to `last,max` for calls in flight.
    ///
    /// ```
    /// use zibrato_workers::carbon::Carbon;
    /// let carbon = Carbon::to("127.0.0.1:2003".parse()?).gauge_parts("last,min,max".parse()?);
    /// # drop(carbon);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn gauge_parts(mut self, parts: GaugeParts) -> Self {
        self.encoder.gauge_parts = parts;
        self
    }
}

#[cfg(feature = "slack")]
impl Carbon {
    /// Writes lines, and waits until the receiver has read them, as far as the protocol tells. After an
    /// error they may have arrived, and are not written again.
    pub(crate) fn deliver_confirmed(&mut self, payload: &Payload) -> Result<(), SendError> {
        self.route.window_begins();
        self.route.write_confirmed(payload).map_err(failure)
    }
}

impl Backend for Carbon {
    fn payloads(&mut self, window: Window) -> Vec<Payload> {
        let at = (window.stamp(), Duration::from_millis(window.length_ms()));
        if let Some(why) = self.doubt
            && self.once.is_news("api_key_unencrypted", "")
        {
            tracing::warn!(event = "api_key_unencrypted", address = %self.route.address(), why);
        }
        let encoded = self.encoder.encode(window);
        (self.payloads, self.sent) = (encoded.payloads.len(), 0);
        self.route.window_begins();
        self.remarks.log(&encoded.payloads, &self.encoder, at, self.route.address());
        if self.reports_names {
            encoded.log(at.0, &mut self.once);
        }
        self.spent = encoded.spent.filter(|_| self.payloads > 0);
        encoded.payloads
    }

    fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
        let last = self.sent + 1 >= self.payloads;
        let place = if last { Place::Last } else { Place::NotLast };
        let written = self.route.write(payload, place);
        if last || written.is_err() {
            self.spent = None;
        }
        written.map_err(failure)?;
        self.sent += 1;
        Ok(())
    }

    fn send_checked(&mut self, payload: &Payload) -> Result<(), SendError> {
        let body =
            edited::lines(&payload.body).map_err(|why| SendError::Reject { why: Box::new(why) })?;
        if !self.is_reached {
            self.route.reach().map_err(failure)?;
            self.is_reached = true;
        }
        self.send(&Payload { body, ..payload.clone() })
    }

    fn split(&self, payload: &Payload) -> Option<[Payload; 2]> {
        split::split(payload, &self.encoder)
    }

    fn names(&self, payload: &Payload, most: usize) -> Vec<String> {
        split::names(payload, most, &self.encoder)
    }

    fn keeps_readings(&self) -> bool {
        self.encoder.naming.statsd().is_some()
    }

    fn destination(&self) -> Option<String> {
        Some(self.route.address().to_string())
    }

    fn unsettled_since(&mut self) -> Option<Instant> {
        self.route.unsettled_since()
    }

    fn take_back(&mut self) -> Option<Refusal> {
        let payload = self.route.take_refused()?;
        let why = ConnectionError::Refused(self.route.address().clone());
        Some(Refusal { payload, why: Box::new(why) })
    }

    fn trouble(&self) -> Option<String> {
        self.route.trouble()
    }
}

impl BackendProgram for Carbon {
    type Flags = CarbonFlags;

    const PROGRAM: &'static str = "zibrato-carbon";

    const ABOUT: &'static str = "Delivers measurements to Carbon, Graphite's receiver";

    const EXAMPLES: &'static str = "\
Examples:
  zibrato-carbon --levels info,warn --flush 10 --carbon graphite.example.com:2003
  zibrato-carbon --carbon pickle://graphite.example.com:2004
  zibrato-carbon --carbon tls://graphite.example.com:2003 --ca-file company.pem
  zibrato-carbon --carbon g1.example.com:2003,g2.example.com:2003
  zibrato-carbon --relay-method consistent-hashing --carbon pickle://g1:2004:a,pickle://g2:2004:b
  zibrato-carbon --carbon pickle+tls://HOST.carbon.hostedgraphite.com:20040 --api-key-file key
  zibrato-carbon --prefix zibrato --timer-parts count,mean,p99.9 --gauge-parts last,max
  ZIBRATO_CARBON_FLUSH=10 zibrato-carbon --check

Each flag can also be set by a variable (ZIBRATO_CARBON_FLUSH) or a key in the --config file (flush).
In Graphite's storage-schemas.conf, give the finest retention the length of --flush.";

    // Carbon's time is whole seconds; shorter windows would overwrite each other.
    const SHORTEST_FLUSH: Duration = Duration::from_secs(1);

    fn open(flags: CarbonFlags) -> Result<Self, Failure> {
        let opened = Self::open_all(flags)?;
        let [Opened { backend, .. }] = <[_; 1]>::try_from(opened).map_err(|several| {
            let message = format!("--carbon: expected one destination, got {}", several.len());
            Failure::new(Exit::Config, message)
        })?;
        Ok(backend)
    }

    fn open_all(flags: CarbonFlags) -> Result<Vec<Opened<Self>>, Failure> {
        let settings = flags.settings()?;
        let is_one = settings.destinations.len() == 1;
        let open = |(at, (address, share)): (usize, (Address, Share))| {
            let destination = (!is_one).then(|| address.destination());
            let mut carbon = Self::to(address)
                .timeout(settings.timeout)
                .pickle_batch(settings.pickle_batch)
                .timer_parts(settings.timer_parts.clone())
                .gauge_parts(settings.gauge_parts.clone());
            carbon.encoder.naming = settings.naming.clone();
            carbon.encoder.share = share;
            carbon.remarks.schemas = settings.schemas.clone();
            carbon.reports_names = at == 0;
            if let Some(key) = &settings.key {
                carbon = carbon.with_key(key.clone());
            }
            let backend = match &settings.tls {
                Some(tls) => carbon.tls(tls)?,
                None => carbon,
            };
            Ok(Opened { destination, backend })
        };
        settings.destinations.into_iter().enumerate().map(open).collect()
    }

    fn check(&self, findings: &mut Findings) {
        if let Some(why) = self.doubt {
            findings.warning(format!("--carbon {}: {why}", self.route.address()));
        }
    }

    fn reach(&mut self) -> Option<crate::Reached> {
        let mut reached = crate::Reached::from(self.route.reach().map_err(|why| causes(&why)));
        let tags = self.encoder.naming.about_tags().filter(|_| reached.fails.is_none());
        reached.works.extend(tags.map(str::to_owned));
        Some(reached)
    }

    fn doubts(&mut self, flush: Duration) -> Vec<String> {
        self.remarks.doubts(&self.encoder, flush)
    }

    fn target(&self) -> Option<Target> {
        let address = self.route.address();
        let target = Target::new("--carbon", address.host(), address.port());
        Some(if address.protocol() == Protocol::Udp { target.without_connection() } else { target })
    }
}

#[cfg(test)]
mod tests;
