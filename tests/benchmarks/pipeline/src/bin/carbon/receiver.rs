//! A receiver that only reads. It keeps the bytes, which are compared after the measurement, so that
//! it takes little time from the sender.

use crate::points::{Arrived, Points};
use crate::protocol::Protocol;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use zibrato_benchmark_pipeline::Failure;

/// How long nothing may arrive before the points are counted, and before missing ones are lost.
const QUIET: Duration = Duration::from_secs(1);
const LOST: Duration = Duration::from_secs(20);

const READ_BYTES: usize = 256 << 10;

/// Listens, and keeps what arrives on each connection.
#[derive(Debug)]
pub(crate) struct Receiver {
    port: u16,
    protocol: Protocol,
    streams: Arc<Mutex<Vec<Stream>>>,
}

#[derive(Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
    times: Option<(Instant, Instant)>,
}

/// What arrived since the last call.
pub(crate) struct Received {
    pub(crate) arrived: Arrived,
    pub(crate) bytes: usize,
    /// The times of the first and of the last read.
    pub(crate) first: Instant,
    pub(crate) last: Instant,
}

impl Receiver {
    pub(crate) fn start(protocol: Protocol) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let streams = Arc::<Mutex<Vec<Stream>>>::default();
        let all = Arc::clone(&streams);
        // Ends with the benchmark.
        thread::Builder::new().name("receiver".to_owned()).spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let at = lock(&all).len();
                lock(&all).push(Stream::default());
                let all = Arc::clone(&all);
                let read = move || read(stream, &all, at);
                drop(thread::Builder::new().name("receiver-read".to_owned()).spawn(read));
            }
        })?;
        Ok(Self { port, protocol, streams })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        lock(&self.streams).len()
    }

    /// Waits until all points have arrived, or nothing arrives any more, and removes them.
    pub(crate) fn take(&self, points: Points) -> Result<Received, Failure> {
        let begun = Instant::now();
        loop {
            thread::sleep(QUIET / 10);
            let quiet = self.times().map_or(begun, |(_, last)| last).elapsed();
            if quiet >= LOST || (quiet >= QUIET && self.arrived(points).points >= points.count()) {
                break;
            }
        }
        let (first, last) = self.times().ok_or("nothing arrived")?;
        let (arrived, bytes) = (self.arrived(points), self.bytes());
        lock(&self.streams).iter_mut().for_each(|stream| *stream = Stream::default());
        Ok(Received { arrived, bytes, first, last })
    }

    /// Number of bytes that have arrived and were not removed.
    pub(crate) fn bytes(&self) -> usize {
        lock(&self.streams).iter().map(|stream| stream.bytes.len()).sum()
    }

    fn arrived(&self, points: Points) -> Arrived {
        let streams = lock(&self.streams);
        points.compare(streams.iter().flat_map(|stream| self.protocol.names(&stream.bytes)))
    }

    /// The times of the first and of the last read.
    fn times(&self) -> Option<(Instant, Instant)> {
        let streams = lock(&self.streams);
        let times = streams.iter().filter_map(|stream| stream.times);
        times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

fn read(mut stream: TcpStream, all: &Mutex<Vec<Stream>>, at: usize) {
    let mut some = vec![0; READ_BYTES];
    while let Ok(length) = stream.read(&mut some) {
        let now = Instant::now();
        if length == 0 {
            return;
        }
        if let Some(stream) = lock(all).get_mut(at) {
            stream.bytes.extend_from_slice(&some[..length]);
            stream.times = Some((stream.times.map_or(now, |(first, _)| first), now));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
