//! The command line of `zibrato-broker`, and what the program does with it.

mod check;
mod cursors;
mod journal;

use crate::bind::{MAX_BASE_PORT, StartError};
use crate::broker::{Broker, End};
use crate::config::Config;
use crate::keygen::{self, KeygenFlags};
use cursors::CursorsCommand;
use journal::{JournalCommand, JournalFlags};
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use zibrato::curve::{Curve, KeySource};
use zibrato::daemon::{
    CommonFlags, Doubts, Exit, Failure, Findings, Hangup, Program, Stop, Systemd, seconds,
    whole_number,
};
use zibrato::resources::new_context;
use zibrato::wire::{Endpoint, MAX_FRAME_BYTES};

const EXAMPLES: &str = "\
Examples:
  zibrato-broker
  zibrato-broker --port 6000 --http off
  zibrato-broker keygen
  zibrato-broker --host 10.0.0.5 --curve-key broker.key --allowed-keys /etc/zibrato/allowed-keys
  zibrato-broker --ipc /run/zibrato --host off

Ports: PORT for publishers, PORT+1 for subscribers, PORT+2 for readers of the journal, PORT+3 for publishers that use Python Zibrato 0.2.
Each flag can also be set by a variable (ZIBRATO_BROKER_PORT) or a key in the --config file (port).";

/// Receives measurements from programs and publishes them to workers by level
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "zibrato-broker", version, after_help = EXAMPLES)]
pub struct Flags {
    /// Address or host name to listen on, or `off`. Any address but loopback needs --curve-key or --insecure
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1", global = true)]
    host: String,

    /// Port for publishers. The next three ports are used as well. 0 picks free ports
    #[arg(long, value_name = "PORT", default_value_t = 5550, global = true,
          value_parser = whole_number::<u16>("a port", ..=u64::from(MAX_BASE_PORT)))]
    port: u16,

    /// Encrypt connections with the secret key in this file. `zibrato-broker keygen` creates one
    #[arg(long, value_name = "FILE", global = true)]
    curve_key: Option<KeySource>,

    /// Public keys of the clients that may connect: a file with one key per line, or a folder of *.pub files. HUP reloads it
    #[arg(long, value_name = "PATH")]
    allowed_keys: Option<PathBuf>,

    /// Also listen on Unix sockets in this folder, for clients on this machine. They use the host ipc://DIR
    #[arg(long, value_name = "DIR", global = true)]
    ipc: Option<PathBuf>,

    /// Permissions of the sockets in the --ipc folder: 0600 for this user, 0660 for its group too
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = mode)]
    ipc_mode: u32,

    /// Address of the HTTP pages /healthz, /readyz and /metrics, or `off`
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5580", value_parser = http)]
    http: Http,

    /// Maximum number of messages queued for one subscriber. Further messages to it are dropped
    #[arg(long, value_name = "MESSAGES", default_value_t = 10_000,
          value_parser = whole_number::<u32>("a whole number of messages", 1..=i32::MAX as u64))]
    high_water_mark: u32,

    /// Maximum size of a frame, in bytes. A client that sends a larger one is disconnected. The default is also the limit, because workers accept no more
    #[arg(long, value_name = "BYTES", default_value_t = MAX_FRAME_BYTES as u64,
          value_parser = whole_number::<u64>("a whole number of bytes", 1..=MAX_FRAME_BYTES as u64))]
    max_frame: u64,

    /// Memory limit, in MiB. At half the limit, heavy senders and stalled readers are disconnected; they may reconnect
    #[arg(long, value_name = "MIB", default_value_t = 512,
          value_parser = whole_number::<u64>("a whole number of MiB", 64..=1 << 30))]
    max_memory: u64,

    /// Maximum time to stop, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds(0.0..=3_600.0))]
    shutdown_timeout: Duration,

    /// Time to wait after a start before publishing anything, in seconds, so that subscribers can reconnect
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds(0.0..=3_600.0))]
    settle: Duration,

    /// Allow unencrypted connections from other machines: anyone who reaches the ports may publish and subscribe
    #[arg(long)]
    insecure: bool,

    #[command(flatten)]
    journal: JournalFlags,

    #[command(flatten)]
    common: CommonFlags,

    #[command(subcommand)]
    command: Option<Command>,
}

/// What the program does in place of running.
#[derive(Debug, Clone, clap::Subcommand)]
enum Command {
    Cursors(CursorsCommand),
    Journal(JournalCommand),
    /// Create a key pair and explain how to use it
    Keygen(KeygenFlags),
}

