//! Clients that keep a connection, and send the next request when the last one is answered.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use zibrato_benchmark_pipeline::Failure;

/// Measurements in a request, as clients send at most.
pub(crate) const MEASUREMENTS: usize = 300;

/// Number of clients.
const CLIENTS: usize = 64;

/// The user, and the token in HTTP's scheme Basic.
pub(crate) const USER: &str = "bench: t1";
const CREDENTIALS: &str = "YmVuY2g6dDE=";

/// The request of a client, whose source is its own.
fn request(client: usize, now: u64) -> Vec<u8> {
    let mut body = String::from("{\"gauges\":[");
    for n in 0..MEASUREMENTS {
        let comma = if n == 0 { "" } else { "," };
        let value = n as f64 * 0.37;
        let written = write!(
            body,
            "{comma}{{\"name\":\"service.requests.route-{n}.time\",\"value\":{value},\
             \"source\":\"web-{client}\",\"measure_time\":{now}}}"
        );
        debug_assert!(written.is_ok());
    }
    body.push_str("],\"counters\":[]}");
    let head = format!(
        "POST /v1/metrics HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic {CREDENTIALS}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// Sends for this time. Returns the measurements that were answered, and the time that it took.
pub(crate) fn send(to: SocketAddr, time: Duration) -> Result<(u64, Duration), Failure> {
    let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let now = zibrato::clock::unix_ms() / 1_000;
    let begun = Instant::now();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (is_over, answered) = (&is_over, &answered);
                let run = move || converse(to, &request(client, now), is_over, answered);
                thread::Builder::new().name("client".to_owned()).spawn_scoped(scope, run)
            })
            .collect();
        thread::sleep(time);
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client?.join().map_err(|_| "a client panicked")??;
        }
        Ok::<_, Failure>(())
    })?;
    Ok((answered.into_inner() * MEASUREMENTS as u64, begun.elapsed()))
}

fn converse(
    to: SocketAddr,
    request: &[u8],
    is_over: &AtomicBool,
    answered: &AtomicU64,
) -> Result<(), Failure> {
    let mut stream = BufReader::new(TcpStream::connect(to)?);
    stream.get_ref().set_nodelay(true)?;
    stream.get_ref().set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut line = String::new();
    while !is_over.load(Ordering::Relaxed) {
        stream.get_mut().write_all(request)?;
        line.clear();
        stream.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 200 ") {
            return Err(format!("the answer is {line:?}").into());
        }
        // The answer has no body.
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line)?;
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
