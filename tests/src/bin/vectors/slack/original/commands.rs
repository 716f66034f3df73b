//! The commands with answers that are a success.

use super::answers::{Recorded, command, made, path};
use crate::compare::{Differences, is_equal};
use anyhow::Context as _;
use serde_json::Value;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use zibrato_tests::{Running, Signal, wait_until};
use zibrato_workers::slack::bus::{MAX_MESSAGE_CHARS, Point, Ts, decode, pack, read, read_line};
use zibrato_workers::slack::client::{Client, Post};

/// The longest wait for a request.
const DEADLINE: Duration = Duration::from_secs(20);

const HASH: &str =
    "a name of a channel may begin with #, which carbon-slack looked up as part of the name";
const UNKNOWN: &str =
    "a channel that does not exist is an error at the start; carbon-slack idled for ever";
const NO_METRIC: &str = "a line that is no metric is not delivered";
const LENIENT: &str = "fields may be separated by several blanks or tabs, and mark-up is undone";
const NEWLINES: &str =
    "a line ends in one newline; Carbon logs the empty lines that carbon-slack wrote";
const CHAT: &str = "only messages of metrics alone are deleted; carbon-slack deleted chat, too";
const UNDELETABLE: &str =
    "a message that cannot be deleted is remembered, so that it is not delivered again";
const POSITION: &str = "the channel is read from the last message that is settled, up to a time of Slack's clock; \
                        carbon-slack read from its own clock, and lost messages";
const DOWN: &str = "a Carbon that is down is tried again, and nothing is lost; carbon-slack ended";
const CARRIES_ON: &str = "a message that ended carbon-slack is read like any other";
const WORKS: &str = "the command works; carbon-slack's ended with an exception";
const JSON: &str =
    "messages are posted as JSON, with fields that keep Slack from changing their text";
const ESCAPED: &str = "texts are escaped, because Slack reads &, < and > as mark-up";
const REFUSED: &str = "a line that is no metric is refused and not posted";
const LIST: &str = "lines are posted as lines; carbon-slack posted a list as JSON";
const NOTHING: &str = "nothing to send gives no message";

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn raised(case: &Value) -> &str {
    text(&case["result"], "raises")
}

/// Finds and joins a channel.
pub(super) fn find(
    case: &Value,
    recorded: &Recorded,
    differences: &mut Differences,
) -> anyhow::Result<()> {
    let channel = recorded.channel(case);
    let server = recorded.server("C1")?;
    let (sink, folder) = (Sink::start()?, tempfile::tempdir()?);
    let mut command = command("relay", &server, &channel, recorded);
    command.args(["--carbon", &sink.address.to_string(), "--state"]).arg(folder.path());
    let mut relay = Running::start(&mut command);
    let has_read = || !made(&server.requests(), "conversations.history").is_empty();
    wait_until(DEADLINE, "the relay to read or end", || relay.has_ended() || has_read());
    let status = if relay.has_ended() { relay.ended() } else { relay.stop(Signal::TERM) };
    let log = relay.log();
    let joined = made(&server.requests(), "conversations.join");
    let expected: Vec<_> =
        recorded.all("conversations.join").map(|call| &call.form["channel"]).collect();
    let found: Vec<_> = joined.iter().map(|form| &form["channel"]).collect();
    let listed = made(&server.requests(), "conversations.list").len();
    if listed == 0 {
        differences.fail("the channels are not listed");
    }
    if status.success() && found == expected {
        return Ok(());
    }
    if status.success() && expected.is_empty() && channel.starts_with('#') {
        differences.by_design(HASH);
    } else if status.code() == Some(78) && expected.is_empty() && log.contains("no channel #") {
        differences.by_design(UNKNOWN);
    } else {
        differences.fail(format!("expected to join {expected:?}, found {found:?}: {log}"));
    }
    Ok(())
}

/// A receiver on this machine that keeps everything it reads.
struct Sink {
    address: SocketAddr,
    bytes: Arc<Mutex<Vec<u8>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (bytes, stopped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, is_over) = (Arc::clone(&bytes), Arc::clone(&stopped));
        let thread = std::thread::Builder::new().spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let mut all = Vec::new();
                // A connection that is cut has what was written before.
                if let Ok(mut stream) = stream {
                    drop(stream.read_to_end(&mut all));
                }
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend(all);
            }
        })?;
        Ok(Self { address, bytes, stopped, thread: Some(thread) })
    }

    fn lines(&self) -> Vec<String> {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).split_terminator('\n').map(str::to_owned).collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn is_same(a: &Point, b: &Point) -> bool {
    a.name == b.name && a.time == b.time && is_equal(a.value, b.value)
}

