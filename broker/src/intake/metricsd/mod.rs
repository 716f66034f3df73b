//! MetricsD: counters, gauges, histograms, meters and timers in binary packets over UDP.
//!
//! ```text
//! packet ─▶ decode ─▶ series: apply to a metric      (metrics, ewma, reservoir: its statistics)
//!                       └─ every interval (handlers) ─▶ a gauge for each statistic
//! ```

mod decode;
#[cfg(test)]
mod encode;
mod ewma;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod handlers;
mod listen;
mod metrics;
#[cfg(feature = "fuzzing")]
pub(crate) mod recorded;
mod reservoir;
mod series;
#[cfg(test)]
mod vectors;
mod why;

use super::flag_error::{Collected, FlagError};
use super::host_port::HostPort;
use super::udp::Udp;
use super::{
    Intake, IntakeError, IntakeFlags, OpenIntake, SharedIntake, Unprotected, intake_level,
};
use handlers::{Handler, Handlers, INTERVALS};
use series::{AllMetrics, MAX_STATISTICS};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use zibrato::Level;
use zibrato::daemon::seconds;

/// The flags of the intake.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "MetricsD")]
pub(crate) struct MetricsdFlags {
    /// Address to listen on for MetricsD packets (UDP), such as 127.0.0.1:23632; several are separated by commas. Any address but loopback needs --insecure
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', value_parser = str::parse::<HostPort>)]
    metricsd: Vec<HostPort>,

    /// Seconds between two publications of a MetricsD metric that no --metricsd-handler matches
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds(INTERVALS))]
    metricsd_interval: Duration,

    /// Another interval for the MetricsD metrics whose name begins with a match of REGEX. The name begins with the labels of the host in reverse order: tld.example.web-1.requests. The largest PRIORITY decides, which defaults to 100. May be repeated
    #[arg(long, value_name = "REGEX=SECONDS[@PRIORITY]")]
    metricsd_handler: Vec<Handler>,

    /// Level of the statistics of MetricsD metrics
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = intake_level)]
    metricsd_level: Level,

    /// Seconds without a change after which a MetricsD metric is forgotten
    #[arg(long, value_name = "SECONDS", default_value = "86400", value_parser = seconds(1.0..=31_536_000.0))]
    metricsd_expire: Duration,
}

impl MetricsdFlags {
    fn handlers(&self) -> Handlers {
        Handlers::new(self.metricsd_handler.clone(), self.metricsd_interval)
    }
}

impl IntakeFlags for MetricsdFlags {
    fn intake(&self) -> Result<Option<SharedIntake>, String> {
        if self.metricsd.is_empty() {
            return Ok(None);
        }
        Ok(Some(Arc::new(MetricsD {
            listen: self.metricsd.clone(),
            handlers: self.handlers(),
            level: self.metricsd_level.clone(),
            expire: self.metricsd_expire,
        })))
    }
}

fn bind(address: &HostPort) -> Result<Udp, FlagError> {
    const FLAG: &str = "--metricsd";
    let at = address.resolve(FLAG)?;
    Udp::bind(at).map_err(|error| FlagError::of_bind(FLAG, address, at, &error))
}

/// The intake.
#[derive(Debug)]
struct MetricsD {
    listen: Vec<HostPort>,
    handlers: Handlers,
    level: Level,
    expire: Duration,
}

impl Intake for MetricsD {
    fn name(&self) -> &'static str {
        "metricsd"
    }

    fn levels(&self) -> Vec<String> {
        vec![self.level.as_str().to_owned()]
    }

    fn unprotected(&self) -> Vec<Unprotected> {
        self.listen.iter().map(|address| Unprotected::new("--metricsd", address)).collect()
    }

    fn open(&self) -> Result<OpenIntake, IntakeError> {
        let mut errors = Collected::default();
        let sockets: Vec<_> =
            self.listen.iter().filter_map(|address| errors.take(bind(address))).collect();
        errors.finish()?;
        let bound = sockets.iter().map(|socket| Ok(socket.socket.local_addr()?.to_string()));
        let bound = bound.collect::<io::Result<Vec<_>>>()?.join(",");
        let (handlers, level, expire) = (self.handlers.clone(), self.level.clone(), self.expire);
        Ok(OpenIntake::new(bound, move |context| {
            let metrics = AllMetrics::new(handlers, expire, MAX_STATISTICS, context.now_ms());
            listen::run(context, sockets, metrics, level.as_str());
            Ok(())
        }))
    }
}
