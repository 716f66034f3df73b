//! A proxy before a server with Librato's API, which injects faults into deliveries.

use super::http::{Reply, Request, Server, Service};
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Timeout of the server behind.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What happens to one delivery.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fault {
    /// It is answered with this, and the server does not get it.
    Answer(Reply),
    /// The server gets it, and its answer is lost after so many bytes.
    CutAnswer(usize),
    /// The server gets it, and there is no answer.
    HangAfter,
    /// The server gets all but the last measurement, and the answer names that one. It waits for a
    /// delivery that the server has not got before, because no server rejects what it has accepted.
    Partial,
}

/// Forwards requests to a server. Dropping it stops it.
#[derive(Debug)]
pub struct FaultyLibrato {
    server: Server<Forward>,
}

#[derive(Debug)]
struct Forward {
    /// Host and port of the server.
    to: String,
    faults: VecDeque<Fault>,
    deliveries: usize,
    /// The keys of deliveries that the server has got.
    keys: BTreeSet<String>,
}

impl FaultyLibrato {
    /// Starts on a free port, before the server at `to`, a host and port.
    ///
    /// # Errors
    /// If there is no free port, or no thread can be started.
    pub fn before(to: &str) -> anyhow::Result<Self> {
        let (to, faults, keys) = (to.to_owned(), VecDeque::new(), BTreeSet::new());
        Ok(Self { server: Server::start(Forward { to, faults, deliveries: 0, keys })? })
    }

    /// The value for `--api-url`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Injects this into the next delivery. Several are queued.
    pub fn inject(&self, fault: Fault) {
        self.server.change(|forward| forward.faults.push_back(fault));
    }

    /// Number of faults that have not happened yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.server.look(|forward| forward.faults.len())
    }

    /// Number of distinct deliveries that the server has got.
    #[must_use]
    pub fn delivered(&self) -> usize {
        self.server.look(|forward| forward.keys.len())
    }

    /// Number of deliveries so far.
    #[must_use]
    pub fn deliveries(&self) -> usize {
        self.server.look(|forward| forward.deliveries)
    }
}

impl Service for Forward {
    fn answer(&mut self, request: &Request) -> Reply {
        let is_delivery = request.method == "POST";
        self.deliveries += usize::from(is_delivery);
        let mut fault = if is_delivery { self.faults.pop_front() } else { None };
        let is_new = request.header("idempotency-key").is_none_or(|key| !self.keys.contains(key));
        if let Some(later @ Fault::Partial) =
            fault.take_if(|fault| !is_new && matches!(fault, Fault::Partial))
        {
            self.faults.push_back(later);
        }
        match fault {
            Some(Fault::Answer(reply)) => reply,
            Some(Fault::Partial) => self.all_but_the_last(request),
            Some(Fault::CutAnswer(bytes)) => self.forward(request).cut_after(bytes),
            Some(Fault::HangAfter) => {
                drop(self.forward(request));
                Reply::hang()
            }
            None => self.forward(request),
        }
    }

    fn record(&mut self, _request: Request) {}
}

impl Forward {
    fn forward(&mut self, request: &Request) -> Reply {
        self.keys.extend(request.header("idempotency-key").map(str::to_owned));
        self.try_forward(request).unwrap_or_else(|why| Reply::status(502).body(why.to_string()))
    }

    fn try_forward(&self, request: &Request) -> anyhow::Result<Reply> {
        let Request { method, path, query, body, .. } = request;
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        let mut head = format!("{method} {path}{query} HTTP/1.1\r\nHost: {}\r\n", self.to);
        for name in ["authorization", "content-type", "idempotency-key"] {
            if let Some(value) = request.header(name) {
                head.extend([name, ": ", value, "\r\n"]);
            }
        }
        head.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()));
        let mut server = TcpStream::connect(&self.to)?;
        server.set_read_timeout(Some(TIMEOUT))?;
        server.write_all(head.as_bytes())?;
        server.write_all(body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        let answer = String::from_utf8(answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).unwrap_or_default().parse()?;
        Ok(Reply::status(status).body(body))
    }

    fn all_but_the_last(&mut self, request: &Request) -> Reply {
        let Some(Value::Object(mut body)) = request.json.clone() else {
            return self.forward(request);
        };
        let Some(Value::Array(gauges)) = body.get_mut("gauges") else {
            return self.forward(request);
        };
        let Some(last) = gauges.pop() else { return self.forward(request) };
        let is_rest = !gauges.is_empty();
        let rest = Value::Object(body).to_string().into_bytes();
        let rest = Request { body: rest, ..request.clone() };
        if is_rest {
            let reply = self.forward(&rest);
            if !reply.is_success() {
                return reply;
            }
        }
        let why = json!({"param": "name", "value": last["name"], "reason": "not today"});
        Reply::json(202, &json!({ "errors": [why] }))
    }
}
