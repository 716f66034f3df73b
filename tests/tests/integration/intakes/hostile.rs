//! Input of any bytes at the sockets of all intakes at once: counted, bounded, and without harm to
//! anything else.

use super::{Intakes, Series, parts};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use zibrato_tests::{DEADLINE, Signal, wait_until};

const INTAKES: [&str; 3] = ["statsd", "collectd", "metricsd"];

/// The largest packet of UDP.
const LARGEST: usize = 65_507;

/// Numbers that look random, the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// A valid packet of an intake, of this source: it adds 1 to counters, and sets gauges to 1.
fn valid(intake: &str, source: &str) -> Vec<u8> {
    match intake {
        "collectd" => parts::list(source, "a", 1.0),
        "metricsd" => parts::update(source, 0x10, "m", 1.0),
        _ => format!("c:1|c|#host:{source}\nt:500|ms|#host:{source}").into_bytes(),
    }
}

/// What a worker has of the source `known`.
fn known(received: &Series) -> Vec<(&str, &str)> {
    let all = received.iter().filter(|(name, _)| name.ends_with("@known"));
    all.map(|(name, reading)| (&**name, &**reading)).collect()
}

#[test]
fn any_bytes_harm_neither_the_broker_nor_other_senders() {
    let mut intakes = Intakes::start();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut sent = 0;
    for intake in INTAKES {
        let to = intakes.address(intake);
        let (known, other) = (valid(intake, "known"), valid(intake, "other"));
        for _ in 0..40 {
            intakes.send(to, &known);
            sent += u64::from(intake == "statsd");
            // Cut anywhere, with any byte changed, and any bytes.
            let at = (numbers.next() as usize) % other.len();
            let mut changed = other.clone();
            changed[at] ^= 1 << (numbers.next() % 8);
            let length = numbers.next() as usize % 2_000;
            for packet in [other[..at].to_vec(), changed, numbers.bytes(length)] {
                intakes.send(to, packet);
            }
        }
        // Garbage, zeros, ones, and a valid beginning, each of the largest size.
        let mut begun = other.clone();
        begun.resize(LARGEST, b'x');
        let large = [numbers.bytes(LARGEST), vec![0; LARGEST], vec![0xff; LARGEST], begun];
        intakes.send_all(intake, large);
        intakes.send(to, b"");
    }
    let [.., received] = INTAKES.map(|intake| intakes.received(intake));
    let seconds = sent as f64 / 2.0;
    assert_eq!(
        known(&received),
        [
            ("c@known", &*format!("c {sent}")),
            ("m@known", "g 1"),
            ("p.gauge.a@known", "g 1"),
            ("t@known", &*format!("t {sent} {seconds} 0.5 0.5")),
        ]
    );
    for intake in INTAKES {
        let rejected = intakes.rejected(intake);
        assert!(rejected.values().sum::<u64>() >= 3, "{intake}: {rejected:?}");
    }
    // It logs a sample of each reason, not of each packet.
    let lines = intakes.broker.running().log().lines().count();
    assert!(lines < 100, "{lines} lines in the log");
    assert_eq!(intakes.broker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn clients_that_lie_about_lengths_or_hang_do_not_harm_others() {
    let mut intakes = Intakes::start_with(|folder| {
        let stream = folder.path().join("s.sock").display().to_string();
        let datagrams = folder.path().join("d.sock").display().to_string();
        ["--statsd-stream-socket", &stream, "--statsd-socket", &datagrams].map(str::to_owned).into()
    });
    let connect = || UnixStream::connect(intakes.path("s.sock")).unwrap();
    // A client that sends half of a line, and waits.
    let mut hangs = TcpStream::connect(intakes.address("statsd")).unwrap();
    hangs.write_all(b"hangs:1").unwrap();
    // Lengths of a packet that are too large, zero, and larger than what follows.
    let mut large = connect();
    large.write_all(&0x00ff_ffff_u32.to_le_bytes()).unwrap();
    assert_eq!(large.read(&mut [0]).unwrap(), 0, "it is closed");
    let mut zero = connect();
    zero.write_all(&[0; 4_000]).unwrap();
    zero.write_all(&5_u32.to_le_bytes()).unwrap();
    zero.write_all(b"a:1|c").unwrap();
    let mut short = connect();
    short.write_all(&9_u32.to_le_bytes()).unwrap();
    short.write_all(b"b:1|").unwrap();
    short.shutdown(Shutdown::Write).unwrap();
    // A line without an end, whose rest is skipped.
    let mut endless = TcpStream::connect(intakes.address("statsd")).unwrap();
    endless.write_all(&vec![b'x'; 1 << 20]).unwrap();
    endless.write_all(b"\nc:1|c\n").unwrap();
    endless.shutdown(Shutdown::Write).unwrap();
    // Bytes that are no text.
    let unix = UnixDatagram::unbound().unwrap();
    unix.send_to(b"d:1|c\n\xff\xfe:1|c\ne:1|c|#t:\xff\nf:\xff|s", intakes.path("d.sock")).unwrap();
    wait_until(DEADLINE, "the lines", || intakes.lines("statsd") >= 4);
    let expected = [("a", "c 1"), ("c", "c 1"), ("d", "c 1"), ("e", "c 1")];
    assert_eq!(intakes.received("statsd"), super::named(expected));
    hangs.write_all(b"|c\n").unwrap();
    wait_until(DEADLINE, "its line", || intakes.lines("statsd") >= 6);
    assert_eq!(intakes.received("statsd")["hangs"], "c 1");
    let reasons = [("encoding", 1), ("member", 1), ("tags", 1), ("too_long", 2), ("truncated", 1)];
    intakes.check_rejected("statsd", &reasons);
}
