//! What `--check` finds: everything at once, and not only the first mistake.

use super::cli::Origins;
use super::exit::{Exit, Failure};
use super::state::probe_folder;
use super::stderr;
use super::stdout::print;
use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

/// How long a host name may take to be looked up.
const LOOK_UP: Duration = Duration::from_secs(10);

/// What a check of flags, variables, file and surroundings has found.
#[derive(Debug, Default)]
pub struct Findings {
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Findings {
    /// Nothing has been found so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds something with which the program does not start or cannot do its work.
    pub fn error(&mut self, why: impl Display) {
        self.errors.push(why.to_string());
    }

    /// Adds something that may be meant as it is.
    pub fn warning(&mut self, why: impl Display) {
        self.warnings.push(why.to_string());
    }

    /// The value, or nothing after its error was added.
    pub fn take<T, E: Display>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.error(error)).ok()
    }

    /// Looks a host up: its addresses with the port, or nothing after an error was added. `flag` is
    /// where it was given.
    pub fn host(&mut self, flag: &str, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let found = look_up(host, port);
        self.take(
            found.map_err(|error| format!("{flag}: the host {host} cannot be looked up: {error}")),
        )
    }

    /// Finds out whether a folder can be written, without leaving anything there.
    pub fn folder(&mut self, flag: &str, folder: &Path) {
        if let Err(error) = probe_folder(folder) {
            self.error(format!("{flag}: {} cannot be written: {error}", folder.display()));
        }
    }

    /// Says what was found, on standard error, or on standard output that all is fine.
    ///
    /// # Errors
    /// [`Failure`] when standard output cannot be written.
    pub(super) fn report(self, program: &str, origins: &Origins) -> Result<ExitCode, Failure> {
        for warning in &self.warnings {
            let warning = origins.explain(warning);
            stderr::put(format!("{program}: warning: {warning}\n").as_bytes());
        }
        for error in &self.errors {
            stderr::put(format!("{program}: {}\n", origins.explain(error)).as_bytes());
        }
        if !self.errors.is_empty() {
            return Ok(Exit::Config.into());
        }
        match self.warnings.len() {
            0 => print("fine\n")?,
            1 => print("fine, with 1 warning\n")?,
            more => print(&format!("fine, with {more} warnings\n"))?,
        }
        Ok(Exit::Fine.into())
    }
}

/// Looks a host up, in a thread that nobody waits for longer than [`LOOK_UP`].
fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let (tell, told) = mpsc::sync_channel(1);
    let wanted = (host.to_owned(), port);
    std::thread::Builder::new().name("look-up".to_owned()).spawn(move || {
        let found = wanted.to_socket_addrs().map(Iterator::collect);
        // Nobody waits any more.
        tell.send(found).ok();
    })?;
    told.recv_timeout(LOOK_UP).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::Findings;

    #[test]
    fn everything_is_found_and_not_only_the_first() {
        let mut findings = Findings::new();
        findings.host("--host", "localhost", 1);
        findings.host("--host", "127.0.0.1", 1);
        findings.host("--host", "nowhere.invalid", 1);
        findings.folder("--journal", "/dev/null/journal".as_ref());
        assert_eq!(findings.take(Ok::<_, String>(1)), Some(1));
        assert_eq!(findings.take(Err::<(), _>("wrong")), None);
        let [host, folder, last] = &findings.errors[..] else { panic!("{findings:?}") };
        assert!(host.starts_with("--host: the host nowhere.invalid cannot be looked up: "));
        assert!(folder.starts_with("--journal: /dev/null/journal cannot be written: "), "{folder}");
        assert_eq!(last, "wrong");
    }
}
