//! Reads recorded packets, for `tests/vectors`.

use super::handlers::{Handlers, full_name};
use super::series::{AllMetrics, MAX_STATISTICS};
use super::{MetricsdFlags, listen};
use crate::intake::recorded::{context, flags};
use crate::intake::{IntakeContext, IntakeError};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

/// The intake without its socket.
#[derive(Debug)]
pub struct MetricsdPackets {
    context: IntakeContext,
    metrics: AllMetrics,
    handlers: Handlers,
}

impl MetricsdPackets {
    /// The intake with these flags, which starts at `now_ms`, in Unix milliseconds.
    ///
    /// # Errors
    /// What would prevent the broker from starting.
    pub fn new(args: &[String], now_ms: u64) -> Result<Self, IntakeError> {
        let flags: MetricsdFlags = flags(args)?;
        let handlers = flags.handlers();
        let metrics =
            AllMetrics::new(handlers.clone(), flags.metricsd_expire, MAX_STATISTICS, now_ms);
        Ok(Self { context: context("metricsd", None)?, metrics, handlers })
    }

    /// Takes a packet that arrives at `now_ms`.
    pub fn take(&mut self, packet: &[u8], now_ms: u64) {
        self.context.continue_at(now_ms);
        let sender = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        listen::take(&mut self.context, &mut self.metrics, packet, sender);
    }

    /// Publishes all metrics at `now_ms`. Returns the bodies of the batches.
    pub fn publish(&mut self, now_ms: u64) -> Vec<Vec<u8>> {
        let Self { context, metrics, .. } = self;
        context.continue_at(now_ms);
        metrics.publish_all(now_ms, &mut |statistic| {
            listen::fold(context, "info", &statistic, now_ms);
        });
        context.bodies()
    }

    /// The interval of a metric, in milliseconds.
    #[must_use]
    pub fn interval_ms(&self, host: &str, name: &str) -> u64 {
        self.handlers.interval_ms(&full_name(host, name))
    }

    /// What was rejected, by reason.
    #[must_use]
    pub fn rejected(&self) -> BTreeMap<&'static str, u64> {
        self.context.counters.rejected.iter().map(|(reason, times)| (*reason, *times)).collect()
    }
}
