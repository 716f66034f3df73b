//! The flags of `zibrato-carbon`, and what they say about each destination.

use super::address::Address;
use super::gauge_parts::GaugeParts;
use super::key::{ApiKey, ApiKeyFlags};
use super::names::{NameFlags, Naming};
use super::parts::TimerParts;
use super::relay::{RelayFlags, Share};
use super::schemas::Schemas;
use super::secure::{Tls, TlsFlags};
use std::path::PathBuf;
use std::time::Duration;
use zibrato::daemon::{Exit, Failure, number, whole_number};

/// Number of points in a pickle, as in bucky.
pub(super) const DEFAULT_PICKLE_BATCH: usize = 500;

/// The flags of `zibrato-carbon`.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Carbon")]
#[non_exhaustive]
pub struct CarbonFlags {
    /// Address of Carbon's line receiver (TCP). `pickle://` in front writes pickles, to Carbon's port
    /// 2004; `tls://` and `pickle+tls://` encrypt; `udp://` writes lines in datagrams, whose loss is
    /// not noticed. Repeat it, or separate several by commas, for several destinations: each has its
    /// own cursor in the journal, so none waits for another. An instance after the port is for hashing
    #[arg(long, value_name = "[PROTOCOL://]HOST:PORT[:INSTANCE]", value_delimiter = ',', default_values_t = [Address::default()])]
    pub carbon: Vec<Address>,

    /// The flags about several destinations.
    #[command(flatten)]
    pub relay: RelayFlags,

    /// Maximum number of points in a pickle
    #[arg(long, value_name = "POINTS", default_value_t = DEFAULT_PICKLE_BATCH, value_parser = whole_number::<usize>("a whole number of points", 1..=100_000))]
    pub pickle_batch: usize,

    /// Timeout to connect to Carbon or to write a payload, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = number("a number of seconds", 0.1..=3_600.0))]
    pub timeout: f64,

    /// The flags about TLS.
    #[command(flatten)]
    pub tls: TlsFlags,

    /// The flags about the API key.
    #[command(flatten)]
    pub api_key: ApiKeyFlags,

    /// Statistics to deliver for each timer and histogram: count, sum, mean, min, max, stddev, and any
    /// percentile [default: count,sum,mean,min,max,p50,p95,p99,stddev]
    #[arg(long, value_name = "PARTS")]
    pub timer_parts: Option<TimerParts>,

    /// Values to deliver for each gauge: last, min, max, mean, count. `last` has the plain name, the
    /// others are added to it, such as `queue.depth.max` [default: last; last,max for names that end
    /// in .in_flight]
    #[arg(long, value_name = "PARTS")]
    pub gauge_parts: Option<GaugeParts>,

    /// Carbon's storage-schemas.conf, to warn if --flush does not fit the finest retention of a name
    #[arg(long, value_name = "FILE")]
    pub schemas: Option<PathBuf>,

    /// The flags about names.
    #[command(flatten)]
    pub names: NameFlags,
}

/// What the flags say, and the files that they name.
pub(super) struct Settings {
    /// Each with what it gets.
    pub(super) destinations: Vec<(Address, Share)>,
    pub(super) timeout: Duration,
    pub(super) pickle_batch: usize,
    /// `None` if no destination uses TLS.
    pub(super) tls: Option<Tls>,
    pub(super) key: Option<ApiKey>,
    pub(super) timer_parts: TimerParts,
    pub(super) gauge_parts: GaugeParts,
    pub(super) schemas: Option<Schemas>,
    pub(super) naming: Naming,
}

impl CarbonFlags {
    /// Reads the files.
    ///
    /// # Errors
    /// If a flag or a file is wrong, or flags contradict each other: one line that says what to do.
    pub(super) fn settings(self) -> Result<Settings, Failure> {
        let wrong = |message| Failure::new(Exit::Config, message);
        if !(0.1..=3600.0).contains(&self.timeout) {
            let message = "--timeout: give seconds from 0.1 to 3600, such as 10";
            return Err(wrong(message.to_owned()));
        }
        let naming = self.names.naming().map_err(wrong)?;
        let schemas = self.schemas.as_deref().map(Schemas::read).transpose().map_err(wrong)?;
        let (timer_parts, gauge_parts) =
            parts(&naming, self.timer_parts, self.gauge_parts).map_err(wrong)?;
        let shares = self.relay.shares(&self.carbon).map_err(wrong)?;
        let (tls, key) = (self.tls.read(&self.carbon)?, self.api_key.read()?);
        if key.is_some() && shares.len() > 1 {
            let message = "the API key would be sent to each of several destinations; deliver to the \
                           hosted Graphite with a worker of its own, with one --carbon";
            return Err(wrong(message.to_owned()));
        }
        Ok(Settings {
            destinations: self.carbon.into_iter().zip(shares).collect(),
            timeout: Duration::from_secs_f64(self.timeout),
            pickle_batch: self.pickle_batch,
            tls,
            key,
            timer_parts,
            gauge_parts,
            schemas,
            naming,
        })
    }
}

/// The parts of timers and gauges that the flags give.
///
/// # Errors
/// If they are given with StatsD's names: a sentence that names the flag.
pub(super) fn parts(
    naming: &Naming,
    timer: Option<TimerParts>,
    gauge: Option<GaugeParts>,
) -> Result<(TimerParts, GaugeParts), String> {
    if naming.statsd().is_some() {
        for (flag, is_given, instead) in [
            ("--timer-parts", timer.is_some(), "use --statsd-statistics"),
            ("--gauge-parts", gauge.is_some(), "they have the last reading alone"),
        ] {
            if is_given {
                return Err(format!("{flag} is not for StatsD's names; {instead}"));
            }
        }
    }
    Ok((timer.unwrap_or_default(), gauge.unwrap_or_default()))
}
