//! What the commands `recv`, `relay` and `send` do.

use super::flags::{BusFlags, PROGRAM, SendFlags, build, failed};
use super::grammar::read_line;
use super::markup::decode;
use super::pipe::pipe;
use super::relay::{Relay, Settings};
use super::sender::{Sender, Text};
use super::start::once_reachable;
use crate::slack::client::{Channel, Client, HistoryQuery, Message, RetryPolicy, is_id};
use std::collections::BTreeMap;
use std::time::Duration;
use zibrato::clock;
use zibrato::daemon::{Exit, Failure, Systemd, one_line, print, rfc3339};

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
    let systemd = Systemd::from_env();
    systemd.ready("connects to Slack");
    // The relay itself makes its calls again, so that one that fails holds up no other.
    let client = client.retrying(RetryPolicy::never());
    let begin = || {
        let me = client.auth_test().map_err(|why| failed(&why))?;
        Ok((me, channel(flags, &client)?))
    };
    let Some((me, channel)) = once_reachable(&stop, flags.channel()?, begin)? else {
        systemd.stopping();
        return Ok(());
    };
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
    systemd.status(&format!("relays #{} to {to}", channel.name));
    let done = Relay::new(client, channel, state, target, settings).run(&stop);
    systemd.stopping();
    done
}

struct RelayNumbers {
    deletion: Option<Duration>,
    per_minute: f64,
}

impl RelayNumbers {
    fn of(per_minute: f64) -> Self {
        let deletion = (per_minute > 0.0).then(|| Duration::from_secs_f64(60.0 / per_minute));
        Self { deletion, per_minute }
    }
}

/// Prints the latest messages, the oldest first. The app does not join the channel, which its members
/// would see.
pub(super) fn recv(flags: &BusFlags, limit: u16) -> Result<(), Failure> {
    let channel = flags.channel()?;
    let client = build(flags.builder()?)?;
    let id = if is_id(channel) {
        channel.to_owned()
    } else {
        client.find_channel(channel).map_err(|why| failed(&why))?.id
    };
    let query = HistoryQuery::of(id).limit(limit.min(200));
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
        ("-", None) if what.timestamp.is_some() => Err(usage(
            "--timestamp is for a single metric; lines have their own: NAME VALUE TIMESTAMP",
        )),
        ("-", None) => pipe(flags, what.every),
        ("-", Some(_)) => Err(usage("`-` reads lines of standard input; give no value")),
        (_, None) => Err(usage("a value is missing: send NAME VALUE")),
        (name, Some(value)) => {
            let time = what.timestamp.clone().unwrap_or_else(|| now.to_string());
            let point = read_line(&format!("{name} {value} {time}"), now)
                .map_err(|why| usage(&why.to_string()))?;
            let mut sender = Sender::new(flags, build(flags.builder()?)?)?;
            let mut message = Text::default();
            message.add(&point.line()).map_err(usage)?;
            sender.post(&message.text).map_err(|why| failed(&why))
        }
    }
}
