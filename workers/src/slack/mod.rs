//! Slack: windows become digests, alerts, or lines for a relay, which are posted through a webhook or
//! `chat.postMessage`.

mod alert;
mod answer;
mod blocks;
mod board;
pub mod bus;
pub mod client;
mod destination;
mod digest;
mod event;
mod flags;
mod format;
mod mode;
mod pace;
mod part;
mod post;
mod replace;
mod words;

use crate::http::{Endpoint, HttpClient, user_agent};
use crate::secret::Secret;
use crate::{Backend, BackendProgram, IdleGauges, Levels, Payload, SendError, Target};
pub use alert::AlertFlags;
use alert::{Alerts, Carrier, RulesProgram};
use board::Board;
use bus::BusWindows;
use destination::{Destination, destination, title, wrong};
use digest::Digester;
pub use flags::SlackFlags;
pub use mode::{Mode, ModeError};
use pace::Sent;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use zibrato::daemon::{Failure, Findings, subcommands};
use zibrato::window::Window;

/// Posts each annotation, and a digest of each window to Slack: the series that changed most first,
/// each with a sparkline of its last 24 windows.
///
/// A counter shows its total and rate, a gauge its last reading with min, max and count, a timer or
/// histogram its count, mean, 99th percentile and max, a set the number of its members. The
/// sparkline of a timer or histogram follows its mean. A long name is truncated and ends in a hash
/// of the whole name.
#[derive(Debug)]
pub struct Slack {
    http: HttpClient,
    destination: Destination,
    /// Of chat.update, for messages that are updated.
    updates: Option<HttpClient>,
    /// The message that digests update.
    board: Option<Board>,
    work: Work,
    pace: Duration,
    sent: Sent,
}

#[derive(Debug)]
enum Work {
    Digest(Digester),
    Alert(Box<Alerts>),
    Bus(Box<BusWindows>),
}

impl Backend for Slack {
    fn payloads(&mut self, window: Window) -> Vec<Payload> {
        if let Work::Bus(bus) = &mut self.work {
            let messages = bus.messages(window).into_iter();
            return messages.filter_map(|(text, series)| self.lines(&text, series)).collect();
        }
        if let Work::Alert(alerts) = &mut self.work {
            return alerts.payloads(window);
        }
        let events = window.annotations().iter().map(event::message);
        let events: Vec<_> = events.map(|(text, blocks)| self.payload(&text, &blocks, 1)).collect();
        let digest = match &mut self.work {
            Work::Alert(_) | Work::Bus(_) => None,
            Work::Digest(digester) => digester.digest(window),
        };
        let digest = digest.map(|digest| self.payload(&digest.text, &digest.blocks, digest.series));
        events.into_iter().chain(digest).collect()
    }

    fn destination(&self) -> Option<String> {
        let to = self.http.destination();
        Some(match &self.destination {
            Destination::Channel { channel, .. } => format!("{channel} at {to}"),
            Destination::Webhook { .. } => to,
        })
    }

    fn split(&self, payload: &Payload) -> Option<[Payload; 2]> {
        match &self.work {
            // One half would replace the other.
            Work::Digest(_) if self.board.is_some() => None,
            Work::Digest(_) => part::split(payload),
            Work::Alert(_) => None,
            Work::Bus(bus) => bus.split(payload),
        }
    }

    fn names(&self, payload: &Payload, most: usize) -> Vec<String> {
        match &self.work {
            Work::Digest(_) => part::names(payload, most),
            Work::Alert(_) => part::text(payload).into_iter().take(most).collect(),
            Work::Bus(bus) => bus.names(payload, most),
        }
    }