/// Delivers a channel to a Carbon, and deletes what is delivered.
pub(super) fn relay(
    case: &Value,
    recorded: &Recorded,
    differences: &mut Differences,
) -> anyhow::Result<()> {
    let is_down = raised(case).contains("connect") || raised(case).contains("carbon");
    let (mut points, mut whole) = (Vec::new(), Vec::new());
    for message in recorded.messages() {
        let ts: Ts = text(&message, "ts").parse()?;
        let contents = read(text(&message, "text"), &ts);
        if contents.is_all_metrics() {
            whole.push(ts.as_str().to_owned());
        }
        points.extend(contents.points);
    }
    let (sink, folder) = (Sink::start()?, tempfile::tempdir()?);
    let channel = recorded.channel(case);
    let server = recorded.server("C1")?;
    let mut command = command("relay", &server, &channel, recorded);
    let carbon = if is_down { "127.0.0.1:1".to_owned() } else { sink.address.to_string() };
    command.args(["--carbon", &carbon, "--poll", "0.1", "--grace", "0", "--deletions", "60000"]);
    let mut relay = Running::start(command.arg("--state").arg(folder.path()));
    let deletions = if is_down { 0 } else { whole.len() };
    let count = |requests: &[_], method| made(requests, method).len();
    // While Carbon is down, the channel is read once.
    let looks = if is_down { 1 } else { 2 };
    let done = |requests: &[_]| {
        let read = count(requests, "conversations.history") >= looks;
        read && count(requests, "chat.delete") >= deletions
    };
    let waited = server.wait_until(done, DEADLINE);
    if is_down {
        relay.says(&["event=\"relay_failed\""]);
    }
    if !relay.stop(Signal::TERM).success() || waited.is_err() {
        differences.fail(format!("the relay does not relay: {}", relay.log()));
        return Ok(());
    }
    let log = relay.log();
    let deleted = made(&server.requests(), "chat.delete");
    let deleted: Vec<_> =
        deleted.iter().map(|form| form["ts"].as_str().unwrap_or_default()).collect();
    for call in recorded.all("conversations.history") {
        let history = made(&server.requests(), "conversations.history");
        if history.iter().any(|form| form.get("channel") != call.form.get("channel")) {
            differences.fail(format!("expected to read {:?}, found {history:?}", call.form));
        }
        differences.by_design(POSITION);
    }
    if is_down {
        differences.by_design(DOWN);
        if !log.contains("event=\"relay_failed\"") || !deleted.is_empty() {
            differences.fail(format!("expected a failure and no deletion: {deleted:?} {log}"));
        }
        return Ok(());
    }
    compare_lines(text(case, "carbon_bytes"), &points, &sink.lines(), differences);
    if !raised(case).is_empty() {
        differences.by_design(CARRIES_ON);
    }
    if deleted != whole {
        differences.fail(format!("expected the deletions {whole:?}, found {deleted:?}"));
    }
    for call in recorded.all("chat.delete") {
        if !whole.iter().any(|ts| call.form.get("ts").is_some_and(|of| of == ts)) {
            differences.by_design(CHAT);
        }
    }
    if log.contains("event=\"undeletable\"") {
        differences.by_design(UNDELETABLE);
    }
    Ok(())
}

/// Compares what carbon-slack wrote, what its messages mean, and what the relay has written.
fn compare_lines(
    original: &str,
    expected: &[Point],
    found: &[String],
    differences: &mut Differences,
) {
    let point = |line: &str| read_line(line, 0).ok();
    let found_points: Vec<_> = found.iter().filter_map(|line| point(line)).collect();
    let is_all = found_points.len() == found.len() && found.len() == expected.len();
    if !is_all || !found_points.iter().zip(expected).all(|(a, b)| is_same(a, b)) {
        differences.fail(format!("expected {expected:?}, found {found:?}"));
    }
    if original.contains("\n\n") {
        differences.by_design(NEWLINES);
    }
    let mut left = found_points.iter();
    for line in original.lines().filter(|line| !line.is_empty()) {
        let Some(metric) = point(line) else {
            differences.by_design(NO_METRIC);
            continue;
        };
        if !left.any(|found| is_same(found, &metric)) {
            differences.fail(format!("`{line}` is missing: {found:?}"));
        }
    }
    let lines = original.lines().filter(|line| point(line).is_some()).count();
    if lines < found.len() {
        differences.by_design(LENIENT);
    }
}

