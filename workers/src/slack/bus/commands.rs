//! What the commands do: `send`, `recv` and `relay`.

use super::flags::{BusFlags, SendFlags, build};
use super::grammar::read_line;
use super::markup::decode;
use super::packing::{MAX_MESSAGE_CHARS, Packed, pack};
use super::relay::{Progress, Relay, Settings};
use crate::deliver::causes;
use crate::slack::client::{Channel, Client, Error, ErrorKind, HistoryQuery, Message, Post};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::time::{Duration, Instant};
use zibrato::clock;
use zibrato::daemon::{Exit, Failure, one_line, print, rfc3339, warn};

/// The longest line that is read.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// Lines that are read before they are sent. Then the reader waits.
const MAX_LINES: usize = 1_000;

const PROGRAM: &str = "zibrato-slack";

/// The failure for an error of Slack.
fn failed(error: &Error) -> Failure {
    let exit = match error.kind() {
        ErrorKind::Access | ErrorKind::Channel => Exit::Config,
        _ => Exit::Unavailable,
    };
    Failure::new(exit, causes(error))
}

/// The channel. If the app is not a member, it joins.
fn channel(flags: &BusFlags, client: &Client) -> Result<Channel, Failure> {
    let channel = client.find_channel(flags.channel()?).map_err(|why| failed(&why))?;
    if channel.is_archived {
        let why =
            format!("the channel {} is archived; choose another one with --channel", channel.name);
        return Err(Failure::new(Exit::Config, why));
    }
    if channel.is_member || channel.is_private {
        return Ok(channel);
    }
    client.join(&channel.id).map_err(|why| failed(&why))
}

/// Relays until the program is to stop.
pub(super) fn relay(flags: &BusFlags) -> Result<(), Failure> {
    flags.channel()?;
    let (stop, client) = flags.stoppable()?;
    let target = flags.target(&stop)?;
    let me = client.auth_test().map_err(|why| failed(&why))?;
    let channel = channel(flags, &client)?;
    let state = flags.state(&channel.id)?;
    let RelayNumbers { deletion, per_minute } = RelayNumbers::of(flags.relay.deletions);
    let to = target.shown();
    tracing::info!(
        event = "started",
        program = PROGRAM,
        channel = channel.name,
        id = channel.id,
        team = me.team,
        to,
        left = state.sent.len(),
        deletions_per_minute = per_minute,
    );
    let settings = Settings { poll: flags.relay.poll, grace: flags.relay.grace, deletion };
    Relay { client, channel, state, target, settings, progress: Progress::default() }.run(&stop)
}

struct RelayNumbers {
    deletion: Option<Duration>,
    per_minute: f64,
}

impl RelayNumbers {
    fn of(per_minute: f64) -> Self {
        let deletion =
            (per_minute > 0.0).then(|| Duration::from_secs_f64(60.0 / per_minute.max(0.1)));
        Self { deletion, per_minute }
    }
}

/// Prints the latest messages, the oldest first.
pub(super) fn recv(flags: &BusFlags, limit: u16) -> Result<(), Failure> {
    let client = build(flags.builder()?)?;
    let channel = channel(flags, &client)?;
    let query = HistoryQuery::of(&channel.id).limit(limit.min(200));
    let messages = client.history(&query).take(limit.into());
    let mut messages: Vec<Message> =
        messages.collect::<Result<_, _>>().map_err(|why| failed(&why))?;
    messages.sort_by(|a, b| a.ts.cmp(&b.ts));
    let (mut names, mut text) = (BTreeMap::new(), String::new());
    for message in &messages {
        let by = author(&client, message, &mut names);
        let shown = decode(&message.text).lines().map(one_line).collect::<Vec<_>>().join("\n  ");
        text += &format!("{}  {by}: {shown}\n", rfc3339(message.ts.unix_ms()));
    }
    print(&text)
}

/// The name of who wrote a message, or the id without the scope `users:read`.
fn author(client: &Client, message: &Message, names: &mut BTreeMap<String, String>) -> String {
    let Some(id) = &message.user else {
        return message.bot_id.clone().unwrap_or_else(|| "unknown".to_owned());
    };
    let look_up = || client.user(id).map_or_else(|_| id.clone(), |user| one_line(&user.name));
    names.entry(id.clone()).or_insert_with(look_up).clone()
}