/// Where pages are served, if they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Http {
    /// There.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl Program for Flags {
    fn common(&self) -> &CommonFlags {
        &self.common
    }

    fn subcommand_flags(path: &str) -> Option<Vec<String>> {
        let used: &[&str] = match path.split(' ').next() {
            Some("cursors") => &["host", "port", "ipc", "curve-key", "config"],
            Some("journal") => &["journal", "config"],
            _ => &[],
        };
        Some(used.iter().map(|flag| (*flag).to_owned()).collect())
    }

    fn subcommand_help(path: &str, command: clap::Command) -> clap::Command {
        let texts: &[(&str, &str)] = match path.split(' ').next() {
            Some("cursors") => &cursors::FLAGS,
            Some("journal") => &journal::FLAGS,
            _ => &[],
        };
        let text = |command: clap::Command, (flag, text): &(&'static str, &'static str)| {
            command.mut_arg(*flag, |flag| flag.help(*text))
        };
        texts.iter().fold(command, text)
    }

    fn runs(&self) -> bool {
        self.command.is_none()
    }

    fn levels(&self) -> Vec<String> {
        self.journal.kept_levels()
    }

    fn check(&self, findings: &mut Findings) {
        check::check(self, findings);
    }

    /// Runs the broker until TERM, INT or QUIT, or does what the subcommand says.
    fn run(self, doubts: Doubts) -> Result<ExitCode, Failure> {
        let done = match &self.command {
            Some(Command::Cursors(command)) => self.cursors(command),
            Some(Command::Journal(command)) => journal::run(command, &self.journal),
            Some(Command::Keygen(flags)) => keygen::run(flags),
            None => return run(&self, doubts),
        };
        done.map(|()| Exit::Fine.into())
    }
}

fn run(flags: &Flags, doubts: Doubts) -> Result<ExitCode, Failure> {
    let config = flags.config()?;
    let resources = |error| failure(StartError::Resources(error));
    let stop = Stop::on_signals().map_err(resources)?;
    let hangup = Hangup::on_signal().map_err(resources)?;
    let broker = Broker::start(config).map_err(failure)?;
    announce(&broker);
    doubts.log();
    attend(&broker, &stop, &hangup);
    let report = broker.stop(flags.shutdown_timeout);
    let counters = &report.counters;
    tracing::info!(
        event = "stopped",
        lines = counters.lines(),
        batches = counters.batches(),
        duplicates = counters.duplicates,
        dropped = counters.dropped.total(),
        published_lines = counters.published_lines,
        published_batches = counters.published_batches,
    );
    match report.end {
        End::Clean => Ok(Exit::Fine.into()),
        End::TimedOut => Err(Failure::new(
            Exit::Io,
            "stopping took longer than --shutdown-timeout; subscribers may have missed the last \
             messages",
        )),
        End::Failed => Err(Failure::new(Exit::Io, "the router failed; the log says why")),
        End::Unwritten => Err(Failure::new(
            Exit::Io,
            "the journal could not be written completely; the log says what is lost",
        )),
    }
}

/// Tells systemd how the broker is, until it is to stop or has failed.
fn attend(broker: &Broker, stop: &Stop, hangup: &Hangup) {
    let systemd = Systemd::from_env();
    let status = || broker.unready().unwrap_or_else(|| "ready".to_owned());
    systemd.ready(&status());
    while !broker.wait_for(stop, hangup, systemd.beat()) {
        if broker.is_alive() {
            systemd.alive();
        }
        systemd.status(&status());
    }
    systemd.stopping();
}

fn announce(broker: &Broker) {
    let http = broker.http_addr().map_or_else(|| "off".to_owned(), |http| http.to_string());
    tracing::info!(
        event = "listening",
        publishers = broker.endpoints(Endpoint::Publishers).join(","),
        subscribers = broker.endpoints(Endpoint::Subscribers).join(","),
        readers = broker.endpoints(Endpoint::Replay).join(","),
        legacy = broker.endpoints(Endpoint::Legacy).join(","),
        http,
        allowed_keys = broker.counters().keys.map(|keys| keys.allowed),
    );
}

impl Flags {
    fn config(&self) -> Result<Config, Failure> {
        let journal = self.journal.config()?;
        if let Some(journal) = &journal {
            self.journal.probe(&journal.directory)?;
        }
        self.with_keys(self.without_keys().journal(journal))
    }

