//! The command line of `zibrato-slack init`, `send`, `recv` and `relay`, which are carbon-slack's
//! commands.

use super::commands;
use super::config;
use super::state::State;
use crate::carbon::{Address, ApiKeyFlags, Carbon, Protocol, Tls, TlsFlags};
use crate::secret::Secret;
use crate::slack::client::{Client, ClientBuilder};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use zibrato::daemon::{
    CommonFlags, Doubts, Exit, Failure, Findings, Program, Stop, number, seconds, state_folder,
    state_variable, whole_number,
};

/// The commands.
const COMMANDS: [&str; 4] = ["init", "recv", "relay", "send"];

/// Carbon-slack's program for each command is this and the command.
const PREFIX: &str = "carbon-slack-";

/// The arguments for [`main`], if they call a command of the bus: `zibrato-slack relay …`, or
/// `carbon-slack-relay …` for a program that is linked to that name.
#[must_use]
pub fn arguments(args: impl IntoIterator<Item = OsString>) -> Option<Vec<OsString>> {
    let args: Vec<_> = args.into_iter().collect();
    let (program, rest) = args.split_first()?;
    let name = Path::new(program).file_name()?.to_str()?;
    let is_command = |word: &str| COMMANDS.contains(&word);
    if let Some(command) = name.strip_prefix(PREFIX).filter(|command| is_command(command)) {
        return Some([&[program.clone(), command.into()], rest].concat());
    }
    rest.first()?.to_str().is_some_and(is_command).then_some(args)
}

/// Runs a command of the bus, from its arguments to its exit code.
#[must_use]
pub fn main(args: Vec<OsString>) -> ExitCode {
    zibrato::daemon::main_with::<BusFlags>(args)
}

/// Uses a channel of Slack as a bus for metrics: senders post lines, a relay delivers them to Carbon
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "zibrato-slack",
    version,
    subcommand_value_name = "COMMAND",
    disable_help_subcommand = true
)]
#[command(mut_arg("config", |arg| arg.short('c').help("YAML file of carbon-slack to read flags from, or TOML. Its keys are the long flags without the dashes [default: /etc/carbon-slack.yml, if it exists]")))]
pub(super) struct BusFlags {
    #[command(subcommand)]
    task: Task,

    #[command(flatten)]
    pub(super) slack: BusSlackFlags,

    #[command(flatten)]
    pub(super) relay: RelayFlags,

    #[command(flatten, next_help_heading = "General")]
    common: CommonFlags,
}

/// A command.
#[derive(Debug, Clone, clap::Subcommand)]
enum Task {
    /// Print a sample of the configuration file
    Init,
    /// Print the messages of the channel, without changing anything
    Recv {
        /// Number of messages, the latest
        #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = whole_number::<u16>("a number of messages", 1..=10_000))]
        limit: u16,
    },
    /// Deliver the metrics of the channel to Carbon until TERM, INT or QUIT, and delete their messages
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

    /// Timeout of a request to Slack, and to connect or write to Carbon, in seconds
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

    /// Messages to delete a minute; Slack allows about 50. 0 deletes none
    #[arg(long, value_name = "NUMBER", default_value_t = 45.0, value_parser = number("a number of messages", 0.0..=60_000.0))]
    pub(super) deletions: f64,
}

impl Program for BusFlags {
    const DEFAULT_CONFIG: Option<&'static str> = Some(config::DEFAULT);

    fn config_to_toml(path: &Path, text: String) -> Result<String, String> {
        config::to_toml(path, text)
    }

    fn common(&self) -> &CommonFlags {
        &self.common
    }

    fn subcommand_flags(path: &str) -> Option<Vec<String>> {
        let own = |flags: &[&str]| Some(flags.iter().map(|flag| (*flag).to_owned()).collect());
        let slack = [
            "config",
            "token",
            "token-file",
            "channel",
            "api-url",
            "timeout",
            "ca-file",
            "log-level",
            "log-format",
        ];
        match path {
            "init" => own(&[]),
            "relay" => None,
            _ => own(&slack),
        }
    }

    fn runs(&self) -> bool {
        matches!(self.task, Task::Relay)
    }

    fn check(&self, findings: &mut Findings) {
        findings.take(self.channel());
        findings.take(self.builder().and_then(build));
        findings.take(self.carbon());
        if let Some(address) = findings.take(self.address()) {
            findings.host("--carbon", address.host(), address.port());
        }
        if let Some(folder) = findings.take(self.folder()) {
            findings.folder("--state", &folder, None);
        }
    }

    fn run(self, doubts: Doubts) -> Result<ExitCode, Failure> {
        doubts.log();
        let done = match &self.task {
            Task::Init => zibrato::daemon::print(config::SAMPLE),
            Task::Recv { limit } => commands::recv(&self, *limit),
            Task::Relay => commands::relay(&self),
            Task::Send(what) => commands::send(&self, what),
        };
        done.map(|()| Exit::Fine.into())
    }
}

fn wrong(why: impl Into<String>) -> Failure {
    Failure::new(Exit::Config, why)
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
            .user_agent(crate::http::user_agent("zibrato-slack"))
            .timeout(flags.timeout);
        Ok(match &self.relay.tls.ca_file {
            Some(file) => builder.ca_file(file),
            None => builder,
        })
    }

    fn address(&self) -> Result<Address, Failure> {
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

    /// The way to Carbon.
    pub(super) fn carbon(&self) -> Result<Carbon, Failure> {
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

    fn folder(&self) -> Result<PathBuf, Failure> {
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

    /// A token that signals raise, and a client whose waits it ends.
    pub(super) fn stoppable(&self) -> Result<(Stop, Client), Failure> {
        let stop = Stop::on_signals()
            .and_then(Stop::on_hangup)
            .map_err(|why| Failure::new(Exit::Unavailable, format!("signals: {why}")))?;
        let token = stop.clone();
        let per_minute = if self.relay.deletions > 0.0 { self.relay.deletions.ceil() } else { 1.0 };
        let builder = self.builder()?.deletions_per_minute(per_minute as u16);
        Ok((stop, build(builder.pause(move |wait| !token.wait(wait)))?))
    }
}

#[cfg(test)]
mod tests {
    use super::arguments;
    use std::ffi::OsString;

    #[test]
    fn the_name_of_the_program_may_be_the_command() {
        let found = |line: &str| {
            let args = arguments(line.split(' ').map(OsString::from))?;
            Some(
                args.into_iter()
                    .map(|arg| arg.into_string().unwrap())
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        };
        for (line, expected) in [
            ("zibrato-slack relay -c x", Some("zibrato-slack relay -c x")),
            ("/usr/bin/carbon-slack-relay -c x", Some("/usr/bin/carbon-slack-relay relay -c x")),
            ("carbon-slack-send a 1", Some("carbon-slack-send send a 1")),
            ("carbon-slack-init", Some("carbon-slack-init init")),
            ("carbon-slack-other", None),
            ("zibrato-slack --levels relay", None),
            ("zibrato-slack run", None),
            ("zibrato-slack", None),
        ] {
            assert_eq!(found(line).as_deref(), expected, "{line}");
        }
    }
}
