//! The load: packets that are built in advance, and sent many at a time.

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};
use zibrato_benchmark_pipeline::Failure;

/// Number of packets that one system call sends.
const BATCH: usize = 64;

/// Smallest number of lines after which the load repeats.
const LINES: usize = 100_000;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Counters,
    Timers,
}

/// Packets with a fixed number of lines each.
pub(crate) struct Load {
    packets: Vec<Vec<u8>>,
    lines_each: usize,
}

/// What was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) lines: u64,
    pub(crate) took: Duration,
}

impl Sent {
    pub(crate) fn per_second(self) -> f64 {
        self.lines as f64 / self.took.as_secs_f64()
    }
}

impl Load {
    /// Lines of `series` series in random order, each as often as the others. Their number is a
    /// multiple of `lines_each`.
    pub(crate) fn new(what: What, series: usize, lines_each: usize) -> Self {
        let mut random = Random(7);
        let lines = LINES.div_ceil(series) * series;
        let mut all: Vec<_> = (0..lines).map(|line| line % series).collect();
        for at in (1..lines).rev() {
            all.swap(at, random.below(at + 1));
        }
        let mut line = |series: &usize| match what {
            What::Counters => format!("bench.requests.{series:06}:1|c\n"),
            What::Timers => format!("bench.requests.{series:06}:{}|ms\n", 10 + random.below(990)),
        };
        let packet = |lines: &[usize]| lines.iter().flat_map(|s| line(s).into_bytes()).collect();
        Self { packets: all.chunks(lines_each).map(packet).collect(), lines_each }
    }

    /// All packets one after the other.
    pub(crate) fn stream(&self) -> Vec<u8> {
        self.packets.concat()
    }

    /// Number of lines after which the load repeats.
    pub(crate) fn lines(&self) -> usize {
        self.packets.len() * self.lines_each
    }

    /// Sends for some time, at most so many lines per second.
    pub(crate) fn send(&self, to: SocketAddr, rate: f64, time: Duration) -> Result<Sent, Failure> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(to)?;
        let slices: Vec<_> = self.packets.iter().map(|packet| [IoSlice::new(packet)]).collect();
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
        let per_second = rate / self.lines_each as f64;
        let (mut packets, mut at, begun) = (0_u64, 0, Instant::now());
        loop {
            let took = begun.elapsed();
            if took >= time {
                return Ok(Sent { lines: packets * self.lines_each as u64, took });
            }
            let due = (per_second * took.as_secs_f64()) as u64;
            let most = due.saturating_sub(packets).min((slices.len() - at) as u64) as usize;
            if most == 0 {
                thread::yield_now();
                continue;
            }
            let some = &slices[at..at + most.min(BATCH)];
            let (socket, none) = (socket.as_raw_fd(), [None; BATCH]);
            match sendmmsg(socket, &mut headers, some, none, [], MsgFlags::empty()) {
                Ok(results) => {
                    let sent = results.count();
                    packets += sent as u64;
                    at = (at + sent) % slices.len();
                }
                // An earlier packet met a closed port.
                Err(nix::errno::Errno::ECONNREFUSED) => return Err("the server is gone".into()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Sends one packet.
pub(crate) fn send_once(to: SocketAddr, packet: &str) -> Result<(), Failure> {
    UdpSocket::bind("127.0.0.1:0")?.send_to(packet.as_bytes(), to)?;
    Ok(())
}

/// A linear congruential generator: the load is the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) as usize) % end
    }
}
