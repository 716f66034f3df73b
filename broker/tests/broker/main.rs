//! A real broker on ports from the system, with real sockets at all of them.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what cannot go on fails the test")]

mod bucky;
mod check;
mod client;
mod collectd;
mod curve;
mod drain;
mod folder;
mod harness;
mod hostile;
mod http;
mod intake;
mod journal;
mod librato;
mod metricsd;
mod program;
mod routing;
mod rules;
mod slow;
mod start;
mod statsd;