    /// The configuration, but for keys and journal.
    fn without_keys(&self) -> Config {
        let http = match self.http {
            Http::At(address) => Some(address),
            Http::Off => None,
        };
        let config = Config::new()
            .host(&*self.host)
            .port(self.port)
            .http(http)
            .max_frame(usize::try_from(self.max_frame).unwrap_or(usize::MAX))
            .high_water(self.high_water_mark)
            .max_memory(self.max_memory << 20)
            .settle(self.settle);
        let config = match &self.ipc {
            Some(folder) => config.ipc(folder, self.ipc_mode),
            None => config,
        };
        if self.insecure { config.insecure() } else { config }
    }

    fn with_keys(&self, config: Config) -> Result<Config, Failure> {
        let wrong = |why: String| Failure::new(Exit::Config, why);
        match (&self.curve_key, &self.allowed_keys) {
            (None, None) => Ok(config),
            (Some(key), Some(allowed)) => {
                let key =
                    key.secret_key().map_err(|error| wrong(format!("--curve-key {error}")))?;
                Ok(config.curve(key, allowed))
            }
            (Some(_), None) => Err(wrong(
                "--curve-key needs --allowed-keys, the public keys of the clients that may connect"
                    .into(),
            )),
            (None, Some(_)) => Err(wrong(
                "--allowed-keys needs --curve-key; `zibrato-broker keygen` creates a key".into(),
            )),
        }
    }

    /// Where the running broker with these flags has its cursors: in its folder, if it has one.
    /// A folder may also stand where workers have it, in --host.
    fn replay_endpoint(&self) -> String {
        let folder = self.ipc.as_ref().map(|folder| format!("ipc://{}", folder.display()));
        let file = Endpoint::Replay.ipc_endpoint(folder.as_ref().unwrap_or(&self.host));
        file.unwrap_or_else(|| {
            let port = self.port.saturating_add(Endpoint::Replay.offset());
            match self.host.parse::<Ipv6Addr>() {
                Ok(host) => format!("tcp://[{host}]:{port}"),
                Err(_) => format!("tcp://{}:{port}", self.host),
            }
        })
    }

    fn cursors(&self, command: &CursorsCommand) -> Result<(), Failure> {
        let endpoint = self.replay_endpoint();
        let context = new_context(1)
            .map_err(|shortage| Failure::new(Exit::Unavailable, shortage.to_string()))?;
        let socket = context.socket(zmq::DEALER);
        let socket = socket.map_err(|error| failure(StartError::Socket(error)))?;
        if let Some(key) = &self.curve_key {
            let wrong = |why: String| Failure::new(Exit::Config, format!("--curve-key {why}"));
            let key = key.secret_key().map_err(|error| wrong(error.to_string()))?;
            // Who has the broker's own key is let in without being on the list.
            let curve = Curve::new(*key.public_key(), key);
            curve.secure(&socket).map_err(|error| failure(StartError::Socket(error)))?;
        }
        cursors::run(command, &socket, &endpoint)
    }
}

fn failure(error: StartError) -> Failure {
    let exit = match error {
        StartError::Allowed(_)
        | StartError::Exposed { .. }
        | StartError::ExposedPages { .. }
        | StartError::Ipc(_)
        | StartError::NoAddress { .. }
        | StartError::Nowhere
        | StartError::PortRange { .. }
        | StartError::UnknownHost { .. } => Exit::Config,
        StartError::Http(_)
        | StartError::Journal(_)
        | StartError::NoFreePorts { .. }
        | StartError::NotPermitted { .. }
        | StartError::PortInUse { .. }
        | StartError::Resources(_)
        | StartError::Shortage(_)
        | StartError::Socket(_) => Exit::Unavailable,
    };
    Failure::new(exit, error.to_string())
}

fn http(text: &str) -> Result<Http, String> {
    if text == "off" {
        return Ok(Http::Off);
    }
    let address = text.to_socket_addrs().ok().and_then(|mut all| all.next());
    address
        .map(Http::At)
        .ok_or_else(|| "expected HOST:PORT, such as 127.0.0.1:5580, or `off`".into())
}

fn mode(text: &str) -> Result<u32, String> {
    match text {
        "0600" | "600" => Ok(0o600),
        "0660" | "660" => Ok(0o660),
        _ => Err("expected 0600 or 0660".into()),
    }
}

#[cfg(test)]
mod tests;
