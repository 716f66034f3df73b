//! Programs that speak Librato's API, and a broker that takes the place of the service.

mod annotations;
mod clients;
mod collectd;
mod durable;
mod post;

use std::fs;
use std::path::Path;
use tempfile::TempDir;
use zibrato_tests::{Broker, Carbon, Ports, Running};

/// The only user, and the token.
const USER: &str = "user@example.com";
const TOKEN: &str = "tok123";

/// A broker that receives Librato's API.
struct Service {
    broker: Broker,
    ports: Ports,
    folder: TempDir,
}

impl Service {
    #[track_caller]
    fn start(args: &[&str]) -> Self {
        let (ports, folder) = (Ports::take(), tempfile::tempdir().unwrap());
        let users = folder.path().join("users");
        fs::write(&users, format!("{USER}: {TOKEN}\n")).unwrap();
        let (address, users) = (address(&ports), users.display().to_string());
        let flags = ["--librato", &address, "--librato-users", &users, "--settle", "0"];
        let broker = Broker::start_with(&[&flags, args].concat());
        Self { broker, ports, folder }
    }

    fn address(&self) -> String {
        address(&self.ports)
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A port that nobody else uses.
    fn port(&self, place: u16) -> u16 {
        self.ports.at(place)
    }

    /// A worker that delivers to this Carbon.
    #[track_caller]
    fn worker(&self, carbon: &Carbon) -> Running {
        let address = format!("127.0.0.1:{}", carbon.port());
        let flags = ["--levels", "librato", "--flush", "1", "--carbon", &address];
        let parts = ["--gauge-parts", "last,min,max,mean,count"];
        self.broker.worker("zibrato-carbon", &[&flags[..], &parts].concat())
    }
}

fn address(ports: &Ports) -> String {
    format!("127.0.0.1:{}", ports.at(0))
}
