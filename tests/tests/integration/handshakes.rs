//! A broker revokes keys and stops while hostile peers are in the middle of their handshakes: both
//! close listeners, and it must not abort.

use super::security::Keys;
use rustix::net::sockopt::set_socket_linger;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use zibrato::curve::Curve;
use zibrato::wire::Endpoint;
use zibrato_tests::{Broker, Signal, wait_until};

/// Duration of each test. `tests/run --all` sets `ZIBRATO_HANDSHAKES_SECONDS`.
const SECONDS: u64 = 5;

/// Threads of raw peers, and of libzmq's own.
const THREADS: usize = 6;

/// How many connections a thread holds at a time.
const HELD: u64 = 40;

/// Revocations before each stop.
const REVOCATIONS: u32 = 4;

/// The endpoints of a broker, and what connects there.
const ENDPOINTS: [(Endpoint, zmq::SocketType); 4] = [
    (Endpoint::Publishers, zmq::PUSH),
    (Endpoint::Subscribers, zmq::SUB),
    (Endpoint::Replay, zmq::DEALER),
    (Endpoint::Legacy, zmq::PUB),
];

/// All that a peer sends up to its identity, by version of ZMTP. libzmq aborts if the last byte arrives
/// while the socket closes. Sockets with keys reject these versions earlier.
const ZMTP_1: &[u8] = b"\x03\0ab";
const ZMTP_2: &[u8] = b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05\0\x02ab";

/// The length of a greeting of ZMTP 3.
const GREETING: usize = 64;

/// The greeting of a server of ZMTP 3 with this mechanism.
fn greeting(mechanism: &str) -> Vec<u8> {
    let mut greeting = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0".to_vec();
    greeting.extend_from_slice(mechanism.as_bytes());
    greeting.resize(32, 0);
    greeting.push(u8::from(mechanism == "CURVE"));
    greeting.resize(GREETING, 0);
    greeting
}

/// What a real client of ZMTP 3 says first: its greeting, and HELLO or READY. It may be said again.
fn hello(kind: zmq::SocketType, curve: Option<&Curve>) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client(&zmq::Context::new(), kind, curve);
    client.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    let mut peer = listener.accept().unwrap().0;
    peer.write_all(&greeting(if curve.is_some() { "CURVE" } else { "NULL" })).unwrap();
    let mut bytes = vec![0; GREETING + 2];
    peer.read_exact(&mut bytes).unwrap();
    let mut command = vec![0; usize::from(bytes[GREETING + 1])];
    peer.read_exact(&mut command).unwrap();
    [bytes, command].concat()
}

fn client(context: &zmq::Context, kind: zmq::SocketType, curve: Option<&Curve>) -> zmq::Socket {
    let client = context.socket(kind).unwrap();
    client.set_linger(0).unwrap();
    curve.iter().for_each(|curve| curve.secure(&client).unwrap());
    client
}

/// A broker under attack.
struct Target<'a> {
    port: u16,
    folder: &'a Path,
    curve: Option<Curve>,
    over: AtomicBool,
    handshakes: AtomicU64,
}

/// Ends the attack, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn moment(&mut self, micros: usize) -> Duration {
        Duration::from_micros(self.below(micros) as u64)
    }
}

/// A stream over TCP or in the folder.
trait Stream: Write + AsFd {}
impl<T: Write + AsFd> Stream for T {}

