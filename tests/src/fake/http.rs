//! The HTTP/1.1 server of every fake: it records requests and gives scripted answers.
//!
//! It closes the connection after each request, because python-librato cannot repeat a request
//! otherwise, unless an answer keeps it open.

use anyhow::Context;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const MAX_HEAD_BYTES: u64 = 64 * 1024;
const MAX_BODY_BYTES: u64 = 16 * 1024 * 1024;

/// Maximum number of open connections; further ones are closed immediately.
const MAX_CONNECTIONS: usize = 64;

/// Timeout of a request.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A received request.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// `GET`, `POST` …
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The text after the `?`, not decoded.
    pub query: String,
    /// Names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The body, if it is JSON.
    pub json: Option<Value>,
    /// The port of the client, which each connection has another of.
    pub port: u16,
}

impl Request {
    /// A header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// Whether the `Content-Type` is this media type, with any parameters.
    pub(super) fn is(&self, media_type: &str) -> bool {
        let value = self.header("content-type").and_then(|value| value.split(';').next());
        value.is_some_and(|value| value.trim().eq_ignore_ascii_case(media_type))
    }

    /// The fields of a form body.
    #[must_use]
    pub fn form(&self) -> Vec<(String, String)> {
        let body = String::from_utf8_lossy(&self.body);
        let pairs = body.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (percent_decoded(key), percent_decoded(value))
            })
            .collect()
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = bytes.get(i + 1..i + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[i], byte) {
            (b'%', Some(byte)) => {
                plain.push(byte);
                i += 2;
            }
            (b'+', _) => plain.push(b' '),
            (other, _) => plain.push(other),
        }
        i += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    ending: Ending,
    keeps_open: bool,
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Cut(usize),
    Hang,
    Whole,
}

impl Reply {
    /// An answer with an empty body.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        let ending = Ending::Whole;
        Self { status, headers: Vec::new(), body: Vec::new(), ending, keeps_open: false }
    }

    /// An answer with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        let reply = Self::status(status).body(body.to_string());
        reply.header("Content-Type", "application/json;charset=utf-8")
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Closes the connection after this many bytes of the answer, including the head.
    #[must_use]
    pub const fn cut_after(mut self, bytes: usize) -> Self {
        self.ending = Ending::Cut(bytes);
        self
    }

    /// Keeps the connection open for the next request.
    #[must_use]
    pub const fn keep_open(mut self) -> Self {
        self.keeps_open = true;
        self
    }

    /// No answer: the connection stays open until the fake is dropped or gets another default
    /// answer.
    #[must_use]
    pub const fn hang() -> Self {
        let mut reply = Self::status(200);
        reply.ending = Ending::Hang;
        reply
    }

    /// Whether it is a success.
    pub(super) const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Told\r\n", self.status);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if self.status != 204 {
            head.extend(["Content-Length: ", &self.body.len().to_string(), "\r\n"]);
        }
        head.push_str(if self.keeps_open { "\r\n" } else { "Connection: close\r\n\r\n" });
        let mut bytes = head.into_bytes();
        bytes.extend(&self.body);
        if let Ending::Cut(at) = self.ending {
            bytes.truncate(at);
        }
        bytes
    }
}

/// The service of a fake: its answers and its records.
pub(super) trait Service: Send + 'static {
    /// Answers a request.
    fn answer(&mut self, request: &Request) -> Reply;

    /// Records a request, including one with a scripted answer.
    fn record(&mut self, request: Request);

    /// Whether scripted answers are for this request. Defaults to all requests.
    fn may_be_scripted(&self, _request: &Request) -> bool {
        true
    }
}

#[derive(Debug)]
struct Inner<S> {
    service: S,
    /// The next answers, instead of those of the service.
    scripted: VecDeque<Reply>,
    /// The default answer after those, instead of that of the service.
    always: Option<Reply>,
    stopping: bool,
}

#[derive(Debug)]
struct Shared<S> {
    inner: Mutex<Inner<S>>,
    changed: Condvar,
}

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        // A test that panics while it reads leaves valid data.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server on a free port of 127.0.0.1; dropping it closes everything and joins its threads.
#[derive(Debug)]
pub(super) struct Server<S: Service> {
    address: SocketAddr,
    shared: Arc<Shared<S>>,
    thread: Option<JoinHandle<()>>,
}

impl<S: Service> Server<S> {
    pub(super) fn start(service: S) -> anyhow::Result<Self> {
        Self::start_at(0, service)
    }

