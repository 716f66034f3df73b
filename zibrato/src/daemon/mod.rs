//! What the daemons share: command line and configuration file, logging, stopping, exit codes,
//! what systemd is told, and HTTP pages for health and metrics.

mod cli;
mod exit;
mod hangup;
mod http;
mod logging;
mod program;
mod prometheus;
mod signals;
mod stderr;
mod stdout;
mod stop;
mod systemd;

pub use cli::{CommonFlags, check_configuration};
pub use exit::{Exit, Failure};
pub use hangup::Hangup;
pub use http::{HttpError, HttpServer, Page};
pub use logging::{LogFormat, log_metrics};
pub use program::main;
pub use prometheus::{Exposition, Family};
pub use stderr::dropped_log_lines;
pub use stdout::{Output, print, stdout_failure};
pub use stop::Stop;
pub use systemd::Systemd;
