//! The attacks. Each function makes one attempt and is called repeatedly.

use crate::Target;
use crate::garbage;
use crate::random::Random;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};
use zibrato::wire::{Fetch, Reader, ReplayRequest};
use zibrato_benchmark_pipeline::{Failure, Peer, greeting, put_frame};

type Attack = fn(&Target, &mut Random) -> Result<(), Failure>;

/// All attacks, by name.
pub const ATTACKS: [(&str, Attack); 12] = [
    ("noise", noise),
    ("truncated", truncated),
    ("huge", huge),
    ("hoard", hoard),
    ("slow", slow),
    ("connections", connections),
    ("garbage", garbage),
    ("flood", flood),
    ("requests", requests),
    ("stalled-reader", stalled_reader),
    ("stalled-subscriber", stalled_subscriber),
    ("http", http),
];

const KINDS: [&str; 6] = ["PUSH", "SUB", "DEALER", "PUB", "ROUTER", "nonsense"];

/// Timeout of every attack.
const TIMEOUT: Duration = Duration::from_secs(2);

fn tcp(port: u16) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn some_port(target: &Target, random: &mut Random) -> u16 {
    target.port + random.below(4) as u16
}

/// Random bytes, from the start or after a valid greeting.
fn noise(target: &Target, random: &mut Random) -> Result<(), Failure> {
    let mut stream = tcp(some_port(target, random))?;
    if random.below(2) == 0 {
        stream.write_all(&greeting())?;
    }
    for _ in 0..random.below(4) {
        stream.write_all(&random.bytes(64 << 10))?;
    }
    Ok(())
}

/// A valid beginning, and then the end of the connection.
fn truncated(target: &Target, random: &mut Random) -> Result<(), Failure> {
    let at = random.below(4) as u16;
    let kind = if random.below(2) == 0 {
        ["PUSH", "SUB", "DEALER", "PUB"][usize::from(at)]
    } else {
        *random.one_of(&KINDS)
    };
    let mut peer = patient(target.port + at, kind)?;
    let mut bytes = Vec::new();
    for frame in garbage::message(random) {
        put_frame(&mut bytes, &frame, true);
    }
    let cut = random.below(bytes.len() as u64 + 1) as usize;
    peer.stream.write_all(&bytes[..cut])?;
    Ok(())
}

fn patient(port: u16, kind: &str) -> Result<Peer, Failure> {
    let peer = Peer::connect(port, kind)?;
    peer.stream.set_write_timeout(Some(TIMEOUT))?;
    peer.stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(peer)
}

/// A frame whose length is far too large.
fn huge(target: &Target, random: &mut Random) -> Result<(), Failure> {
    let mut peer = patient(target.port + 3 * random.below(2) as u16, "PUSH")?;
    let length = *random.one_of(&[u64::MAX, 1 << 62, (4 << 20) + 1, 1 << 31]);
    peer.stream.write_all(&[2])?;
    peer.stream.write_all(&length.to_be_bytes())?;
    peer.stream.write_all(&random.bytes(1 << 16))?;
    Ok(())
}

/// Many connections, each of which has sent nearly all of a frame of 4 MiB.
fn hoard(target: &Target, _: &mut Random) -> Result<(), Failure> {
    let mut held = Vec::new();
    let part = vec![b'x'; (4 << 20) - 4096];
    while target.goes_on() && held.len() < 400 {
        let Ok(mut peer) = patient(target.port, "PUSH") else { break };
        peer.stream.write_all(&[2])?;
        peer.stream.write_all(&(4_u64 << 20).to_be_bytes())?;
        if peer.stream.write_all(&part).is_ok() {
            target.count();
            held.push(peer);
        }
    }
    wait(target, Duration::from_secs(10));
    Ok(())
}

/// Single bytes at long intervals.
fn slow(target: &Target, random: &mut Random) -> Result<(), Failure> {
    let mut all = Vec::new();
    for _ in 0..200 {
        let mut stream = tcp(some_port(target, random))?;
        stream.write_all(&greeting()[..random.below(64) as usize])?;
        all.push(stream);
    }
    for _ in 0..30 {
        all.retain_mut(|stream| stream.write_all(&[0]).is_ok());
        wait(target, Duration::from_millis(200));
    }
    Ok(())
}

/// The maximum number of connections on all ports, which send nothing.
fn connections(target: &Target, random: &mut Random) -> Result<(), Failure> {
    let mut all = Vec::new();
    while target.goes_on() && (all.len() as u64) < target.connections {
        if let Ok(mut stream) = tcp(some_port(target, random)) {
            if random.below(2) == 0 {
                stream.write_all(&greeting())?;
            }
            all.push(stream);
            target.count();
        }
    }
    wait(target, Duration::from_secs(30));
    Ok(())
}