    /// Starts on a port, or on a free one if it is 0.
    pub(super) fn start_at(port: u16, service: S) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).context("the port is not free")?;
        let address = listener.local_addr()?;
        let (scripted, always) = (VecDeque::new(), None);
        let inner = Inner { service, scripted, always, stopping: false };
        let shared = Arc::new(Shared { inner: Mutex::new(inner), changed: Condvar::new() });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("fake-http".to_owned())
            .spawn(move || accept(&listener, &theirs))?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// `http://127.0.0.1:port`.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn answer_with(&self, reply: Reply) {
        self.shared.lock().scripted.push_back(reply);
    }

    pub(super) fn answer_always(&self, reply: Option<Reply>) {
        self.shared.lock().always = reply;
        self.shared.changed.notify_all();
    }

    /// Changes the service between two requests.
    pub(super) fn change(&self, change: impl FnOnce(&mut S)) {
        change(&mut self.shared.lock().service);
    }

    pub(super) fn look<T>(&self, at: impl FnOnce(&S) -> T) -> T {
        at(&self.shared.lock().service)
    }

    pub(super) fn wait_until(
        &self,
        done: impl Fn(&S) -> bool,
        deadline: Duration,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut inner = self.shared.lock();
        while !done(&inner.service) {
            let left = deadline.saturating_sub(begun.elapsed());
            anyhow::ensure!(!left.is_zero(), "timeout after {deadline:?}");
            let waited = self.shared.changed.wait_timeout(inner, left);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

impl<S: Service> Drop for Server<S> {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        // Wakes the listener; if that fails, it has already ended.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed; another one here would abort.
            drop(thread.join());
        }
    }
}

fn accept<S: Service>(listener: &TcpListener, shared: &Arc<Shared<S>>) {
    let mut connections: Vec<(TcpStream, JoinHandle<()>)> = Vec::new();
    for stream in listener.incoming() {
        if shared.lock().stopping {
            break;
        }
        connections.retain(|(_, thread)| !thread.is_finished());
        let Ok(stream) = stream else { continue };
        let Ok(handle) = stream.try_clone() else { continue };
        if connections.len() >= MAX_CONNECTIONS {
            continue;
        }
        let theirs = Arc::clone(shared);
        let thread = std::thread::Builder::new().name("fake-conn".to_owned());
        // A client may disconnect at any time.
        if let Ok(thread) = thread.spawn(move || drop(serve(&stream, &theirs))) {
            connections.push((handle, thread));
        }
    }
    for (stream, thread) in connections {
        drop(stream.shutdown(Shutdown::Both));
        drop(thread.join());
    }
}

fn serve<S: Service>(stream: &TcpStream, shared: &Shared<S>) -> io::Result<()> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.set_write_timeout(Some(READ_TIMEOUT))?;
    while serve_one(stream, shared)? {}
    stream.shutdown(Shutdown::Write)
}

/// Answers a request; returns whether another one may follow.
fn serve_one<S: Service>(stream: &TcpStream, shared: &Shared<S>) -> io::Result<bool> {
    let Some(request) = read_request(stream)? else {
        return send(stream, &Reply::status(400)).map(|()| false);
    };
    let mut inner = shared.lock();
    let may_be_scripted = inner.service.may_be_scripted(&request);
    let reply = if may_be_scripted { inner.scripted.pop_front() } else { None };
    let is_scripted = reply.is_some();
    let reply = reply.or_else(|| inner.always.clone());
    let reply = reply.unwrap_or_else(|| inner.service.answer(&request));
    inner.service.record(request);
    shared.changed.notify_all();
    if matches!(reply.ending, Ending::Hang) {
        while !inner.stopping && (is_scripted || inner.always.is_some()) {
            inner = shared.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        return Ok(false);
    }
    drop(inner);
    send(stream, &reply).map(|()| reply.keeps_open)
}

fn send(mut stream: &TcpStream, reply: &Reply) -> io::Result<()> {
    stream.write_all(&reply.bytes())
}

/// Reads a request; `None` if it is not one that the fake understands.
fn read_request(stream: &TcpStream) -> io::Result<Option<Request>> {
    let mut reader = BufReader::new(stream);
    if !reader.fill_buf()?.first().is_some_and(u8::is_ascii_uppercase) {
        return Ok(None); // TLS, or nothing at all
    }
    let mut head = (&mut reader).take(MAX_HEAD_BYTES).lines();
    let first = head.next().transpose()?.unwrap_or_default();
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = Vec::new();
    for line in head {
        let line = line?;
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { return Ok(None) };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
    let port = stream.peer_addr()?.port();
    let mut request = Request { method, path, query, headers, body: Vec::new(), json: None, port };
    let length = request.header("content-length").map_or(Ok(0), str::parse::<u64>);
    match length {
        Ok(length) if length <= MAX_BODY_BYTES => {
            reader.take(length).read_to_end(&mut request.body)?;
            if request.body.len() as u64 != length {
                return Ok(None);
            }
        }
        Ok(_) | Err(_) => return Ok(None),
    }
    request.json = serde_json::from_slice(&request.body).ok();
    Ok(Some(request))
}
