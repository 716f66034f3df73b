//! What the daemons share: command line and configuration file, logging, stopping, exit codes.

mod cli;
mod exit;
mod logging;
mod stop;

pub use cli::{CommonFlags, parse};
pub use exit::{Exit, Failure};
pub use logging::{LogFormat, init_logging};
pub use stop::Stop;
