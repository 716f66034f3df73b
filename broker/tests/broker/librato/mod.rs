//! Librato's API: requests over sockets, the answers to them, and what subscribers receive.

mod answers;
mod collectd;
mod flags;
mod hostile;

use crate::harness::{DEADLINE, Seen, Subscriber};
use crate::http::get_from;
use crate::program::{Running, program};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{ChildStderr, Command};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use zibrato::wire::{BatchReader, Value};

/// Longer than every wait of the server.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that receives Librato's API.
struct Broker {
    running: Running,
    log: BufReader<ChildStderr>,
    listening: serde_json::Value,
    folder: TempDir,
}

impl Broker {
    /// A broker with the user `ann`, whose token is `t1`.
    fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users");
        std::fs::write(&users, "ann: t1\n").unwrap();
        let fixed = ["--port", "0", "--http", "127.0.0.1:0", "--log-format", "json"];
        let listen = ["--settle", "0", "--no-journal", "--librato", "127.0.0.1:0"];
        let users = ["--librato-users", users.to_str().unwrap()];
        let args = [&fixed[..], &listen, &users, args].concat();
        let mut running = Running(program(&args).spawn().unwrap());
        let mut log = BufReader::new(running.0.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("\"event\":\"listening\"") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended");
        }
        let listening = serde_json::from_str(&line).unwrap();
        Self { running, log, listening, folder }
    }

    /// A part of the line `event=listening`.
    fn part(&self, of: &str) -> &str {
        let fields = self.listening.get("fields").unwrap_or(&self.listening);
        fields[of].as_str().unwrap_or_else(|| panic!("{of}: {}", self.listening))
    }

    fn address(&self) -> SocketAddr {
        self.part("intakes").strip_prefix("librato=").unwrap().parse().unwrap()
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::new(stream))
    }

    fn subscribe(&self, level: &str) -> Subscriber {
        let socket = zmq::Context::new().socket(zmq::SUB).unwrap();
        socket.set_rcvtimeo(DEADLINE.as_millis() as i32).unwrap();
        socket.set_subscribe(format!("zb1|{level}|").as_bytes()).unwrap();
        socket.connect(self.part("subscribers")).unwrap();
        // The broker tells which levels are wanted, so it has heard the subscription before.
        socket.set_subscribe(b"zb!levels").unwrap();
        while socket.recv_multipart(0).unwrap()[0] != b"zb!levels" {}
        socket.set_unsubscribe(b"zb!levels").unwrap();
        Subscriber { socket }
    }

    fn rejected(&self) -> BTreeMap<String, u64> {
        let beginning = "zibrato_broker_rejected_total{intake=\"librato\",reason=\"";
        let page = get_from(self.part("http").parse().unwrap(), "/metrics");
        let lines = page.lines().filter_map(|line| line.strip_prefix(beginning));
        let reasons = lines.map(|line| line.split_once("\"} ").unwrap());
        reasons.map(|(reason, count)| (reason.to_owned(), count.parse().unwrap())).collect()
    }

    /// Waits until so many inputs were rejected for a reason.
    #[track_caller]
    fn until_rejected(&self, reason: &str, count: u64) {
        let begun = Instant::now();
        loop {
            let rejected = self.rejected();
            if rejected.get(reason).is_some_and(|found| *found >= count) {
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "{reason} {count}: {rejected:?}");
        }
    }

    /// Ends it with TERM, and returns its last log lines.
    fn stop(mut self) -> Vec<String> {
        let pid = self.running.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let rest: Vec<_> = self.log.lines().map_while(Result::ok).collect();
        assert_eq!(self.running.0.wait().unwrap().code(), Some(0), "{rest:?}");
        rest
    }
}

/// A connection.
struct Client(BufReader<TcpStream>);

/// An answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Client {
    fn send(&mut self, request: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(request.as_ref()).unwrap();
    }

    /// The next answer; `None` if the connection is closed.
    fn answer(&mut self) -> Option<Answer> {
        self.answer_to("POST")
    }

    fn answer_to(&mut self, method: &str) -> Option<Answer> {
        let mut line = String::new();
        if self.0.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let length: usize = if method == "HEAD" || status == 100 { 0 } else { length };
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        Some(Answer { status, headers, body: String::from_utf8(body).unwrap() })
    }

    /// Sends a request of the user `ann`, and waits for the answer.
    fn ask(&mut self, method: &str, path: &str, more: &str, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let length = format!("Content-Length: {}\r\n", body.len());
        self.send([request(method, path, &format!("{length}{more}")).as_bytes(), body].concat());
        self.answer_to(method).expect("an answer")
    }

    fn post(&mut self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, "Content-Type: application/json\r\n", body)
    }
}

/// The head of a request of the user `ann`.
fn request(method: &str, path: &str, headers: &str) -> String {
    let credentials = STANDARD.encode("ann:t1");
    format!(
        "{method} {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {credentials}\r\n{headers}\r\n"
    )
}

/// What a subscriber has of each series: the sum of a counter, or the last reading of a gauge; and the
/// start of each annotation, in seconds.
fn readings(seen: &Seen) -> BTreeMap<String, f64> {
    let Seen::Batch { body, .. } = seen else { return BTreeMap::new() };
    let batch = BatchReader::new(body).unwrap();
    let source = batch.source();
    let readings = batch.entries().map(Result::unwrap).map(|entry| {
        let tags: Vec<_> =
            entry.tags.clone().map(|(tag, value)| format!(";{tag}={value}")).collect();
        let value = match entry.value {
            Value::Annotation(annotation) => {
                let name = format!("{source} {}: {}", annotation.stream(), annotation.title());
                return (name, annotation.start_ms() as f64 / 1e3);
            }
            Value::Gauge(gauge) => gauge.last,
            Value::Counter(sum) => sum,
            other => panic!("{other:?}"),
        };
        (format!("{source} {}{}", entry.name, tags.concat()), value)
    });
    readings.collect()
}

/// Waits for all these series, each with this value.
#[track_caller]
fn receive(subscriber: &Subscriber, expected: &[(&str, f64)]) {
    let (begun, mut last) = (Instant::now(), BTreeMap::new());
    while !expected.iter().all(|(name, value)| last.get(*name) == Some(value)) {
        assert!(begun.elapsed() < DEADLINE, "{last:?}");
        last.extend(readings(&subscriber.next().unwrap()));
    }
}