    /// Sends one message, once the pace allows it. The state of alerts is saved before and after it.
    fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
        let begun = match &mut self.work {
            Work::Digest(_) => return self.show(payload),
            Work::Bus(_) => return self.post(payload).map(drop),
            Work::Alert(alerts) => alerts.begin(payload)?,
        };
        let sent = self.post(&begun);
        if let Work::Alert(alerts) = &mut self.work {
            alerts.end(payload, &sent);
        }
        sent.map(drop)
    }

    fn send_checked(&mut self, payload: &Payload) -> Result<(), SendError> {
        self.post(payload).map(drop)
    }

    fn unsettled_since(&mut self) -> Option<Instant> {
        match &mut self.work {
            Work::Digest(_) | Work::Bus(_) => None,
            Work::Alert(alerts) => alerts.settle(),
        }
    }

    fn trouble(&self) -> Option<String> {
        match &self.work {
            Work::Digest(_) => None,
            Work::Alert(alerts) => alerts.trouble(),
            Work::Bus(bus) => bus.trouble(),
        }
    }

    fn omitted(&self) -> Vec<(&'static str, u64)> {
        match &self.work {
            Work::Digest(_) | Work::Alert(_) => Vec::new(),
            Work::Bus(bus) => bus.omitted(),
        }
    }

    fn keeps_readings(&self) -> bool {
        matches!(&self.work, Work::Bus(bus) if bus.needs_readings())
    }

    fn delivers_series(&self) -> bool {
        !matches!(self.work, Work::Alert(_))
    }
}

impl BackendProgram for Slack {
    type Flags = SlackFlags;

    const PROGRAM: &'static str = "zibrato-slack";

    const ABOUT: &'static str =
        "Posts digests of measurements, alerts about them, or lines for Carbon to Slack";

    const EXAMPLES: &'static str = "\
Examples:
  zibrato-slack --webhook-url-file /etc/zibrato/webhook --levels warn,crit --flush 300
  ZIBRATO_SLACK_TOKEN=xoxb-... zibrato-slack --channel '#metrics' --title 'Web shop'
  zibrato-slack --mode alert --alert-rules /etc/zibrato/alerts.toml --webhook-url-file /etc/zibrato/webhook
  zibrato-slack --mode bus --channel '#metrics' --token-file /etc/zibrato/slack.token --prefix apps
  zibrato-broker journal dump --lines | zibrato-slack rules check alerts.toml --recorded -

rules check says what the rules of alerts would have posted.

A channel can also carry metrics to Carbon. init, recv, relay and send have flags of their own, which
their --help lists:
  zibrato-slack init > /etc/carbon-slack.yml
  zibrato-slack send web-1.logins 3
  zibrato-slack recv
  zibrato-slack relay";

    /// Slack accepts one message per second and channel.
    const SHORTEST_FLUSH: Duration = Duration::from_secs(1);

    // A message that only repeats earlier values is noise.
    const IDLE_GAUGES: IdleGauges = IdleGauges::Omit;