impl Target<'_> {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn connect(&self, endpoint: Endpoint, tcp: bool) -> std::io::Result<Box<dyn Stream>> {
        if tcp {
            let port = self.port + endpoint.offset();
            return Ok(Box::new(TcpStream::connect(("127.0.0.1", port))?));
        }
        Ok(Box::new(UnixStream::connect(self.folder.join(endpoint.file_name()))?))
    }

    /// Says part of what a peer says first, the rest some other time or never, and goes or resets the
    /// connection. The broker may be gone at any time.
    fn raw_peers(&self, seed: usize) {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 + seed as u64);
        let hellos = ENDPOINTS.map(|(_, kind)| hello(kind, self.curve.as_ref()));
        while self.goes_on() {
            let mut held = Vec::new();
            for _ in 0..HELD {
                let at = random.below(ENDPOINTS.len());
                let says = [ZMTP_1, ZMTP_2, &hellos[at]][random.below(3)];
                // Half of them lack the last byte alone.
                let cuts = [0, says.len().min(GREETING), says.len(), random.below(says.len())];
                let cut = *cuts.get(random.below(8)).unwrap_or(&(says.len() - 1));
                let Ok(mut peer) = self.connect(ENDPOINTS[at].0, random.below(2) == 0) else {
                    continue;
                };
                if peer.write_all(&says[..cut]).is_ok() {
                    held.push((peer, &says[cut..]));
                }
                self.handshakes.fetch_add(1, Ordering::Relaxed);
            }
            // Closed together afterwards: a peer that closes at once takes back what it has said.
            for (peer, rest) in &mut held {
                thread::sleep(random.moment(1_000));
                if random.below(4) > 0 {
                    peer.write_all(rest).ok();
                }
                if random.below(4) == 0 {
                    set_socket_linger(&*peer, Some(Duration::ZERO)).ok();
                }
            }
        }
    }

    /// Clients of libzmq that connect and go.
    fn clients(&self, seed: usize) {
        let mut random = Random(0xd1b5_4a32_d192_ed03 + seed as u64);
        let context = zmq::Context::new();
        while self.goes_on() {
            let (endpoint, kind) = ENDPOINTS[random.below(ENDPOINTS.len())];
            let client = client(&context, kind, self.curve.as_ref());
            let folder = self.folder.join(endpoint.file_name());
            let address = match random.below(2) {
                0 => format!("tcp://127.0.0.1:{}", self.port + endpoint.offset()),
                _ => format!("ipc://{}", folder.display()),
            };
            client.connect(&address).unwrap();
            thread::sleep(random.moment(5_000));
            self.handshakes.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Attacks a broker while it is stopped and started again and again, each time after `before_stop`.
/// Returns the number of stops, none of which was an abort.
fn under_attack(
    args: &[&str],
    curve: Option<Curve>,
    mut before_stop: impl FnMut(&mut Broker),
) -> u32 {
    let seconds = std::env::var("ZIBRATO_HANDSHAKES_SECONDS").map(|text| text.parse().unwrap());
    let time = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let folder = tempfile::tempdir().unwrap();
    let ipc = ["--ipc", folder.path().to_str().unwrap(), "--settle", "0"];
    let mut broker = Broker::start_with(&[args, &ipc].concat());
    let target = Target {
        port: broker.port(),
        folder: folder.path(),
        curve,
        over: AtomicBool::new(false),
        handshakes: AtomicU64::new(0),
    };
    let mut stops = 0;
    thread::scope(|scope| {
        let over = Over(&target.over);
        for seed in 0..THREADS {
            let target = &target;
            scope.spawn(move || target.raw_peers(seed));
            scope.spawn(move || {
                if seed < THREADS / 3 {
                    target.clients(seed)
                }
            });
        }
        let begun = Instant::now();
        loop {
            before_stop(&mut broker);
            let status = broker.stop(Signal::TERM);
            assert!(status.success(), "{status} at stop {stops}");
            stops += 1;
            if begun.elapsed() >= time {
                break;
            }
            broker.restart();
        }
        drop(over);
    });
    assert!(target.handshakes.into_inner() > 100, "there was hardly an attack");
    stops
}

#[test]
fn a_broker_stops_under_unfinished_handshakes() {
    let stops = under_attack(&[], None, |_| {});
    println!("{stops} stops, no abort");
}

#[test]
fn a_broker_revokes_keys_and_stops_under_unfinished_handshakes() {
    let keys = Keys::of(&["stays", "goes"]);
    let flags = keys.broker_flags();
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let stops = under_attack(&flags, Some(keys.curve("goes")), |broker| {
        for revocation in 1..=REVOCATIONS {
            let mut reload = |times: u32| {
                broker.signal(Signal::HUP);
                wait_until(zibrato_tests::DEADLINE, "the list to be read", || {
                    let reloads = "zibrato_broker_key_reloads_total{result=\"used\"}";
                    broker.metric(reloads) >= f64::from(times)
                });
            };
            keys.revoke("goes");
            reload(2 * revocation - 1);
            keys.allow("goes");
            reload(2 * revocation);
        }
    });
    println!("{stops} stops and {} revocations, no abort", stops * REVOCATIONS);
}
