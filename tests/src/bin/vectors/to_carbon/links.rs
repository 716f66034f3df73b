//! Connections that fail: kinds `carbon_connect` and `carbon_resend`.
//!
//! A port refuses connections as often as recorded, and then resets as many. Zibrato has to deliver
//! everything once Carbon accepts it again.

use super::points::carbon_reads;
use super::sink::{DEADLINE, carbon_at};
use crate::compare::{Differences, Outcome};
use crate::json::{list, texts};
use anyhow::{Context as _, bail, ensure};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use zibrato_workers::carbon::{Carbon, Protocol};
use zibrato_workers::{Backend as _, Payload, SendError};

/// The number of failures that stands for all, where each attempt fails.
const FOR_EVER: usize = 3;

/// Attempts of bucky without `graphite_max_reconnects`.
const ATTEMPTS: i64 = 60;

const RETRIES: &str =
    "it is tried again until Carbon accepts it, after random waits of at most a minute";
const NEVER_DROPPED: &str = "nothing is dropped while Carbon is away";

/// A port of this machine that refuses connections.
struct Closed {
    socket: OwnedFd,
    address: SocketAddr,
}

impl Closed {
    /// The port is bound, so that nobody else gets it, and nothing listens there.
    fn new() -> anyhow::Result<Self> {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let address = rustix::net::getsockname(&socket)?;
        let address = SocketAddrV4::try_from(address).context("an address of IPv4")?;
        Ok(Self { socket, address: address.into() })
    }

    fn open(self) -> anyhow::Result<TcpListener> {
        listen(&self.socket, 128)?;
        Ok(self.socket.into())
    }
}

/// The failures of a list of results before the first success, which may be `then`.
fn failures(results: &[Value], then: bool) -> Option<usize> {
    let before = results.iter().take_while(|result| **result == false).count();
    (before < results.len() || then).then_some(before)
}

/// The attempts after which bucky gives up, if it does.
fn limit(case: &Value) -> Option<usize> {
    let limit = case["config"]["graphite_max_reconnects"].as_i64().unwrap_or(ATTEMPTS);
    usize::try_from(limit).ok().filter(|limit| *limit > 0)
}

/// Runs a case about connecting.
pub(crate) fn check_connect(case: &Value) -> anyhow::Result<Outcome> {
    let mut differences = Differences::default();
    let (input, expect) = (&case["input"], &case["expect"]);
    let failures = failures(list(input, "connect_results")?, input["then"] == true);
    let limit = limit(case);
    let connects = failures.filter(|failed| limit.is_none_or(|limit| *failed < limit));
    let attempts =
        connects.map_or(limit, |failed| Some(failed + 1)).context("no end is recorded")?;
    let sleeps = list(expect, "sleeps")?.len();
    let waits = case["config"].get("graphite_reconnect_delay").is_none_or(|delay| *delay != 0);
    let failed = attempts - usize::from(connects.is_some());
    if expect["connected"].as_bool() != Some(connects.is_some())
        || expect["attempts"].as_u64() != Some(attempts as u64)
        || sleeps != if waits { failed } else { 0 }
    {
        differences.fail(format!("these results give {connects:?} after {attempts} attempts"));
    }
    // More attempts than those of bucky.
    let failed = failures.unwrap_or_else(|| attempts.saturating_mul(2).min(attempts + FOR_EVER));
    let closed = Closed::new()?;
    let mut carbon = carbon_at(Protocol::Tcp, closed.address, &[])?;
    let payload = Payload::new(b"m 1 100\n".to_vec(), 1);
    for _ in 0..failed {
        let result = carbon.send(&payload);
        ensure!(matches!(result, Err(SendError::Retry { .. })), "{result:?}");
    }
    let listener = closed.open()?;
    carbon.send(&payload)?;
    drop(carbon);
    let mut arrived = String::new();
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.read_to_string(&mut arrived)?;
    ensure!(arrived == "m 1 100\n", "{arrived:?} arrives");
    if sleeps > 0 {
        differences.by_design(RETRIES);
    }
    Ok(differences.outcome())
}

