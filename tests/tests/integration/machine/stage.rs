//! A broker, a worker and its backend, one of which is a daemon on a machine with a fault.

use super::backend::{Backend, in_output};
use super::large;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use zibrato::Zibrato;
use zibrato_tests::fake::{FakeLibrato, FakeSlack, Reply};
use zibrato_tests::{
    Carbon, DEADLINE, FailingDisk, Ports, Running, Signal, program, wait_for, wait_until,
};

/// Maximum number of lines that a daemon may log during and about a fault.
const FEW_LINES: usize = 60;

/// The daemon on the machine with the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Daemon {
    Broker,
    Carbon,
    Librato,
    Slack,
    Tail,
}

impl Daemon {
    const fn name(self) -> &'static str {
        match self {
            Self::Broker => "zibrato-broker",
            Self::Carbon => "zibrato-carbon",
            Self::Librato => "zibrato-librato",
            Self::Slack => "zibrato-slack",
            Self::Tail => "zibrato-tail",
        }
    }
}

/// The result of a start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Works,
    Refuses { code: i32, line: String },
}

/// All programs of a test.
#[derive(Debug)]
pub(crate) struct Stage {
    folder: TempDir,
    disk: FailingDisk,
    ports: Ports,
    daemon: Daemon,
    backend: Backend,
    state_is_named: bool,
    broker: Option<Running>,
    worker: Option<Running>,
    publisher: Option<Zibrato>,
    made: u32,
    lines: usize,
}

impl Stage {
    pub(crate) fn new(daemon: Daemon) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        let backend = match daemon {
            Daemon::Broker | Daemon::Librato => Backend::Librato(FakeLibrato::start().unwrap()),
            Daemon::Carbon => Backend::Carbon(Carbon::start()),
            Daemon::Slack => Backend::Slack(FakeSlack::start().unwrap()),
            Daemon::Tail => Backend::Output,
        };
        Self {
            disk: FailingDisk::new(&folder.path().join("state")),
            folder,
            ports: Ports::take(),
            daemon,
            backend,
            state_is_named: true,
            broker: None,
            worker: None,
            publisher: None,
            made: 0,
            lines: 0,
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder in which the daemon keeps its state: a journal, or dead letters.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder().join("state/kept")
    }

    /// The disk of this folder.
    pub(crate) const fn disk(&self) -> &FailingDisk {
        &self.disk
    }

    /// Sets no flag for the state folder.
    pub(crate) const fn keep_state_by_default(&mut self) {
        self.state_is_named = false;
    }

    /// Starts all programs; the daemon is started by a bash script that has its command line as
    /// arguments.
    #[track_caller]
    pub(crate) fn start(&mut self, script: &str) -> Outcome {
        if self.daemon != Daemon::Broker {
            let mut broker = Running::start(&mut self.broker_command());
            self.wait_for_broker(&mut broker);
            self.broker = Some(broker);
        }
        let command = match self.daemon {
            Daemon::Broker => self.broker_command(),
            _ => self.worker_command(),
        };
        let mut wrapped = Command::new("/bin/bash");
        wrapped.args(["-c", script, "bash"]).arg(command.get_program()).args(command.get_args());
        wrapped.env_remove("STATE_DIRECTORY").env_remove("XDG_STATE_HOME");
        self.disk.hold(&mut wrapped);
        let mut running = Running::start(&mut wrapped);
        if let Some(refusal) = self.wait_until_it_works(&mut running) {
            return refusal;
        }
        if self.daemon == Daemon::Broker {
            self.broker = Some(running);
            let mut worker = Running::start(&mut self.worker_command());
            worker.says(&["broker_connected"]);
            self.worker = Some(worker);
        } else {
            self.worker = Some(running);
        }
        let builder = Zibrato::builder().port(self.ports.at(0)).source("web-1");
        self.publisher = Some(builder.interval(Duration::from_millis(50)).build().unwrap());
        Outcome::Works
    }

    /// Counts arrive.
    #[track_caller]
    pub(crate) fn delivers(&mut self) {
        let publisher = self.publisher.as_ref().unwrap();
        let delivered = publisher.stats().delivered;
        publisher.count("info", "orders", 1);
        self.made += 1;
        wait_until(DEADLINE, "an acknowledgement", || publisher.stats().delivered > delivered);
        self.all_arrives();
        self.lines = self.said();
    }

