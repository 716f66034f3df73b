//! A million series: the time of the first and of later passes, and memory.
//!
//! They are sent over TCP, because its flow control loses nothing however long a pass takes.

use crate::Pace;
use crate::load::{Load, What};
use crate::servers::{PEERS, Server, zibrato};
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use zibrato_benchmark_pipeline::{Failure, Row};

const SERIES: usize = 1_000_000;

/// Number of passes, in each of which every series has one sample.
const PASSES: usize = 4;

/// Maximum time of a pass.
const DEADLINE: Duration = Duration::from_secs(120);

/// What one server needed.
struct Needed {
    /// Until everything that was sent is delivered, in seconds.
    passes: Vec<f64>,
    cpu: Vec<f64>,
    /// In bytes per series.
    memory: f64,
    peak: f64,
}

impl Needed {
    fn later(values: &[f64]) -> f64 {
        values[1..].iter().copied().fold(f64::INFINITY, f64::min)
    }
}

pub(crate) fn rows(_: Pace) -> Result<Vec<Row>, Failure> {
    let load = Load::new(What::Counters, SERIES, 20);
    let server = zibrato()?;
    let needed = measure(&server, &load)?;
    server.process.stop()?;
    let mut peers = shown("zibrato", &needed);
    let (ours, mut floor) = (Needed::later(&needed.passes), None);
    if let Some(peer) = PEERS.iter().find(|peer| peer.name == "statsite")
        && let Some(server) = peer.start()?
    {
        let needed = measure(&server, &load)?;
        server.process.stop().ok();
        peers.extend(shown("statsite", &needed));
        floor = Some(("statsite", Needed::later(&needed.passes)));
    }
    let floor = floor.unwrap_or(("a flush interval", 1.0));
    let name = "1 M series: a later pass until delivered";
    Ok(vec![Row { name, unit: "s", ours, floor, peers, target: 0.0 }])
}

fn shown(who: &str, needed: &Needed) -> Vec<(String, f64)> {
    vec![
        (format!("{who}: first pass until delivered, s"), needed.passes[0]),
        (format!("{who}: a later pass until delivered, s"), Needed::later(&needed.passes)),
        (format!("{who}: CPU time of the first pass, s"), needed.cpu[0]),
        (format!("{who}: CPU time of a later pass, s"), Needed::later(&needed.cpu)),
        (format!("{who}: resident bytes per series after the last pass"), needed.memory),
        (format!("{who}: resident bytes per series at most"), needed.peak),
    ]
}

fn measure(server: &Server, load: &Load) -> Result<Needed, Failure> {
    let (stream, lines) = (load.stream(), load.lines() as u64);
    let before = server.process.memory();
    let mut connection = TcpStream::connect(server.at)?;
    let mut needed = Needed { passes: vec![], cpu: vec![], memory: 0.0, peak: 0.0 };
    for _ in 0..PASSES {
        let (begun, cpu) = (Instant::now(), server.cpu());
        let expected = server.delivered.lines() + lines;
        connection.write_all(&stream)?;
        while server.delivered.lines() < expected {
            if begun.elapsed() > DEADLINE {
                let missing = expected - server.delivered.lines();
                return Err(format!("{}: {missing} lines are not delivered", server.name).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        needed.passes.push(begun.elapsed().as_secs_f64());
        needed.cpu.push((server.cpu() - cpu).as_secs_f64());
        eprintln!("statsd: {}: a pass took {:.1} s", server.name, begun.elapsed().as_secs_f64());
    }
    let after = server.process.memory();
    let per_series = |bytes: u64| bytes.saturating_sub(before.resident) as f64 / SERIES as f64;
    (needed.memory, needed.peak) = (per_series(after.resident), per_series(after.peak));
    Ok(needed)
}
