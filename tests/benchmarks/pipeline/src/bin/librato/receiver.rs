//! A server that accepts every delivery. It keeps the bodies, which are read after the measurement, so
//! that it takes little time from the sender.

use serde::Deserialize;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use zibrato_benchmark_pipeline::Failure;

/// How long nothing may arrive before missing measurements are lost.
const LOST: Duration = Duration::from_secs(20);

/// Number of bodies for which there is memory before they arrive, and the size of each, so that the kernel
/// need not provide it meanwhile.
const READY: usize = 400;
const READY_BYTES: usize = 48 << 10;

/// The largest part of a request that is read at once.
const READ_BYTES: usize = 64 << 10;

const ACCEPTED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// The bodies of all deliveries, and the time of the last one.
#[derive(Debug, Default)]
struct Taken {
    bodies: Vec<Vec<u8>>,
    /// Memory for further bodies.
    ready: Vec<Vec<u8>>,
    last: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Receiver {
    port: u16,
    taken: Arc<Mutex<Taken>>,
}

/// What arrived.
pub(crate) struct Received {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    pub(crate) last: Instant,
    /// Measurements, and distinct names.
    pub(crate) measurements: usize,
    pub(crate) names: usize,
}

impl Receiver {
    pub(crate) fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let mut ready = vec![vec![1; READY_BYTES]; READY];
        ready.iter_mut().for_each(Vec::clear);
        let taken = Arc::new(Mutex::new(Taken { ready, ..Taken::default() }));
        let all = Arc::clone(&taken);
        // Ends with the benchmark.
        thread::Builder::new().name("receiver".to_owned()).spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let all = Arc::clone(&all);
                // The client may disconnect at any time.
                let serve = move || drop(serve(&stream, &all));
                drop(thread::Builder::new().name("receiver-http".to_owned()).spawn(serve));
            }
        })?;
        Ok(Self { port, taken })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Waits for `requests` deliveries, or until nothing arrives any more, and removes them.
    pub(crate) fn take(&self, requests: usize) -> Result<Received, Failure> {
        let begun = Instant::now();
        loop {
            thread::sleep(Duration::from_millis(50));
            let taken = lock(&self.taken);
            let quiet = taken.last.unwrap_or(begun).elapsed();
            if taken.bodies.len() >= requests || quiet >= LOST {
                break;
            }
        }
        let (bodies, last) = {
            let mut taken = lock(&self.taken);
            (std::mem::take(&mut taken.bodies), taken.last.take())
        };
        let last = last.ok_or("nothing arrived")?;
        let (mut measurements, mut names) = (0, HashSet::new());
        for body in &bodies {
            let body: Body = serde_json::from_slice(body)?;
            measurements += body.gauges.len();
            names.extend(body.gauges.into_iter().map(|gauge| gauge.name));
        }
        let (requests, bytes) = (bodies.len(), bodies.iter().map(Vec::len).sum());
        lock(&self.taken).ready.extend(bodies.into_iter().map(|mut body| {
            body.clear();
            body
        }));
        Ok(Received { requests, bytes, last, measurements, names: names.len() })
    }
}

#[derive(Deserialize)]
struct Body {
    gauges: Vec<Gauge>,
}

#[derive(Deserialize)]
struct Gauge {
    name: String,
}

fn serve(stream: &TcpStream, all: &Mutex<Taken>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::with_capacity(READ_BYTES, stream), stream);
    let mut line = String::new();
    loop {
        let (mut length, mut is_delivery, mut is_first) = (0_u64, false, true);
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if std::mem::take(&mut is_first) {
                is_delivery = text.starts_with("POST ");
            } else if let Some((name, value)) = text.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = lock(all).ready.pop().unwrap_or_default();
        if reader.by_ref().take(length).read_to_end(&mut body)? as u64 != length {
            return Ok(());
        }
        let now = Instant::now();
        writer.write_all(ACCEPTED)?;
        let mut taken = lock(all);
        if is_delivery {
            taken.bodies.push(body);
            taken.last = taken.last.max(Some(now));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
