//! Carbon behind TLS: servers of the test, and a real stunnel in front of a real Carbon.

mod check;
mod ends;
mod refused;
mod stunnel;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use zibrato::window::Window;
use zibrato::wire::Line;
use zibrato_tests::DEADLINE;
use zibrato_tests::fake::{Authority, Identity};
use zibrato_workers::carbon::{Carbon, Tls, TlsFlags};
use zibrato_workers::{Backend, Payload, SendError};

/// The names in the certificates of the servers.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// An authority that only the flags name, and a folder for its certificates.
struct Company {
    authority: Authority,
    folder: TempDir,
}

impl Company {
    fn new() -> Self {
        let authority = Authority::new("Company Root CA").unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("authorities")).unwrap();
        std::fs::write(folder.path().join("authorities/ca.pem"), authority.pem()).unwrap();
        Self { authority, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn server(&self) -> Identity {
        self.authority.issue(&NAMES).unwrap()
    }

    /// Flags that trust the authority.
    fn flags(&self) -> TlsFlags {
        let mut flags = TlsFlags::default();
        flags.ca_dir = Some(self.path("authorities"));
        flags
    }

    /// Writes a client certificate of an authority to `NAME.pem` and `NAME.key`.
    fn write_client(&self, name: &str, authority: &Authority) {
        let client = authority.issue(&["worker.example.com"]).unwrap();
        let (certificate, key) = (self.path(name).with_extension("pem"), self.path(name));
        client.write(&certificate, &key.with_extension("key")).unwrap();
    }

    /// Flags that trust the authority, with a client certificate.
    fn flags_of_client(&self, name: &str) -> TlsFlags {
        let mut flags = self.flags();
        flags.client_cert = Some(self.path(name).with_extension("pem"));
        flags.client_key = Some(self.path(name).with_extension("key"));
        flags
    }
}

fn carbon(address: &str, flags: &TlsFlags) -> Carbon {
    let carbon = Carbon::to(address.parse().unwrap());
    carbon.tls(&Tls::load(flags).unwrap()).unwrap()
}

/// A window of one counter, and its line.
fn window(sum: u32, start_s: u64) -> (Window, String) {
    let mut window = Window::new(start_s * 1000, 60_000, 1000);
    window.fold_line(&Line::decode(format!("i|c|n|{sum}|1|s").as_bytes()).unwrap());
    (window, format!("s.n {sum} {start_s}\n"))
}

/// Sends one payload until it is accepted, as the worker does.
fn send(carbon: &mut Carbon, payload: &Payload) {
    let begun = Instant::now();
    loop {
        match carbon.send(payload) {
            Ok(()) => return,
            Err(SendError::Retry { .. } | SendError::Unknown { .. }) => {
                assert!(begun.elapsed() < DEADLINE, "never accepted");
            }
            Err(error) => panic!("{}", causes(&error)),
        }
    }
}

fn deliver(carbon: &mut Carbon, window: Window) {
    for payload in carbon.payloads(window) {
        send(carbon, &payload);
    }
}

/// An error with its causes.
fn causes(error: &dyn Error) -> String {
    let rest = error.source().map(|cause| format!(": {}", causes(cause))).unwrap_or_default();
    format!("{error}{rest}")
}

const MILLIS: fn(u64) -> Duration = Duration::from_millis;
