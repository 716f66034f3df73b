//! The command line of `zibrato-slack init`, `send`, `recv` and `relay`, which are carbon-slack's
//! commands.

use super::relay::Target;
use super::state::State;
use super::to_broker::{BrokerAddress, ToBroker};
use crate::carbon::{Address, ApiKeyFlags, Carbon, Protocol, Tls, TlsFlags};
use crate::curve::CurveFlags;
use crate::deliver::causes;
use crate::secret::Secret;
use crate::slack::client::{Client, ClientBuilder, Error, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;
use zibrato::Level;
use zibrato::daemon::{
    CommonFlags, Exit, Failure, NumberError, Stop, number, seconds, state_folder, state_variable,
    whole_number,
};

pub(super) const PROGRAM: &str = "zibrato-slack";

/// Uses a channel of Slack as a bus for metrics: senders post lines, a relay delivers them to Carbon or a broker
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = PROGRAM,
    version,
    subcommand_value_name = "COMMAND",
    disable_help_subcommand = true
)]
#[command(mut_arg("config", |arg| arg.short('c').help("YAML file of carbon-slack to read flags from, or TOML. Its keys are the long flags without the dashes [default: /etc/carbon-slack.yml, if it exists]")))]
pub(super) struct BusFlags {
    #[command(subcommand)]
    pub(super) task: Task,

    #[command(flatten)]
    pub(super) slack: BusSlackFlags,

    #[command(flatten)]
    pub(super) relay: RelayFlags,

    #[command(flatten, next_help_heading = "General")]
    pub(super) common: CommonFlags,
}

/// A command.
#[derive(Debug, Clone, clap::Subcommand)]
pub(super) enum Task {
    /// Print a sample of the configuration file
    Init,
    /// Print the messages of the channel, without changing anything
    Recv {
        /// Number of messages, the latest
        #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = whole_number::<u16>("a number of messages", 1..=10_000))]
        limit: u16,
    },
    /// Deliver the metrics of the channel to Carbon, or to a broker, until TERM, INT or QUIT, and delete their messages
    Relay,
    /// Post a metric, or with `-` the lines of standard input
    Send(SendFlags),
}

/// What to send.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SendFlags {
    /// Name, such as logins or logins;dc=fra, or `-` to read lines NAME VALUE [TIMESTAMP]
    #[arg(value_name = "NAME")]
    pub(super) name: String,

    /// Value
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    pub(super) value: Option<String>,

    /// Unix time, in seconds [default: now]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub(super) timestamp: Option<String>,

    /// With `-`, maximum time that a line waits for others to share its message, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds(1.0..=3_600.0))]
    pub(super) every: Duration,
}

/// The flags about Slack.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Slack")]
pub(super) struct BusSlackFlags {
    /// Token of a Slack app in the workspace. Senders and the relay need the same app, because an app
    /// deletes only its own messages. Prefer --token-file or a variable
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    token: Option<Secret>,

    /// File that contains the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Channel: its id (C0123ABCD) or name
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,

    /// Base URL of the Web API. http:// is accepted for this machine only
    #[arg(long, value_name = "URL", default_value = "https://slack.com/api")]
    api_url: String,

    /// Timeout of a request to Slack, to connect or write to Carbon, and of a broker's
    /// acknowledgement, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds(0.1..=3_600.0))]
    pub(super) timeout: Duration,
}

/// The flags of the relay.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Relay")]
pub(super) struct RelayFlags {
    /// Address of Carbon, with a protocol as for zibrato-carbon: pickle://, tls://, pickle+tls://,
    /// udp:// [default: --carbon-server and --carbon-port]
    #[arg(long, value_name = "[PROTOCOL://]HOST:PORT")]
    carbon: Option<Address>,

    /// Host of Carbon
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    carbon_server: String,

    /// Port of Carbon for lines
    #[arg(long, value_name = "PORT", default_value_t = 2003, value_parser = whole_number::<u16>("a port", 1..=65_535))]
    carbon_port: u16,

    /// Deliver to the broker at this address instead of to Carbon: its host and --port, or the folder
    /// of its Unix sockets, such as ipc:///run/zibrato. Each line becomes a reading of a gauge
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with = "carbon")]
    to_broker: Option<BrokerAddress>,

    /// With --to-broker, level of the measurements. Somebody must read it at the broker
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    level: Level,

    #[command(flatten)]
    curve: CurveFlags,

    #[command(flatten)]
    tls: TlsFlags,

    #[command(flatten)]
    api_key: ApiKeyFlags,

    /// Folder for what the relay remembers [default: $STATE_DIRECTORY, or zibrato/slack-relay in
    /// $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Time between two looks at the channel, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds(0.1..=3_600.0))]
    pub(super) poll: Duration,

    /// Age that a message must have, in seconds, because its author may still edit it
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds(0.0..=3_600.0))]
    pub(super) grace: Duration,

    /// Messages to delete a minute, at least 0.1; Slack allows about 50. 0 deletes none
    #[arg(long, value_name = "NUMBER", default_value_t = 45.0, value_parser = deletions)]
    pub(super) deletions: f64,
}