    /// Counts during a fault that the daemon tolerates, for longer than the daemon may need to
    /// notice it.
    #[track_caller]
    pub(crate) fn trouble(&mut self) {
        self.refuse(true);
        self.count_for_a_while();
        self.lives();
        self.refuse(false);
    }

    /// Counts during a fault that the daemon must report, on its page and in its log. A broker
    /// acknowledges nothing meanwhile.
    #[track_caller]
    pub(crate) fn fault_is_reported(&mut self) {
        self.refuse(true);
        let place = if self.daemon == Daemon::Broker { 4 } else { 5 };
        let publisher = self.publisher.as_ref().unwrap();
        publisher.count("info", "orders", 1);
        self.made += 1;
        wait_until(DEADLINE, "a page that says not ready", || {
            self.page(place, "/readyz").starts_with("HTTP/1.1 503")
        });
        let acknowledged = publisher.stats().delivered;
        self.count_for_a_while();
        if self.daemon == Daemon::Broker {
            let now = self.publisher.as_ref().unwrap().stats().delivered;
            assert_eq!(now, acknowledged, "readings were acknowledged but not kept");
        }
        assert!(self.said() > self.lines, "it did not log the fault");
        self.lives();
        self.refuse(false);
    }

    /// If the daemon is the broker, kills and restarts it: all acknowledged data is still there.
    #[track_caller]
    pub(crate) fn is_killed(&mut self) {
        if self.daemon != Daemon::Broker {
            return;
        }
        self.running().stop(Signal::KILL);
        let mut broker = Running::start(&mut self.broker_command());
        self.wait_for_broker(&mut broker);
        self.broker = Some(broker);
        self.recovers();
    }

