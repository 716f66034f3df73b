//! What the daemons share: command line and configuration file, logging, stopping, exit codes,
//! what systemd is told, and HTTP pages for health and metrics.

mod cli;
mod exit;
mod hangup;
mod http;
mod logging;
mod prometheus;
mod stop;
mod systemd;

pub use cli::{CommonFlags, check_configuration, parse};
pub use exit::{Exit, Failure};
pub use hangup::Hangup;
pub use http::{HttpError, HttpServer, Page};
pub use logging::{LogFormat, init_logging};
pub use prometheus::{Exposition, Family};
pub use stop::Stop;
pub use systemd::Systemd;
