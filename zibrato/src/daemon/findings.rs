//! The findings of `--check`: all of them at once, not only the first one.

use super::cli::Origins;
use super::exit::{Exit, Failure, warn};
use super::state::probe_folder;
use super::stderr;
use super::stdout::print;
use crossbeam_channel::bounded;
use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Timeout of the lookup of a host name.
const LOOK_UP: Duration = Duration::from_secs(10);

/// The findings of a check of flags, variables, file and environment.
#[derive(Debug, Default)]
pub struct Findings {
    errors: Vec<String>,
    /// The exit code of the first error that keeps the program from starting.
    exit: Option<Exit>,
    warnings: Vec<String>,
}

impl Findings {
    /// No findings yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an error that does not prevent a start, but prevents the program from doing its work.
    pub fn error(&mut self, why: impl Display) {
        self.errors.push(why.to_string());
    }

    /// Adds a warning about something that may be intended.
    pub fn warning(&mut self, why: impl Display) {
        self.warnings.push(why.to_string());
    }

    /// Returns the value, or adds the error. This error prevents a start: the check exits with the
    /// code of the first one.
    pub fn take<T, E: Into<Failure>>(&mut self, result: Result<T, E>) -> Option<T> {
        let failed = |error: E| {
            let failure = error.into();
            self.exit.get_or_insert(failure.exit);
            self.error(failure);
        };
        result.map_err(failed).ok()
    }

    /// Resolves a host: returns its addresses with the port, or adds an error. `flag` is the flag
    /// that names it.
    pub fn host(&mut self, flag: &str, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        look_up(flag, host, port).map_err(|why| self.error(why)).ok()
    }

    /// Checks whether a folder can be written, without leaving anything there. `exit` is the exit
    /// code of a start if it cannot; `None` if the program starts nevertheless.
    pub fn folder(&mut self, flag: &str, folder: &Path, exit: Option<Exit>) {
        let Err(error) = probe_folder(folder) else { return };
        let why = format!("{flag}: {} cannot be written: {error}", folder.display());
        match exit {
            Some(exit) => drop(self.take(Err::<(), _>(Failure::new(exit, why)))),
            None => self.error(why),
        }
    }

    /// The exit code of the check: that of a start, or 78 if the program would start but could not
    /// do its work.
    fn exit(&self) -> Exit {
        let otherwise = if self.errors.is_empty() { Exit::Fine } else { Exit::Config };
        self.exit.unwrap_or(otherwise)
    }

    /// Reports the findings on standard error, or on standard output that the configuration is valid.
    ///
    /// # Errors
    /// [`Failure`] if standard output cannot be written.
    pub(super) fn report(self, program: &str, origins: &Origins) -> Result<ExitCode, Failure> {
        for warning in &self.warnings {
            let warning = origins.explain(warning);
            warn(program, &warning);
        }
        for error in &self.errors {
            stderr::put(format!("{program}: {}\n", origins.explain(error)).as_bytes());
        }
        let exit = self.exit();
        if exit != Exit::Fine {
            return Ok(exit.into());
        }
        match self.warnings.len() {
            0 => print("The configuration is valid\n")?,
            1 => print("The configuration is valid, with 1 warning\n")?,
            more => print(&format!("The configuration is valid, with {more} warnings\n"))?,
        }
        Ok(exit.into())
    }
}

/// Resolves a host: returns its addresses with the port. `flag` is the flag that names it. Waits at
/// most ten seconds.
///
/// # Errors
/// A line that names the flag, if the host cannot be resolved in time.
pub fn look_up(flag: &str, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let why = |error| format!("{flag}: the host {host} cannot be looked up: {error}");
    look_up_by(LOOK_UP, host, port).map_err(why)
}

/// Resolves a host in a thread, and waits at most `limit`.
fn look_up_by(limit: Duration, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let (found, answer) = bounded(1);
    let wanted = (host.to_owned(), port);
    std::thread::Builder::new().name("look-up".to_owned()).spawn(move || {
        // Fails if the caller no longer waits.
        found.send(wanted.to_socket_addrs().map(Iterator::collect)).ok();
    })?;
    answer.recv_timeout(limit).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::{Exit, Failure, Findings};

    #[test]
    fn all_findings_are_reported() {
        let mut findings = Findings::new();
        findings.host("--host", "localhost", 1);
        findings.host("--host", "127.0.0.1", 1);
        findings.host("--host", "nowhere.invalid", 1);
        findings.folder("--journal", "/dev/null/journal".as_ref(), None);
        assert_eq!(findings.take(Ok::<_, Failure>(1)), Some(1));
        assert_eq!(findings.take(Err::<(), _>(Failure::new(Exit::Io, "wrong"))), None);
        let [host, folder, last] = &findings.errors[..] else { panic!("{findings:?}") };
        assert!(host.starts_with("--host: the host nowhere.invalid cannot be looked up: "));
        assert!(folder.starts_with("--journal: /dev/null/journal cannot be written: "), "{folder}");
        assert_eq!(last, "wrong");
    }

    #[test]
    fn a_check_exits_with_the_code_of_the_first_error_that_prevents_a_start() {
        let mut findings = Findings::new();
        findings.warning("doubtful");
        assert_eq!(findings.exit(), Exit::Fine);
        findings.error("the program starts, but cannot do its work");
        findings.folder("--dead-letters", "/dev/null/letters".as_ref(), None);
        assert_eq!(findings.exit(), Exit::Config);
        findings.folder("--journal", "/dev/null/journal".as_ref(), Some(Exit::Unavailable));
        findings.take(Err::<(), _>(Failure::new(Exit::Io, "later")));
        assert_eq!(findings.exit(), Exit::Unavailable);
    }
}
