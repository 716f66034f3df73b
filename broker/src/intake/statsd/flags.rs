//! The flags of the StatsD intake.

use super::address::Address;
use super::{MAX_SERIES, Statsd};
use crate::intake::host_port::HostPort;
use crate::intake::{IntakeFlags, SharedIntake, intake_level};
use std::path::PathBuf;
use std::sync::Arc;
use zibrato::daemon::whole_number;
use zibrato::{Level, Source};

/// Maximum number of receiving threads.
const MAX_THREADS: u64 = 256;

/// What `zibrato-broker` knows about StatsD.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "StatsD")]
pub(crate) struct StatsdFlags {
    /// Address for StatsD over UDP and TCP, such as 127.0.0.1:8125; several are separated by commas. Clients of Datadog need dogstatsd:// in front. Any address but loopback needs --insecure
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', value_parser = parsed::<Address<HostPort>>)]
    statsd: Vec<Address<HostPort>>,

    /// Unix socket for packets of StatsD; several are separated by commas. Clients of Datadog need dogstatsd:// in front
    #[arg(long, value_name = "PATH", value_delimiter = ',', value_parser = parsed::<Address<PathBuf>>)]
    statsd_socket: Vec<Address<PathBuf>>,

    /// Unix socket for connections of StatsD clients, with lines or, as from clients of Datadog, with packets and their length in front; several are separated by commas
    #[arg(long, value_name = "PATH", value_delimiter = ',', value_parser = parsed::<Address<PathBuf>>)]
    statsd_stream_socket: Vec<Address<PathBuf>>,

    /// Level of measurements received by StatsD
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = intake_level)]
    statsd_level: Level,

    /// Source of StatsD series without a tag `source` or `host`. Defaults to the host name
    #[arg(long, value_name = "SOURCE", value_parser = parsed::<Source>)]
    statsd_source: Option<Source>,

    /// Threads that receive StatsD over UDP. Each has its own series, so memory grows with them
    #[arg(long, value_name = "THREADS", default_value_t = 1,
          value_parser = whole_number::<u16>("a whole number of threads", 1..=MAX_THREADS))]
    statsd_threads: u16,

    /// Maximum number of StatsD series of each thread, and of gauges of all threads. Further series are folded together as `_overflow`; readings of further gauges are rejected
    #[arg(long, value_name = "SERIES", default_value_t = MAX_SERIES as u64,
          value_parser = whole_number::<u64>("a whole number of series", 1..=1 << 30))]
    statsd_max_series: u64,

    /// File that keeps the gauges of StatsD over a restart
    #[arg(long, value_name = "FILE")]
    statsd_gauges: Option<PathBuf>,

    /// Address of a TCP port that answers the commands of StatsD, such as `help` and `stats`. Whoever reaches it can delete series. Any address but loopback needs --insecure
    #[arg(long, value_name = "HOST:PORT", value_parser = parsed::<HostPort>)]
    statsd_admin: Option<HostPort>,
}

fn parsed<T: std::str::FromStr<Err: ToString>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

impl IntakeFlags for StatsdFlags {
    fn intake(&self) -> Result<Option<SharedIntake>, String> {
        let is_off = self.statsd.is_empty()
            && self.statsd_socket.is_empty()
            && self.statsd_stream_socket.is_empty();
        if is_off {
            let needs = |flag| {
                Err(format!("{flag} needs --statsd, --statsd-socket or --statsd-stream-socket"))
            };
            return match (&self.statsd_admin, &self.statsd_gauges) {
                (Some(_), _) => needs("--statsd-admin"),
                (_, Some(_)) => needs("--statsd-gauges"),
                (None, None) => Ok(None),
            };
        }
        Ok(Some(Arc::new(Statsd {
            listen: self.statsd.clone(),
            sockets: self.statsd_socket.clone(),
            stream_sockets: self.statsd_stream_socket.clone(),
            level: Some(self.statsd_level.as_str().to_owned()),
            source: self.statsd_source.as_ref().map(|source| source.as_str().to_owned()),
            threads: self.statsd_threads.into(),
            max_series: usize::try_from(self.statsd_max_series).unwrap_or(usize::MAX),
            gauges: self.statsd_gauges.clone(),
            admin: self.statsd_admin.clone(),
        })))
    }
}
