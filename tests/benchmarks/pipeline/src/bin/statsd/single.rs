//! One line per packet: what part of it arrives.

use crate::load::{Load, What};
use crate::servers::{PEERS, Server, zibrato};
use crate::throughput::{Measured, measure};
use crate::{Pace, RECORDED};
use zibrato_benchmark_pipeline::{Failure, Row, median};

/// What part of the lines must arrive.
const TARGET: f64 = 0.97;

pub(crate) fn rows(pace: Pace) -> Result<Vec<Row>, Failure> {
    let load = Load::new(What::Counters, 1_000, 1);
    let server = zibrato()?;
    let ours = all(&server, &load, pace)?;
    server.process.stop()?;
    let mut peers = vec![
        ("zibrato: sent per second".to_owned(), of(&ours, |result| result.sent)),
        ("zibrato: received per second".to_owned(), of(&ours, |result| result.received)),
        ("zibrato: CPU ns per line".to_owned(), of(&ours, |result| result.cpu_ns)),
    ];
    for peer in &PEERS {
        let Some(server) = peer.start()? else {
            let recorded = RECORDED.into_iter().find(|(name, ..)| *name == peer.name);
            let shown = |(name, single, _)| (format!("{name}: recorded, not measured"), single);
            peers.extend(recorded.map(shown));
            continue;
        };
        let theirs = all(&server, &load, pace)?;
        server.process.stop().ok();
        peers.push((format!("{}: received per second", peer.name), of(&theirs, |r| r.received)));
        peers.push((format!("{}: part that arrives", peer.name), of(&theirs, |r| r.share)));
    }
    Ok(vec![Row {
        name: "one line per packet, part that arrives",
        unit: "",
        ours: of(&ours, |result| result.share),
        floor: ("all", 1.0),
        peers,
        target: TARGET,
    }])
}

/// Several rounds as fast as the sender can send.
fn all(server: &Server, load: &Load, pace: Pace) -> Result<Vec<Measured>, Failure> {
    measure(server, load, f64::INFINITY, pace.round / 4)?;
    (0..pace.rounds).map(|_| measure(server, load, f64::INFINITY, pace.round)).collect()
}

fn of(all: &[Measured], value: impl Fn(&Measured) -> f64) -> f64 {
    median(all.iter().map(value).collect())
}
