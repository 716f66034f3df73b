//! Exit codes, and the one line that says what went wrong and how to mend it.

use super::stderr;
use std::fmt;
use std::process::ExitCode;

/// How a daemon ends; the numbers are those of BSD's `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Exit {
    /// 78: a flag, variable or configuration file is invalid.
    Config = 78,
    /// 0: all is well.
    Fine = 0,
    /// 74: a file or socket could not be read or written.
    Io = 74,
    /// 69: something the daemon cannot do without is not there, such as a free port.
    Unavailable = 69,
    /// 64: the command line is wrong.
    Usage = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a daemon cannot go on, and the code it ends with.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// One line: what is wrong, and how to mend it.
    pub message: String,
}

impl Failure {
    /// A failure with its code and its line.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Puts the line on standard error, with the program's name before it.
    pub(super) fn report(&self, program: &str) {
        stderr::put(format!("{program}: {}\n", self.message).as_bytes());
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
