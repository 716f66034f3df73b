//! Runs a real stunnel (Debian's `stunnel4`), which takes connections with TLS and passes their data
//! on to a port of this machine.

use crate::fake::Identity;
use crate::running::{Running, Signal, must};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const PROGRAM: &str = "/usr/bin/stunnel4";

/// A running stunnel.
#[derive(Debug)]
pub struct Stunnel {
    running: Running,
    services: Vec<(u16, u16)>,
    folder: TempDir,
}

impl Stunnel {
    /// Starts a stunnel with this certificate: for each pair, it accepts TLS on the first port of
    /// 127.0.0.1 and connects to the second one. With `clients`, the PEM file of an authority, it
    /// requires certificates of that authority.
    ///
    /// # Panics
    /// If it is not installed or does not start.
    #[must_use]
    #[track_caller]
    pub fn start(identity: &Identity, services: &[(u16, u16)], clients: Option<&Path>) -> Self {
        assert!(
            Path::new(PROGRAM).is_file(),
            "{PROGRAM} is not there; `apt-get install stunnel4` or `tests/run setup` installs it"
        );
        let folder = must("a temporary folder", TempDir::new());
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        must("the certificate", identity.write(&certificate, &key));
        let mut text = format!(
            "foreground = yes\npid =\nsyslog = no\ndebug = info\ncert = {}\nkey = {}\n",
            certificate.display(),
            key.display()
        );
        if let Some(authority) = clients {
            text += &format!("CAfile = {}\nverifyChain = yes\n", authority.display());
        }
        for (number, (accept, connect)) in services.iter().enumerate() {
            text += &format!(
                "[service-{number}]\naccept = 127.0.0.1:{accept}\nconnect = 127.0.0.1:{connect}\n"
            );
        }
        must("the configuration", fs::write(configuration(&folder), text));
        let running = run(&folder, services);
        Self { running, services: services.to_vec(), folder }
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.running.log()
    }

    /// Kills it; [`restart`](Self::restart) starts it again on the same ports.
    ///
    /// # Panics
    /// If it has already ended.
    #[track_caller]
    pub fn kill(&mut self) {
        self.running.stop(Signal::KILL);
    }

    /// Starts it again after [`kill`](Self::kill).
    ///
    /// # Panics
    /// If it does not start.
    #[track_caller]
    pub fn restart(&mut self) {
        self.running = run(&self.folder, &self.services);
    }
}

fn configuration(folder: &TempDir) -> PathBuf {
    folder.path().join("stunnel.conf")
}

fn run(folder: &TempDir, services: &[(u16, u16)]) -> Running {
    let mut running = Running::start(Command::new(PROGRAM).arg(configuration(folder)));
    for (accept, _) in services {
        running.listens(*accept);
    }
    running
}
