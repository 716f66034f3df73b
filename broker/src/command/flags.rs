//! The flags of `zibrato-broker`, and their conversion to a configuration.

use super::bucky::BuckyCommand;
use super::cursors::CursorsCommand;
use super::intakes::Intakes;
use super::journal::{JournalCommand, JournalFlags};
use super::rules::RulesCommand;
use crate::config::Config;
use crate::intake::FlagErrors;
use crate::keygen::KeygenFlags;
use crate::ports::MAX_BASE_PORT;
use crate::start_error::StartError;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;
use zibrato::curve::KeySource;
use zibrato::daemon::{CommonFlags, Exit, Failure, seconds, whole_number};
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
    pub(super) host: String,

    /// Port for publishers. The next three ports are used as well. 0 picks free ports
    #[arg(long, value_name = "PORT", default_value_t = 5550, global = true,
          value_parser = whole_number::<u16>("a port", ..=u64::from(MAX_BASE_PORT)))]
    pub(super) port: u16,

    /// Encrypt connections with the secret key in this file. `zibrato-broker keygen` creates one
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) curve_key: Option<KeySource>,

    /// Public keys of the clients that may connect: a file with one key per line, or a folder of *.pub files. Send HUP to reload them
    #[arg(long, value_name = "PATH")]
    pub(super) allowed_keys: Option<PathBuf>,

    /// Also listen on Unix sockets in this folder, for clients on this machine. They use the host ipc://DIR
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) ipc: Option<PathBuf>,

    /// Permissions of the sockets in the --ipc folder: 0600 for this user, 0660 for its group too
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = mode)]
    pub(super) ipc_mode: u32,

    /// Address of the HTTP pages /healthz, /readyz and /metrics, or `off`
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5580", value_parser = http)]
    pub(super) http: Http,

    /// Maximum number of messages queued for one subscriber. Further messages to it are dropped
    #[arg(long, value_name = "MESSAGES", default_value_t = 10_000,
          value_parser = whole_number::<u32>("a whole number of messages", 1..=i32::MAX as u64))]
    pub(super) high_water_mark: u32,

    /// Maximum size of a frame, in bytes. A client that sends a larger one is disconnected. Cannot be raised, because workers accept no more
    #[arg(long, value_name = "BYTES", default_value_t = MAX_FRAME_BYTES as u64,
          value_parser = whole_number::<u64>("a whole number of bytes", 1..=MAX_FRAME_BYTES as u64))]
    pub(super) max_frame: u64,

    /// Memory limit, in MiB. At half the limit, heavy senders and stalled readers are disconnected; they may reconnect
    #[arg(long, value_name = "MIB", default_value_t = 512,
          value_parser = whole_number::<u64>("a whole number of MiB", 64..=1 << 30))]
    pub(super) max_memory: u64,

    /// Maximum time to stop, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds(0.0..=3_600.0))]
    pub(super) shutdown_timeout: Duration,

    /// Seconds to wait after a start before publishing, so that subscribers can reconnect
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds(0.0..=3_600.0))]
    pub(super) settle: Duration,

    /// Allow unencrypted connections from other machines: anyone who reaches the ports may publish and subscribe. Also needed for --http and intakes beyond loopback
    #[arg(long)]
    pub(super) insecure: bool,

    /// Rules for the samples of intakes, in TOML: rename, drop, scale, set levels and tags. Send HUP to reload them
    #[arg(long, value_name = "FILE")]
    pub(super) rules: Option<PathBuf>,

    #[command(flatten)]
    pub(super) intakes: Intakes,

    #[command(flatten)]
    pub(super) journal: JournalFlags,

    #[command(flatten)]
    pub(super) common: CommonFlags,

    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// The subcommands.
#[derive(Debug, Clone, clap::Subcommand)]
pub(super) enum Command {
    BuckyConfig(BuckyCommand),
    Cursors(CursorsCommand),
    Journal(JournalCommand),
    /// Create a key pair and explain how to use it
    Keygen(KeygenFlags),
    Rules(RulesCommand),
}

/// The address of the HTTP pages, if they are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Http {
    /// They are served at this address.
    At(SocketAddr),
    /// They are not served.
    Off,
}

impl Flags {
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let journal = self.journal.config()?;
        if let Some(journal) = &journal {
            self.journal.probe(&journal.directory)?;
        }
        self.with_rules(self.with_keys(self.without_keys().journal(journal))?)
    }

    /// The configuration with the rules, if there are any.
    pub(super) fn with_rules(&self, config: Config) -> Result<Config, Failure> {
        match &self.rules {
            Some(file) => config
                .rules(file)
                .map_err(|error| Failure::new(Exit::Config, format!("--rules {error}"))),
            None => Ok(config),
        }
    }

    /// The configuration without keys and journal.
    pub(super) fn without_keys(&self) -> Config {
        let http = match self.http {
            Http::At(address) => Some(address),
            Http::Off => None,
        };
        let mut config = Config::new()
            .host(&*self.host)
            .port(self.port)
            .http(http)
            .max_frame(usize::try_from(self.max_frame).unwrap_or(usize::MAX))
            .high_water(self.high_water_mark)
            .max_memory(self.max_memory << 20)
            .settle(self.settle);
        config.intakes.clone_from(&self.intakes.0);
        let config = match &self.ipc {
            Some(folder) => config.ipc(folder, self.ipc_mode),
            None => config,
        };
        if self.insecure { config.insecure() } else { config }
    }

    pub(super) fn with_keys(&self, config: Config) -> Result<Config, Failure> {
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

    /// The replay endpoint of a running broker with these flags and this --port: in its folder of
    /// sockets, if it has one. As for workers, the folder may also be given in --host.
    pub(super) fn replay_endpoint(&self, port: u16) -> String {
        let folder = self.ipc.as_ref().map(|folder| format!("ipc://{}", folder.display()));
        let file = Endpoint::Replay.ipc_endpoint(folder.as_ref().unwrap_or(&self.host));
        file.unwrap_or_else(|| {
            let port = port.saturating_add(Endpoint::Replay.offset());
            match self.host.parse::<Ipv6Addr>() {
                Ok(host) => format!("tcp://[{host}]:{port}"),
                Err(_) => format!("tcp://{}:{port}", self.host),
            }
        })
    }
}

/// The exit code and message of an error.
pub(super) fn failure(error: StartError) -> Failure {
    let exit = match &error {
        StartError::Allowed(_)
        | StartError::Exposed { .. }
        | StartError::ExposedIntake(_)
        | StartError::ExposedPages { .. }
        | StartError::Ipc(_)
        | StartError::NoAddress { .. }
        | StartError::Nowhere
        | StartError::PortRange { .. }
        | StartError::UnknownHost { .. } => Exit::Config,
        StartError::Intake { problem, .. } => {
            let flags = problem.downcast_ref::<FlagErrors>();
            flags.map_or(Exit::Unavailable, FlagErrors::exit)
        }
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