    fn open(flags: SlackFlags) -> Result<Self, Failure> {
        let title = title(&flags.title)?;
        let webhook =
            Secret::from_flag("--webhook-url", flags.webhook_url, flags.webhook_url_file)?;
        let token = Secret::from_flag("--token", flags.token, flags.token_file)?;
        let channel = flags.channel.map(|channel| channel.trim().to_owned());
        let channel = channel.filter(|channel| !channel.is_empty());
        let destination = destination(webhook, token, channel)?;
        let client = |endpoint| {
            let ca_file = flags.ca_file.as_deref();
            HttpClient::new(Self::PROGRAM, endpoint, flags.timeout, ca_file)
        };
        let api = flags.api_url.trim().trim_end_matches('/');
        let method = |name| Endpoint::parse("--api-url", &format!("{api}/{name}"));
        let (endpoint, carrier) = match &destination {
            Destination::Webhook { url, from } => {
                (Endpoint::parse(from, url.expose())?, Carrier::Webhook)
            }
            Destination::Channel { channel, .. } => {
                (method("chat.postMessage")?, Carrier::Channel(channel.clone()))
            }
        };
        let is_channel = carrier != Carrier::Webhook;
        let to = match &carrier {
            Carrier::Channel(channel) => channel.clone(),
            Carrier::Webhook => String::new(),
        };
        let (mut pace, is_bus) = (flags.pace, flags.mode == Mode::Bus);
        if !is_bus {
            flags.bus.refuse()?;
        }
        if flags.alert.alert_picture && flags.mode != Mode::Alert {
            return Err(wrong("--alert-picture is for --mode alert"));
        }
        let uploads = match &destination {
            Destination::Channel { token, .. } => {
                let settings = client::Client::builder(token.expose()).url(api);
                let settings = settings.user_agent(user_agent(Self::PROGRAM));
                Some(settings.timeout(flags.timeout).trust(flags.ca_file.clone()))
            }
            Destination::Webhook { .. } => None,
        };
        let work = match flags.mode {
            Mode::Bus if !is_channel => {
                return Err(wrong(
                    "--mode bus needs a channel, whose messages a relay can delete; give --token-file and --channel",
                ));
            }
            Mode::Bus => {
                pace = pace.max(flags.bus.pace());
                Work::Bus(Box::new(BusWindows::new(flags.bus, pace)?))
            }
            Mode::Digest => Work::Digest(Digester::new(title)),
            Mode::Alert => Work::Alert(Box::new(flags.alert.open(carrier, uploads)?)),
        };
        let board = match (flags.digest_update, &work) {
            (None, _) => None,
            (Some(file), Work::Digest(_)) if is_channel => Some(Board::open(file, to)),
            (Some(_), Work::Digest(_)) => {
                return Err(wrong(
                    "--digest-update needs a channel: a webhook cannot change a message; give --token-file and --channel",
                ));
            }
            (Some(_), Work::Alert(_) | Work::Bus(_)) => {
                return Err(wrong("--digest-update is for --mode digest"));
            }
        };
        let updates = is_channel && (board.is_some() || matches!(work, Work::Alert(_)));
        Ok(Self {
            http: client(endpoint)?,
            destination,
            updates: updates.then(|| method("chat.update").and_then(client)).transpose()?,
            board,
            work,
            pace,
            sent: Sent::default(),
        })
    }

    fn other_commands() -> Vec<clap::Command> {
        [bus::subcommands(), subcommands::<RulesProgram>()].concat()
    }

    fn idle_gauges(flags: &SlackFlags) -> IdleGauges {
        match flags.mode {
            Mode::Digest => Self::IDLE_GAUGES,
            // A queue that stays too long is still too long.
            Mode::Alert => IdleGauges::Repeat,
            // As zibrato-carbon does.
            Mode::Bus => IdleGauges::Repeat,
        }
    }

    fn subscribes(&mut self, levels: &Levels) {
        if let Work::Digest(digester) = &mut self.work {
            digester.shows_own = levels.names().iter().any(|level| level == "zibrato");
        }
    }

    fn doubts(&mut self, flush: Duration) -> Vec<String> {
        match &self.work {
            Work::Alert(alerts) => alerts.doubts(flush),
            Work::Digest(_) | Work::Bus(_) => Vec::new(),
        }
    }

    fn check(&self, findings: &mut Findings) {
        let mut folder = |flag, file: &Path| {
            let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
            findings.folder(flag, parent.unwrap_or_else(|| Path::new(".")), None);
        };
        if let Work::Alert(alerts) = &self.work {
            folder("--alert-state", alerts.state_file());
        }
        if let Some(board) = &self.board {
            folder("--digest-update", board.path());
        }
    }

    fn target(&self) -> Option<Target> {
        let flag = match &self.destination {
            Destination::Channel { .. } => "--api-url",
            Destination::Webhook { from, .. } => from,
        };
        Some(self.http.target(flag))
    }
}

/// Runs `zibrato-slack` from flags to exit code: the worker, a command of the metric bus, or the
/// command `rules`.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(arguments) = bus::arguments(std::env::args_os()) {
        return bus::main(arguments);
    }
    match std::env::args_os().nth(1) {
        Some(command) if command == "rules" => zibrato::daemon::main::<RulesProgram>(),
        _ => crate::main::<Slack>(),
    }
}

#[cfg(test)]
mod tests;