fn deletions(text: &str) -> Result<f64, NumberError> {
    match number("0, or a number of messages", 0.1..=60_000.0)(text) {
        Err(_) if text.trim().parse() == Ok(0.0) => Ok(0.0),
        parsed => parsed,
    }
}

fn wrong(why: impl Into<String>) -> Failure {
    Failure::new(Exit::Config, why)
}

/// The failure for an error of Slack.
pub(super) fn failed(error: &Error) -> Failure {
    let exit = match error.kind() {
        ErrorKind::Access | ErrorKind::Channel => Exit::Config,
        _ => Exit::Unavailable,
    };
    Failure::new(exit, causes(error))
}

pub(super) fn build(builder: ClientBuilder) -> Result<Client, Failure> {
    builder.build().map_err(|why| wrong(why.to_string()))
}

impl BusFlags {
    /// The channel as it is given.
    pub(super) fn channel(&self) -> Result<&str, Failure> {
        let channel = self.slack.channel.as_deref().map(str::trim).unwrap_or_default();
        if channel.is_empty() {
            return Err(wrong(
                "no channel is given; give --channel, or `channel` in the configuration file",
            ));
        }
        Ok(channel)
    }

    /// The settings of the client.
    pub(super) fn builder(&self) -> Result<ClientBuilder, Failure> {
        let flags = &self.slack;
        let given = Secret::from_flag("--token", flags.token.clone(), flags.token_file.clone())?;
        let Some(given) = given else {
            return Err(wrong(
                "no token is given; give --token-file FILE, set ZIBRATO_SLACK_TOKEN, or write `token` in the configuration file",
            ));
        };
        let builder = Client::builder(given.secret.expose())
            .url(&flags.api_url)
            .user_agent(crate::http::user_agent(PROGRAM))
            .timeout(flags.timeout);
        Ok(match &self.relay.tls.ca_file {
            Some(file) => builder.ca_file(file),
            None => builder,
        })
    }

    /// The address of Carbon.
    pub(super) fn address(&self) -> Result<Address, Failure> {
        if let Some(address) = &self.relay.carbon {
            return Ok(address.clone());
        }
        let (server, port) = (&*self.relay.carbon_server, self.relay.carbon_port);
        let server = if server.contains(':') && !server.starts_with('[') {
            format!("[{server}]")
        } else {
            server.to_owned()
        };
        let parsed = format!("{server}:{port}").parse();
        parsed.map_err(|why| wrong(format!("--carbon-server: {why}")))
    }

    /// The address of the broker, if the relay delivers to one.
    pub(super) const fn broker(&self) -> Option<&BrokerAddress> {
        self.relay.to_broker.as_ref()
    }

    /// Where the relay delivers. Nothing is opened.
    pub(super) fn target(&self, stop: &Stop) -> Result<Target, Failure> {
        let (RelayFlags { level, curve, .. }, timeout) = (&self.relay, self.slack.timeout);
        let Some(address) = self.broker() else {
            return self.carbon().map(|carbon| Target::Carbon(Box::new(carbon)));
        };
        let broker = ToBroker::new(address.clone(), level.clone(), curve, timeout, stop.clone())?;
        Ok(Target::Broker(Box::new(broker)))
    }

    /// The way to Carbon.
    fn carbon(&self) -> Result<Carbon, Failure> {
        let address = self.address()?;
        let mut carbon = Carbon::to(address.clone()).timeout(self.slack.timeout);
        match address.protocol() {
            Protocol::Tls | Protocol::PickleTls => {
                carbon = carbon.tls(&Tls::load(&self.relay.tls)?)?
            }
            _ => {}
        }
        let ApiKeyFlags { api_key, api_key_file } = self.relay.api_key.clone();
        match Secret::from_flag("--api-key", api_key, api_key_file)? {
            Some(given) => carbon.api_key(given.secret),
            None => Ok(carbon),
        }
    }

    /// The folder of the state.
    pub(super) fn folder(&self) -> Result<PathBuf, Failure> {
        if let Some(folder) = &self.relay.state {
            return Ok(folder.clone());
        }
        state_folder("zibrato/slack-relay", state_variable)
            .map_err(|why| wrong(format!("--state: {why}; give a folder with --state DIR")))
    }

    /// The state of the relay of a channel.
    pub(super) fn state(&self, channel: &str) -> Result<State, Failure> {
        State::open(&self.folder()?, channel)
    }

    /// A token that signals raise.
    pub(super) fn stop(&self) -> Result<Stop, Failure> {
        Stop::on_signals()
            .and_then(Stop::on_hangup)
            .map_err(|why| Failure::new(Exit::Unavailable, format!("signals: {why}")))
    }

    /// A token that signals raise, and a client whose waits it ends.
    pub(super) fn stoppable(&self) -> Result<(Stop, Client), Failure> {
        let stop = self.stop()?;
        let token = stop.clone();
        let per_minute = if self.relay.deletions > 0.0 { self.relay.deletions.ceil() } else { 1.0 };
        let builder = self.builder()?.deletions_per_minute(per_minute as u16);
        Ok((stop, build(builder.pause(move |wait| !token.wait(wait)))?))
    }
}