/// Runs a case about messages and failing writes.
pub(crate) fn check_resend(case: &Value) -> anyhow::Result<Outcome> {
    let mut differences = Differences::default();
    let (input, expect) = (&case["input"], &case["expect"]);
    let number = input["messages"].as_u64().context("`input.messages`")?;
    let messages: BTreeSet<_> = (0..number).map(|n| format!("m{n} {n} 100")).collect();
    let lines = |field: &str| -> BTreeSet<String> {
        texts(&expect[field]).iter().map(|line| line.trim_end().to_owned()).collect()
    };
    let (sent, dropped) = (lines("sent"), lines("dropped"));
    let recorded: BTreeSet<_> = sent.union(&dropped).cloned().collect();
    if recorded != messages || !sent.is_disjoint(&dropped) {
        differences.fail(format!("of {messages:?}, {sent:?} are sent and {dropped:?} dropped"));
    }
    let count = |field: &str, then: &str| -> anyhow::Result<usize> {
        let results = list(input, field)?;
        let failed = results.iter().filter(|result| **result == false).count();
        let is_up = input[then] == true || results.iter().any(|result| *result == true);
        Ok(if is_up { failed } else { FOR_EVER })
    };
    let refused = count("connect_results", "connect_then")?;
    let resets = count("send_results", "send_then")?;
    let mut arrived = resent(&messages, refused, resets)?;
    // After resets, Zibrato asks whether the server speaks TLS, which is no message.
    arrived.retain(|line| carbon_reads(line.as_bytes()).is_some());
    if arrived != messages {
        differences.fail(format!("{arrived:?} arrive of {messages:?}"));
    }
    if !dropped.is_empty() {
        differences.by_design(NEVER_DROPPED);
    }
    if expect["sleeps"].as_array().is_some_and(|sleeps| !sleeps.is_empty()) {
        differences.by_design(RETRIES);
    }
    Ok(differences.outcome())
}

/// The lines that arrive at a Carbon that refuses some connections, and then resets some.
fn resent(
    messages: &BTreeSet<String>,
    refused: usize,
    resets: usize,
) -> anyhow::Result<BTreeSet<String>> {
    let closed = Closed::new()?;
    let mut carbon = carbon_at(Protocol::Tcp, closed.address, &[])?;
    let payloads: Vec<_> =
        messages.iter().map(|line| Payload::new(format!("{line}\n").into_bytes(), 1)).collect();
    let first = payloads.first().context("there are no messages")?;
    for _ in 0..refused {
        let result = carbon.send(first);
        ensure!(matches!(result, Err(SendError::Retry { .. })), "{result:?}");
    }
    let server = Server::start(closed.open()?, resets)?;
    for payload in &payloads {
        send(&mut carbon, payload)?;
    }
    // A reset that is noticed later is followed by a further window.
    let begun = Instant::now();
    while !server.has(messages) {
        ensure!(begun.elapsed() < DEADLINE, "only {:?} arrive", server.lines());
        carbon.unsettled_since();
        send(&mut carbon, first)?;
    }
    drop(carbon);
    server.end()
}

/// Sends a payload until it is accepted.
fn send(carbon: &mut Carbon, payload: &Payload) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        match carbon.send(payload) {
            Ok(()) => return Ok(()),
            Err(SendError::Retry { .. } | SendError::Unknown { .. })
                if begun.elapsed() < DEADLINE => {}
            Err(error) => bail!("not sent: {error:?}"),
        }
    }
}

/// A receiver that resets the first connections, and reads the lines of all others.
struct Server {
    lines: Arc<Mutex<BTreeSet<String>>>,
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<anyhow::Result<()>>,
}

impl Server {
    fn start(listener: TcpListener, resets: usize) -> anyhow::Result<Self> {
        let (lines, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (found, ends) = (Arc::clone(&lines), Arc::clone(&stop));
        listener.set_nonblocking(true)?;
        let thread = thread::Builder::new().name("carbon".to_owned());
        let thread = thread.spawn(move || serve(&listener, resets, &found, &ends))?;
        Ok(Self { lines, stop, thread })
    }

    fn lines(&self) -> BTreeSet<String> {
        self.lines.lock().map(|lines| lines.clone()).unwrap_or_default()
    }

    fn has(&self, messages: &BTreeSet<String>) -> bool {
        self.lines().is_superset(messages)
    }

    /// The lines, once all connections have ended.
    fn end(self) -> anyhow::Result<BTreeSet<String>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the server panicked")??;
        Ok(self.lines.lock().map(|lines| lines.clone()).unwrap_or_default())
    }
}

fn serve(
    listener: &TcpListener,
    resets: usize,
    lines: &Mutex<BTreeSet<String>>,
    ends: &AtomicBool,
) -> anyhow::Result<()> {
    let mut accepted = 0;
    let mut open: Vec<(TcpStream, Vec<u8>)> = Vec::new();
    while !ends.load(Ordering::Relaxed) {
        if let Ok((stream, _)) = listener.accept() {
            accepted += 1;
            if accepted <= resets {
                // A socket without linger is closed with a reset.
                sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
            } else {
                stream.set_nonblocking(true)?;
                open.push((stream, Vec::new()));
            }
        }
        for (stream, text) in &mut open {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut bytes) {
                text.extend(bytes.iter().take(length));
            }
            let whole = text.split_inclusive(|byte| *byte == b'\n');
            let whole = whole.filter_map(|line| line.strip_suffix(b"\n"));
            let whole = whole.map(|line| String::from_utf8_lossy(line).into_owned());
            if let Ok(mut lines) = lines.lock() {
                lines.extend(whole);
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