    #[track_caller]
    fn count_for_a_while(&mut self) {
        let publisher = self.publisher.as_ref().unwrap();
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_secs(4) {
            publisher.count("info", "orders", 1);
            self.made += 1;
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// Sends large messages to the broker.
    pub(crate) fn sends_large_messages(&self) {
        large::send(self.ports.at(0));
    }

    /// The fault is repaired, and everything arrives.
    #[track_caller]
    pub(crate) fn recovers(&mut self) {
        let publisher = self.publisher.as_ref().unwrap();
        publisher.count("info", "orders", 1);
        self.made += 1;
        let made = u64::from(self.made);
        wait_until(DEADLINE * 2, "all acknowledgements", || publisher.stats().delivered == made);
        self.all_arrives();
        self.lives();
    }

    /// The fault has not filled the log.
    #[track_caller]
    pub(crate) fn logs_little(&mut self) {
        let said = self.said() - self.lines;
        let running = self.running();
        assert!(said <= FEW_LINES, "{said} lines in a few seconds:\n{}", running.log());
    }

    #[track_caller]
    pub(crate) fn ends_well(&mut self, signal: Signal) {
        let status = self.running().stop(signal);
        assert_eq!(status.code(), Some(0), "{}", self.running().log());
    }

    /// Sets the limit of descriptors of the daemon, or the maximum.
    pub(crate) fn limit_descriptors(&self, current: Option<u64>) {
        let running = match self.daemon {
            Daemon::Broker => self.broker.as_ref(),
            _ => self.worker.as_ref(),
        };
        let pid = Pid::from_raw(running.unwrap().id().cast_signed());
        let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
        let current = current.or(maximum);
        prlimit(pid, Resource::Nofile, Rlimit { current, maximum }).unwrap();
    }

    #[track_caller]
    fn running(&mut self) -> &mut Running {
        let running = match self.daemon {
            Daemon::Broker => self.broker.as_mut(),
            _ => self.worker.as_mut(),
        };
        running.unwrap()
    }

    #[track_caller]
    fn lives(&mut self) {
        assert!(!self.running().has_ended(), "it has ended");
    }

    fn said(&mut self) -> usize {
        self.running().log().lines().count()
    }

    /// Whether the backend rejects everything, so that a worker needs its dead letters.
    fn refuse(&self, refuses: bool) {
        let reply = refuses.then(|| Reply::status(400));
        match (&self.backend, self.daemon) {
            (Backend::Librato(fake), Daemon::Librato) => fake.answer_always(reply),
            (Backend::Slack(fake), Daemon::Slack) => fake.answer_always(reply),
            _ => {}
        }
    }

    /// Everything is in the backend, or in a dead letter.
    #[track_caller]
    fn all_arrives(&self) {
        let made = f64::from(self.made);
        wait_until(DEADLINE * 2, "everything to arrive", || self.arrived() >= made);
        assert_eq!(self.arrived(), made);
    }

    fn arrived(&self) -> f64 {
        match &self.backend {
            Backend::Output => in_output(&self.worker.as_ref().unwrap().output()),
            backend => backend.arrived(&self.state()),
        }
    }

    fn broker_command(&self) -> Command {
        let mut command = Command::new(program("zibrato-broker"));
        command.arg("--port").arg(self.ports.at(0).to_string());
        command.arg("--http").arg(format!("127.0.0.1:{}", self.ports.at(4)));
        command.args(["--journal-min-free", "0"]);
        if self.daemon != Daemon::Broker {
            command.arg("--journal").arg(self.folder().join("journal"));
        } else if self.state_is_named {
            command.arg("--journal").arg(self.state());
        }
        command
    }

    fn worker_command(&self) -> Command {
        let name = match self.daemon {
            Daemon::Broker => Daemon::Librato.name(),
            other => other.name(),
        };
        let mut command = Command::new(program(name));
        command.arg("--port").arg(self.ports.at(1).to_string()).args(["--levels", "info"]);
        if self.daemon == Daemon::Tail {
            command.arg("--json");
            return command;
        }
        command.args(["--flush", "1"]);
        command.arg("--http").arg(format!("127.0.0.1:{}", self.ports.at(5)));
        if self.daemon == Daemon::Broker {
            command.arg("--dead-letters").arg(self.folder().join("letters"));
        } else if self.state_is_named {
            command.arg("--dead-letters").arg(self.state());
        }
        match &self.backend {
            Backend::Carbon(carbon) => {
                command.arg("--carbon").arg(format!("127.0.0.1:{}", carbon.port()));
            }
            Backend::Librato(librato) => {
                command.args(["--username", FakeLibrato::USERNAME, "--api-url", &librato.url()]);
                command.args(["--apitoken", FakeLibrato::APITOKEN]);
            }
            Backend::Slack(slack) => {
                command.args(["--pace", "0.1", "--webhook-url", &slack.webhook_url()]);
            }
            Backend::Output => {}
        }
        command
    }

    fn wait_for_broker(&self, broker: &mut Running) {
        for place in 0..=4 {
            broker.listens(self.ports.at(place));
        }
    }

    /// Waits until the daemon works, or returns why it did not start.
    #[track_caller]
    fn wait_until_it_works(&self, running: &mut Running) -> Option<Outcome> {
        let works = || match self.daemon {
            Daemon::Broker => self.is_ready(4),
            // It has no HTTP pages; the broker has metrics about its subscription.
            Daemon::Tail => {
                self.page(4, "/metrics").contains("zibrato_broker_wanted_level{level=\"info\"} 1")
            }
            _ => self.is_ready(5),
        };
        wait_for(DEADLINE, "the daemon to work or to end", || {
            if running.has_ended() {
                let status = running.ended();
                let log = running.log();
                let code = status.code();
                let code = code.unwrap_or_else(|| panic!("{status}: {log}"));
                return Some(Some(Outcome::Refuses { code, line: log }));
            }
            works().then_some(None)
        })
    }

    fn is_ready(&self, place: u16) -> bool {
        self.page(place, "/readyz").starts_with("HTTP/1.1 200")
    }

    fn page(&self, place: u16, path: &str) -> String {
        let ask = || {
            let mut stream = TcpStream::connect(("127.0.0.1", self.ports.at(place)))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
            let mut page = String::new();
            stream.read_to_string(&mut page)?;
            std::io::Result::Ok(page)
        };
        ask().unwrap_or_default()
    }
}
