//! The number of lines per second that a server on one processor receives.

use crate::load::{Load, What};
use crate::servers::{PEERS, Server, zibrato};
use crate::{Pace, RECORDED};
use std::time::Duration;
use zibrato_benchmark_pipeline::{Failure, Row, median, number};

/// Lines per packet.
const MANY: usize = 20;

/// The share of the sent lines that must arrive for a server to keep up with a rate.
const KEEPS_UP: f64 = 0.99;

/// What a server makes of a load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) sent: f64,
    pub(crate) received: f64,
    /// The share of the sent lines that were delivered, from 0 to 1.
    pub(crate) share: f64,
    /// CPU time of the server per line that it received, in nanoseconds.
    pub(crate) cpu_ns: f64,
}

/// Sends a load, and waits until everything that arrived is delivered.
pub(crate) fn measure(
    server: &Server,
    load: &Load,
    rate: f64,
    time: Duration,
) -> Result<Measured, Failure> {
    let (before, cpu) = (server.delivered.lines(), server.cpu());
    let sent = load.send(server.at, rate, time)?;
    let lines = server.delivered.settled(before + sent.lines) - before;
    let cpu = server.cpu() - cpu;
    let received = lines as f64 / sent.took.as_secs_f64();
    let share = lines as f64 / sent.lines as f64;
    let cpu_ns = cpu.as_nanos() as f64 / lines as f64;
    Ok(Measured { sent: sent.per_second(), received, share, cpu_ns })
}

/// What a server receives while more is sent than it can take.
fn most(server: &Server, load: &Load, pace: Pace) -> Result<(f64, f64), Failure> {
    measure(server, load, f64::INFINITY, pace.round / 4)?;
    let all: Result<Vec<_>, _> =
        (0..pace.rounds).map(|_| measure(server, load, f64::INFINITY, pace.round)).collect();
    let all = all?;
    let of = |value: fn(&Measured) -> f64| median(all.iter().map(value).collect());
    Ok((of(|result| result.received), of(|result| result.cpu_ns)))
}

/// The highest rate of which nearly everything arrives, found from above in steps of 5 %.
pub(crate) fn keeps_up(
    server: &Server,
    load: &Load,
    from: f64,
    pace: Pace,
) -> Result<f64, Failure> {
    let mut rate = from;
    for _ in 0..20 {
        let result = measure(server, load, rate, pace.round)?;
        if result.share >= KEEPS_UP {
            return Ok(result.received);
        }
        rate = rate.min(result.sent) * 0.95;
    }
    Ok(0.0)
}

pub(crate) fn rows(pace: Pace) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for (name, what, series, target) in [
        ("counters, 1,000 series", What::Counters, 1_000, 7e6),
        ("timers, 1,000 series", What::Timers, 1_000, 6e6),
        ("counters, 100,000 series", What::Counters, 100_000, 0.0),
        ("timers, 100,000 series", What::Timers, 100_000, 0.0),
    ] {
        let load = Load::new(what, series, MANY);
        let server = zibrato()?;
        let (ours, cpu_ns) = most(&server, &load, pace)?;
        eprintln!("statsd: {name}: {} lines/s, {cpu_ns:.0} ns of CPU time each", number(ours));
        let keeps_up = keeps_up(&server, &load, ours, pace)?;
        server.process.stop()?;
        let mut peers = vec![
            ("zibrato: 99 % arrive at".to_owned(), keeps_up),
            ("zibrato: lines per second of CPU time".to_owned(), 1e9 / cpu_ns),
        ];
        let mut best = None;
        for peer in &PEERS {
            let Some(server) = peer.start()? else {
                peers.extend(recorded(peer.name, what));
                continue;
            };
            let (received, cpu_ns) = most(&server, &load, pace)?;
            let figure = number(received);
            eprintln!("statsd: {name}: {} {figure} lines/s, {cpu_ns:.0} ns of CPU time", peer.name);
            peers.push((format!("{}: received", peer.name), received));
            let per_cpu = 1e9 / cpu_ns;
            peers.push((format!("{}: lines per second of CPU time", peer.name), per_cpu));
            best = best.or((peer.name == "statsite").then_some(received));
            server.process.stop().ok();
        }
        let unit = "lines/s";
        if target > 0.0 {
            let floor = ("the target", target);
            rows.push(Row { name, unit, ours, floor, peers: peers.clone(), target: 1.0 });
        }
        if let Some(statsite) = best {
            let floor = ("statsite", statsite);
            let peers = if target > 0.0 { vec![] } else { peers };
            rows.push(Row { name, unit, ours, floor, peers, target: 1.0 });
        } else if target == 0.0 {
            let floor = ("99 % of it", ours * KEEPS_UP);
            rows.push(Row { name, unit, ours, floor, peers, target: 0.0 });
        }
    }
    Ok(rows)
}

/// The figure of an earlier run for a peer that is not there.
fn recorded(peer: &str, what: What) -> Option<(String, f64)> {
    let (_, _, many) = RECORDED.into_iter().find(|(name, ..)| *name == peer)?;
    let is_known = what == What::Counters;
    is_known.then(|| (format!("{peer}: recorded, not measured"), many))
}