/// Posts a point, or the lines of standard input.
pub(super) fn send(flags: &BusFlags, what: &SendFlags) -> Result<(), Failure> {
    let usage = |why: &str| Failure::new(Exit::Usage, why);
    let now = clock::unix_ms() / 1000;
    match (&*what.name, &what.value) {
        ("-", None) => {
            let sender = Sender::new(flags)?;
            pipe(sender, what.every)
        }
        ("-", Some(_)) => Err(usage("`-` reads lines of standard input; give no value")),
        (_, None) => Err(usage("a value is missing: send NAME VALUE")),
        (name, Some(value)) => {
            let time = what.timestamp.clone().unwrap_or_else(|| now.to_string());
            let point = read_line(&format!("{name} {value} {time}"), now)
                .map_err(|why| usage(&why.to_string()))?;
            let mut sender = Sender::new(flags)?;
            sender.post(&[point.line()])
        }
    }
}

/// Posts lines to a channel.
struct Sender {
    client: Client,
    channel: String,
}

impl Sender {
    fn new(flags: &BusFlags) -> Result<Self, Failure> {
        let client = build(flags.builder()?)?;
        let channel = channel(flags, &client)?.id;
        Ok(Self { client, channel })
    }

    fn post(&mut self, lines: &[String]) -> Result<(), Failure> {
        let Packed { messages, .. } = pack(lines, MAX_MESSAGE_CHARS);
        for message in messages {
            // A line that arrives twice changes nothing: Carbon keeps one value for a name and time.
            let post = Post::plain(&*self.channel, message).repeat();
            self.client.post(&post).map_err(|why| failed(&why))?;
        }
        Ok(())
    }
}

/// Posts lines as they arrive, many in a message.
fn pipe(mut sender: Sender, every: Duration) -> Result<(), Failure> {
    let (to, lines) = bounded(MAX_LINES);
    let reader = std::thread::Builder::new().name("zb-stdin".to_owned()).spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(why) => return Err(why),
            }
            if to.send(line).is_err() {
                return Ok(());
            }
        }
    });
    let io = |why: std::io::Error| Failure::new(Exit::Io, format!("standard input: {why}"));
    let reader = reader.map_err(io)?;
    let refused = drain(&mut sender, &lines, every)?;
    match reader.join() {
        Ok(read) => read.map_err(io)?,
        Err(_) => return Err(Failure::new(Exit::Io, "standard input: the reader panicked")),
    }
    if refused == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Data,
        format!("{refused} lines were not sent, because they are not metrics"),
    ))
}

/// Posts lines until their end, and returns how many are not metrics.
fn drain(
    sender: &mut Sender,
    lines: &Receiver<Vec<u8>>,
    every: Duration,
) -> Result<usize, Failure> {
    let (mut waiting, mut since, mut refused) = (Vec::new(), None, 0);
    for number in 1.. {
        let line = loop {
            let until =
                since.map_or_else(|| Instant::now() + every, |since: Instant| since + every);
            match lines.recv_deadline(until) {
                Ok(line) => break Some(line),
                Err(RecvTimeoutError::Disconnected) => break None,
                Err(RecvTimeoutError::Timeout) => {
                    sender.post(&std::mem::take(&mut waiting))?;
                    since = None;
                }
            }
        };
        let Some(line) = line else { break };
        let now = clock::unix_ms() / 1000;
        match point(&line, now) {
            Ok(Some(point)) => {
                since.get_or_insert_with(Instant::now);
                waiting.push(point);
            }
            Ok(None) => {}
            Err(why) => {
                refused += 1;
                warn(PROGRAM, &format!("line {number}: {why}"));
            }
        }
        // About a hundred lines fill a message; several are posted with a second between them.
        if waiting.len() >= MAX_LINES {
            sender.post(&std::mem::take(&mut waiting))?;
            since = None;
        }
    }
    sender.post(&waiting)?;
    Ok(refused)
}

/// The point of a line of standard input, as a line of a message. Without a timestamp it is now.
fn point(line: &[u8], now: u64) -> Result<Option<String>, String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let line = match text.split_whitespace().count() {
        2 => format!("{text} {now}"),
        _ => text.to_owned(),
    };
    read_line(&line, now).map(|point| Some(point.line())).map_err(|why| why.to_string())
}
