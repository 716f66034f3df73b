//! Some minutes near the maximum: nothing is lost, and memory does not grow.

use crate::Pace;
use crate::load::{Load, What};
use crate::servers::{Server, zibrato};
use crate::throughput::{keeps_up, measure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;
use zibrato_benchmark_pipeline::{Failure, Memory, Row, number};

/// The load, as part of the maximum.
const PART: f64 = 0.8;

/// Number of parts of the time after each of which memory is read.
const PARTS: u32 = 10;

/// Growth of memory that counts as flat.
const FLAT: f64 = 1.1;

pub(crate) fn rows(pace: Pace) -> Result<Vec<Row>, Failure> {
    let load = Load::new(What::Counters, 1_000, 20);
    let server = zibrato()?;
    let most = measure(&server, &load, f64::INFINITY, pace.round)?.received;
    let rate = PART * keeps_up(&server, &load, most, pace)?;
    eprintln!("statsd: sustained: {} lines/s for {:?}", number(rate), pace.sustained);
    let (dropped, before) = (drops(&server)?, server.delivered.lines());
    let (sent, memory) = thread::scope(|scope| {
        let sender = scope.spawn(|| load.send(server.at, rate, pace.sustained));
        let memory: Vec<_> = (0..PARTS)
            .map(|_| {
                thread::sleep(pace.sustained / PARTS);
                server.process.memory()
            })
            .collect();
        (sender.join(), memory)
    });
    let sent = sent.map_err(|_| "the sender panicked")??.lines;
    let received = server.delivered.settled(before + sent) - before;
    let reasons = drops(&server)?.into_iter().map(|(reason, after)| {
        let earlier = dropped.iter().find(|(other, _)| *other == reason).map_or(0.0, |(_, n)| *n);
        (format!("rejected: {reason}"), after - earlier)
    });
    let mut peers = vec![
        ("lines per second".to_owned(), rate),
        ("minutes".to_owned(), pace.sustained.as_secs_f64() / 60.0),
        ("lines that were lost".to_owned(), sent as f64 - received as f64),
    ];
    peers.extend(reasons.filter(|(_, count)| *count > 0.0));
    server.process.stop()?;
    let mib = |memory: Option<&Memory>| {
        memory.map_or(0.0, |memory| memory.resident as f64 / f64::from(1 << 20))
    };
    let growth = vec![("the highest so far, MiB".to_owned(), {
        memory.last().map_or(0.0, |memory| memory.peak as f64 / f64::from(1 << 20))
    })];
    Ok(vec![
        Row {
            name: "lines that arrive of those sent at 80 %",
            unit: "lines",
            ours: received as f64,
            floor: ("sent", sent as f64),
            peers,
            target: 1.0,
        },
        Row {
            name: "resident memory at the end",
            unit: "MiB",
            ours: mib(memory.last()),
            floor: ("after a tenth of the time", mib(memory.first())),
            peers: growth,
            target: -FLAT,
        },
    ])
}

/// What the broker has rejected, by reason, according to its page of metrics.
pub(crate) fn drops(server: &Server) -> Result<Vec<(String, f64)>, Failure> {
    let page = metrics(server)?;
    let rejected = page.lines().filter_map(|line| {
        let labels = line.strip_prefix("zibrato_broker_rejected_total{")?;
        let (labels, value) = labels.split_once("} ")?;
        let is_ours = labels.contains("intake=\"statsd\"");
        let reason = labels.split("reason=\"").nth(1)?.split('"').next()?;
        is_ours.then(|| Some((reason.to_owned(), value.parse().ok()?))).flatten()
    });
    Ok(rejected.collect())
}

fn metrics(server: &Server) -> Result<String, Failure> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.pages))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: broker\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    if page.contains("zibrato_broker_") { Ok(page) } else { Err("no metrics".into()) }
}