/// Well-framed messages with invalid content, on both ports for publishers.
fn garbage(target: &Target, random: &mut Random) -> Result<(), Failure> {
    let (port, kind) = *random.one_of(&[(target.port, "PUSH"), (target.port + 3, "PUB")]);
    let mut peer = patient(port, kind)?;
    for _ in 0..200 {
        let frames = garbage::message(random);
        let mut bytes = Vec::new();
        for (at, frame) in frames.iter().enumerate() {
            put_frame(&mut bytes, frame, at + 1 < frames.len());
        }
        peer.stream.write_all(&bytes)?;
        target.count();
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Batches of the maximum size, as fast as they are accepted.
fn flood(target: &Target, random: &mut Random) -> Result<(), Failure> {
    // Every tenth batch goes to the journal, as many as the disk can write besides everything else.
    let level = if random.below(10) == 0 { "garbage" } else { "flood" };
    let mut peer = patient(target.port, "PUSH")?;
    let mut bytes = Vec::new();
    put_frame(&mut bytes, format!("zb1|{level}|").as_bytes(), true);
    let id: Vec<_> = (0..24).map(|_| random.next() as u8).collect();
    put_frame(&mut bytes, &id, true);
    put_frame(&mut bytes, &vec![0xc1; 4 << 20], false);
    for _ in 0..if level == "garbage" { 1 } else { 20 } {
        peer.stream.write_all(&bytes)?;
        target.count();
    }
    wait(target, Duration::from_millis(100));
    Ok(())
}

/// Invalid requests, whose answers are read.
fn requests(target: &Target, random: &mut Random) -> Result<(), Failure> {
    let mut peer = patient(target.port + 2, "DEALER")?;
    for _ in 0..20 {
        request(&mut peer, &garbage::request(random))?;
        target.count();
    }
    let begun = Instant::now();
    while begun.elapsed() < TIMEOUT && peer.message().is_ok() {}
    Ok(())
}

fn request(peer: &mut Peer, frames: &[Vec<u8>; 2]) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, &frames[0], true);
    put_frame(&mut bytes, &frames[1], false);
    Ok(peer.stream.write_all(&bytes)?)
}

/// Readers that repeatedly request everything, and read no answer.
fn stalled_reader(target: &Target, random: &mut Random) -> Result<(), Failure> {
    let mut all = Vec::new();
    for at in 0..100 {
        let mut peer = patient(target.port + 2, "DEALER")?;
        let session = random.next().to_string();
        let reader = Reader { name: format!("stalled-{at}"), session };
        let levels = vec!["*".to_owned()];
        let fetch = Fetch {
            reader,
            about: String::new(),
            levels,
            after: None,
            wait_ms: 0,
            max_bytes: u64::MAX,
        };
        let fetch = ReplayRequest::Fetch(fetch).encode();
        for _ in 0..40 {
            request(&mut peer, &fetch)?;
            target.count();
        }
        all.push(peer);
        if !target.goes_on() {
            break;
        }
    }
    wait(target, Duration::from_secs(5));
    Ok(())
}

/// Subscribers that subscribe to everything and read nothing, and endless topics.
fn stalled_subscriber(target: &Target, random: &mut Random) -> Result<(), Failure> {
    let mut all = Vec::new();
    for _ in 0..20 {
        let mut peer = patient(target.port + 1, "SUB")?;
        peer.subscribe(*random.one_of(&["", "zb1|", "zb1|flood|", "garbage|"]))?;
        for _ in 0..200 {
            peer.subscribe(&random.next().to_string())?;
            target.count();
        }
        let mut strange = Vec::new();
        put_frame(&mut strange, &random.bytes(4_000), false);
        peer.stream.write_all(&strange)?;
        all.push(peer);
    }
    wait(target, Duration::from_secs(20));
    Ok(())
}

/// The HTTP pages: noise, endless requests, and many requests at once.
fn http(target: &Target, random: &mut Random) -> Result<(), Failure> {
    let mut all = Vec::new();
    for _ in 0..50 {
        let mut stream = tcp(target.http)?;
        match random.below(4) {
            0 => stream.write_all(&random.bytes(10_000))?,
            1 => stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")?,
            2 => {
                stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")?;
                let mut some = [0; 1_000];
                let _read = stream.read(&mut some)?;
            }
            _ => stream.write_all(b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n")?,
        }
        target.count();
        all.push(stream);
    }
    wait(target, Duration::from_secs(1));
    Ok(())
}

/// Waits, at most until the end of the attack.
fn wait(target: &Target, time: Duration) {
    let begun = Instant::now();
    while target.goes_on() && begun.elapsed() < time {
        thread::sleep(Duration::from_millis(20));
    }
}