/// Prints a channel.
pub(super) fn receive(
    case: &Value,
    recorded: &Recorded,
    differences: &mut Differences,
) -> anyhow::Result<()> {
    let server = recorded.server("C1")?;
    let channel = recorded.channel(case);
    let (status, output, log) = Running::run(&mut command("recv", &server, &channel, recorded));
    if !status.success() {
        differences.fail(format!("recv fails: {log}"));
    }
    for message in recorded.messages() {
        let shown = decode(text(&message, "text"));
        if !shown.lines().all(|line| output.contains(line)) {
            differences.fail(format!("expected {shown:?} in {output:?}"));
        }
    }
    let asked = made(&server.requests(), "users.info");
    for call in recorded.all("users.info") {
        if !asked.iter().any(|form| form.get("user") == call.form.get("user")) {
            differences.fail(format!("nobody asks for {:?}", call.form));
        }
    }
    if !server.requests().iter().all(|request| request.path != path("chat.delete")) {
        differences.fail("recv deletes messages");
    }
    if !raised(case).is_empty() {
        differences.by_design(WORKS);
    }
    Ok(())
}

/// The lines to post: those of a text or list, or a name with its value, at the recorded time.
fn lines(case: &Value, recorded: &Recorded) -> anyhow::Result<Vec<String>> {
    let args = &case["args"];
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match args {
        Value::Object(fields) if fields.contains_key("message") => Ok(match &fields["message"] {
            Value::Array(all) => all.iter().map(shown).collect(),
            one => shown(one).lines().map(str::to_owned).collect(),
        }),
        Value::Array(words) if words.len() > 1 => {
            Ok(vec![format!("{} {} 1500000000", shown(&words[0]), shown(&words[1]))])
        }
        Value::Object(fields) => {
            let posted = recorded.all("chat.postMessage").next();
            let posted = posted.and_then(|call| call.form.get("text")?.as_str());
            let time = posted.and_then(|text| text.rsplit(' ').next()?.parse::<u64>().ok());
            let time = time.unwrap_or(1_500_000_000);
            let pairs = fields.iter().filter(|(name, _)| *name != "channel");
            Ok(pairs.map(|(name, value)| format!("{name} {} {time}", shown(value))).collect())
        }
        _ => Err(anyhow::anyhow!("`args` names nothing to send")),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Posts lines.
pub(super) fn send(
    case: &Value,
    recorded: &Recorded,
    differences: &mut Differences,
) -> anyhow::Result<()> {
    let lines = lines(case, recorded)?;
    let (metrics, others): (Vec<_>, Vec<_>) =
        lines.iter().cloned().partition(|line| read_line(line, 0).is_ok());
    // The command posts metrics and refuses everything else.
    let server = recorded.server("C1")?;
    let channel = recorded.channel(case);
    let mut command = command("send", &server, &channel, recorded);
    let (status, _, log) = Running::run_with(command.arg("-"), &lines.join("\n"));
    let sent = made(&server.requests(), "chat.postMessage");
    let expected: Vec<_> =
        (!metrics.is_empty()).then(|| escaped(&metrics.join("\n"))).into_iter().collect();
    let found: Vec<_> = sent.iter().map(|form| form["text"].as_str().unwrap_or_default()).collect();
    if found != expected {
        differences.fail(format!("expected the messages {expected:?}, found {found:?}: {log}"));
    }
    let code = if others.is_empty() { 0 } else { 65 };
    if status.code() != Some(code) {
        differences.fail(format!("expected the code {code}, found {status}: {log}"));
    }
    if !others.is_empty() {
        differences.by_design(REFUSED);
    }
    // The library posts any lines.
    let server = recorded.server("C1")?;
    let client = Client::builder(recorded.token()).url(format!("{}/api", server.url())).build()?;
    for message in pack(&lines, MAX_MESSAGE_CHARS).messages {
        client.post(&Post::plain("C1", message)).context("the client cannot post")?;
    }
    let sent = made(&server.requests(), "chat.postMessage");
    let found: Vec<_> = sent.iter().map(|form| form["text"].as_str().unwrap_or_default()).collect();
    let posts: Vec<_> = recorded.all("chat.postMessage").collect();
    if posts.is_empty() && !raised(case).is_empty() {
        differences.by_design(WORKS);
    }
    for (call, found) in posts.iter().zip(found.iter().map(Some).chain(std::iter::repeat(None))) {
        differences.by_design(JSON);
        let original = call.form.get("text").and_then(Value::as_str).unwrap_or_default();
        match found {
            None if lines.is_empty() && original.is_empty() => differences.by_design(NOTHING),
            Some(found) if *found == original => {}
            Some(found) if *found == escaped(original) => differences.by_design(ESCAPED),
            Some(found)
                if case["args"]["message"].is_array()
                    && is_list_of(original, &lines)
                    && *found == escaped(&lines.join("\n")) =>
            {
                differences.by_design(LIST);
            }
            found => differences.fail(format!("expected {original:?}, found {found:?}")),
        }
    }
    Ok(())
}

/// Whether a text is the JSON list of these lines.
fn is_list_of(text: &str, lines: &[String]) -> bool {
    serde_json::from_str::<Vec<String>>(text).is_ok_and(|list| list == lines)
}
