//! Starts a real broker on its own ports, and real workers that subscribe to it.

use crate::ports::Ports;
use crate::program::program;
use crate::running::{Running, Signal, must};
use crate::wait::DEADLINE;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, ExitStatus};
use tempfile::TempDir;

/// A running `zibrato-broker`.
#[derive(Debug)]
pub struct Broker {
    running: Running,
    ports: Ports,
    args: Vec<String>,
    _journal: TempDir,
}

impl Broker {
    /// Starts a broker and waits until it accepts connections.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a broker with more flags. By default it keeps a journal, which is deleted when this
    /// is dropped.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn start_with(args: &[&str]) -> Self {
        let ports = Ports::take();
        let journal = must("a folder for the journal", TempDir::new());
        let mut args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
        if !args.iter().any(|arg| arg == "--journal" || arg == "--no-journal") {
            args.extend([
                "--journal".to_owned(),
                journal.path().join("journal").display().to_string(),
            ]);
        }
        let running = run(&ports, &args);
        Self { running, ports, args, _journal: journal }
    }

    /// The port for publishers.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.at(0)
    }

    /// The port for subscribers.
    #[must_use]
    pub fn publishing_port(&self) -> u16 {
        self.ports.at(1)
    }

    /// A port for the HTTP pages of a worker of this broker.
    #[must_use]
    pub fn worker_http_port(&self) -> u16 {
        self.ports.at(5)
    }

    /// The port for unchanged Python programs.
    #[must_use]
    pub fn legacy_port(&self) -> u16 {
        self.ports.at(3)
    }

    /// The port of its HTTP pages.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.ports.at(4)
    }

    /// A value of its `/metrics` page, by name and labels:
    /// `zibrato_broker_dropped_total{reason="fields"}`.
    ///
    /// # Panics
    /// If the page cannot be read or has no such value.
    #[must_use]
    #[track_caller]
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.page("/metrics");
        let mut values = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = values.next().and_then(|value| value.parse().ok());
        let Some(value) = value else { panic!("no {name} in\n{page}") };
        value
    }

    /// One of its pages, including the head.
    ///
    /// # Panics
    /// If the page cannot be read.
    #[must_use]
    #[track_caller]
    pub fn page(&self, path: &str) -> String {
        Self::page_at(self.http_port(), path)
    }

    /// A page of any server on a port of this machine, including the head.
    ///
    /// # Panics
    /// If the page cannot be read.
    #[must_use]
    #[track_caller]
    pub fn page_at(port: u16, path: &str) -> String {
        let mut stream = must("/metrics", TcpStream::connect(("127.0.0.1", port)));
        must("/metrics", stream.set_read_timeout(Some(DEADLINE)));
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        must("/metrics", stream.write_all(request.as_bytes()));
        let mut page = String::new();
        must("/metrics", stream.read_to_string(&mut page));
        page
    }

    /// The program.
    pub const fn running(&mut self) -> &mut Running {
        &mut self.running
    }

    /// Sends it a signal and returns.
    ///
    /// # Panics
    /// If it has already ended.
    #[track_caller]
    pub fn signal(&mut self, signal: Signal) {
        self.running.signal(signal);
    }

    /// Stops it with a signal.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn stop(&mut self, signal: Signal) -> ExitStatus {
        self.running.stop(signal)
    }

    /// Starts it again, on the same ports, after [`stop`](Self::stop).
    ///
    /// # Panics
    /// If it does not start.
    #[track_caller]
    pub fn restart(&mut self) {
        self.running = run(&self.ports, &self.args);
    }

    /// Starts a worker of this broker with these flags, and waits until it is connected.
    ///
    /// # Panics
    /// If it does not connect.
    #[must_use]
    #[track_caller]
    pub fn worker(&self, name: &str, args: &[&str]) -> Running {
        let mut command = Command::new(program(name));
        command.arg("--port").arg(self.publishing_port().to_string()).args(args);
        let mut worker = Running::start(&mut command);
        // It has received a message for its last subscription, so the others are in place too.
        worker.says(&["broker_connected"]);
        worker
    }
}

fn run(ports: &Ports, args: &[String]) -> Running {
    let mut command = Command::new(program("zibrato-broker"));
    command.arg("--port").arg(ports.at(0).to_string());
    command.arg("--http").arg(format!("127.0.0.1:{}", ports.at(4)));
    // The free space on a test machine does not matter.
    command.args(["--journal-min-free", "0"]);
    let mut running = Running::start(command.args(args));
    for place in [0, 1, 2, 3, 4] {
        running.listens(ports.at(place));
    }
    running
}
