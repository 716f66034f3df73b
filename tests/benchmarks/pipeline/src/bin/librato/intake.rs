//! The measurements per second that the broker answers on one processor, beside a bare server.

use crate::Pace;
use crate::load::{MEASUREMENTS, USER, send};
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;
use zibrato_benchmark_pipeline::{
    Failure, Process, Row, apart, broker, confine_this, median, number, scratch,
};

/// The target: the share of the rate of the bare server.
const TARGET: f64 = 0.7;

/// A server on a processor of its own.
struct Server {
    process: Process,
    at: SocketAddr,
}

/// What a server does in a round.
#[derive(Debug, Clone, Copy)]
struct Measured {
    per_second: f64,
    /// CPU time of the server per measurement, in nanoseconds.
    cpu_ns: f64,
}

impl Server {
    /// A bare server, which keeps nothing, or writes the bodies to disk.
    fn bare(is_durable: bool) -> Result<Self, Failure> {
        let file = scratch("librato-bare")?.join("bodies").display().to_string();
        let part = ["bare", &file];
        let part = if is_durable { &part[..] } else { &part[..1] };
        let (process, line) = apart(|| Process::part(part))?;
        Ok(Self { process, at: line.trim().parse()? })
    }

    /// A broker with a journal, or without one.
    fn zibrato(is_durable: bool) -> Result<Self, Failure> {
        let folder = scratch(if is_durable { "librato" } else { "librato-volatile" })?;
        let (users, journal) = (folder.join("users"), folder.join("journal"));
        fs::write(&users, format!("{USER}\n"))?;
        // The address has to be known before it starts.
        let at = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (address, users) = (at.to_string(), users.display().to_string());
        let journal = journal.display().to_string();
        let kept = ["--journal", &journal, "--keep-levels", "librato"];
        let kept = if is_durable { &kept[..] } else { &["--no-journal"] };
        let flags = ["--librato", &address, "--librato-users", &users];
        let (process, _) = apart(|| broker(&[&flags[..], kept].concat()))?;
        Ok(Self { process, at })
    }

    fn round(&self, time: Duration) -> Result<Measured, Failure> {
        let cpu = || self.process.cpu().values().sum::<u64>();
        let before = cpu();
        let (measurements, took) = send(self.at, time)?;
        let count = measurements as f64;
        let cpu_ns = (cpu() - before) as f64 / count;
        Ok(Measured { per_second: count / took.as_secs_f64(), cpu_ns })
    }
}

/// The medians of all rounds, in which the servers take turns.
fn medians(servers: &[Server], pace: Pace) -> Result<Vec<Measured>, Failure> {
    let mut all = vec![Vec::new(); servers.len()];
    for round in 0..=pace.rounds {
        for (server, results) in servers.iter().zip(&mut all) {
            let result = server.round(pace.round)?;
            // The first one is for the caches.
            if round > 0 {
                results.push(result);
            }
        }
    }
    let middle = |results: &Vec<Measured>| {
        let of = |value: fn(&Measured) -> f64| median(results.iter().map(value).collect());
        Measured { per_second: of(|r| r.per_second), cpu_ns: of(|r| r.cpu_ns) }
    };
    Ok(all.iter().map(middle).collect())
}

pub(crate) fn rows(pace: Pace) -> Result<Vec<Row>, Failure> {
    confine_this()?;
    let servers = [
        Server::zibrato(true)?,
        Server::zibrato(false)?,
        Server::bare(false)?,
        Server::bare(true)?,
    ];
    let results = medians(&servers, pace)?;
    for server in servers {
        // The bare server has no end of its own.
        drop(server.process);
    }
    let [durable, volatile, bare, bare_durable] = results[..] else {
        return Err("a result is missing".into());
    };
    let shown = [
        ("zibrato", durable),
        ("zibrato, no journal", volatile),
        ("bare hyper", bare),
        ("bare hyper, bodies on disk", bare_durable),
    ];
    for (name, measured) in shown {
        let (rate, cpu) = (number(measured.per_second), measured.cpu_ns);
        eprintln!("librato: {name}: {rate} measurements/s, {cpu:.0} ns of CPU time each");
    }
    let peers = vec![
        ("without a journal".to_owned(), volatile.per_second),
        ("CPU time per measurement, ns".to_owned(), durable.cpu_ns),
        ("without a journal: CPU time, ns".to_owned(), volatile.cpu_ns),
        ("bare hyper: CPU time, ns".to_owned(), bare.cpu_ns),
        ("bare hyper, bodies on disk".to_owned(), bare_durable.per_second),
        ("bare hyper, bodies on disk: CPU time, ns".to_owned(), bare_durable.cpu_ns),
        ("measurements in a request".to_owned(), MEASUREMENTS as f64),
    ];
    Ok(vec![Row {
        name: "intake: measurements answered on one core",
        unit: "1/s",
        ours: durable.per_second,
        floor: ("bare hyper", bare.per_second),
        peers,
        target: TARGET,
    }])
}
