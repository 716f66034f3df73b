//! Exit codes, and the line that says what is wrong and what to do.

use super::stderr;
use std::fmt;
use std::process::ExitCode;

/// Exit code of a daemon, as in BSD's `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Exit {
    /// 78: a flag, variable or configuration file is invalid.
    Config = 78,
    /// 65: something in the given data is invalid.
    Data = 65,
    /// 0: success.
    Fine = 0,
    /// 74: a file or socket could not be read or written.
    Io = 74,
    /// 69: a required resource is unavailable, such as a free port.
    Unavailable = 69,
    /// 64: the command line is wrong.
    Usage = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a daemon cannot continue, and its exit code.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// One line: what is wrong, and what to do.
    pub message: String,
}

impl Failure {
    /// A failure with this code and message.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Writes the message to standard error, after the program's name.
    pub(super) fn report(&self, program: &str) {
        stderr::put(format!("{program}: {}\n", self.message).as_bytes());
    }
}

/// Writes a warning to standard error, after the program's name. It should be one line.
pub fn warn(program: &str, warning: &str) {
    stderr::put(format!("{program}: warning: {warning}\n").as_bytes());
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
