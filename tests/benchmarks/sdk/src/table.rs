//! What is printed: the table with its ratios, or JSON.

use crate::floors::NO_ROW;
use crate::measure::{Case, ROUNDS, Who};
use crate::peers::LEFT_OUT;
use std::fmt::Write;
use std::fs;
use std::thread;

/// One operation, and what it costs whom, in nanoseconds.
pub struct Row {
    pub name: &'static str,
    pub ours: f64,
    pub floor: (&'static str, f64),
    /// The cheapest first.
    pub peers: Vec<(&'static str, f64)>,
}

/// What belongs to no row: a name and its nanoseconds.
pub type Beside = Vec<(&'static str, f64)>;

/// The rows in the order of Zibrato's cases.
pub fn rows(cases: &[Case]) -> (Vec<Row>, Beside) {
    let floors = |name: &'static str| {
        let of_row = cases.iter().filter(move |case| case.row == name);
        of_row.filter_map(|case| match case.who {
            Who::Floor(floor) => Some((floor, case.ns())),
            Who::Ours | Who::Peer(_) => None,
        })
    };
    let row = |ours: &Case| {
        let of_row = cases.iter().filter(|case| case.row == ours.row);
        let mut peers: Vec<_> = of_row
            .filter_map(|case| match case.who {
                Who::Peer(peer) => Some((peer, case.ns())),
                Who::Ours | Who::Floor(_) => None,
            })
            .collect();
        peers.sort_by(|one, other| one.1.total_cmp(&other.1));
        let floor = floors(ours.row)
            .min_by(|one, other| one.1.total_cmp(&other.1))
            .expect("each row has a floor");
        Row { name: ours.row, ours: ours.ns(), floor, peers }
    };
    let rows = cases.iter().filter(|case| case.who == Who::Ours).map(row).collect();
    (rows, floors(NO_ROW).collect())
}

/// The table for people.
pub fn text(rows: &[Row], beside: &Beside) -> String {
    let mut text = format!("{}\n\n", machine());
    let _ = writeln!(
        text,
        "{:<18}{:>8}{:>9}{:>12}  {:<28}{:>9}{:>11}",
        "ns per operation", "ours", "floor", "ours/floor", "peer", "peer", "peer/ours"
    );
    for Row { name, ours, floor, peers } in rows {
        let head = format!("{name:<18}{ours:>8.2}{:>9.2}{:>12.2}", floor.1, ours / floor.1);
        for (at, (peer, ns)) in peers.iter().enumerate() {
            let head = if at == 0 { head.as_str() } else { "" };
            let _ = writeln!(text, "{head:<47}  {peer:<28}{ns:>9.2}{:>11.2}", ns / ours);
        }
    }
    text.push('\n');
    for Row { name, floor, .. } in rows {
        let _ = writeln!(text, "the floor of `{name}` is: {}", floor.0);
    }
    for (name, ns) in beside {
        let _ = writeln!(text, "beside them: {name}, {ns:.2} ns");
    }
    let _ =
        writeln!(text, "`handle` is a name known at run time: Zibrato looks it up on each call");
    let _ = writeln!(
        text,
        "each figure is the best of {ROUNDS} loops; compare ratios, not nanoseconds"
    );
    let _ = writeln!(text, "{}", versions());
    for (name, why) in LEFT_OUT {
        let _ = writeln!(text, "left out: {name}, {why}");
    }
    text
}

/// The same for programs: one array.
pub fn json(rows: &[Row]) -> String {
    let row = |row: &Row| {
        let peers: Vec<_> =
            row.peers.iter().map(|(name, ns)| format!("{name:?}:{ns:.3}")).collect();
        format!(
            "{{\"row\":{:?},\"unit\":\"ns\",\"ours\":{:.3},\"floor\":{:.3},\"peers\":{{{}}}}}",
            row.name,
            row.ours,
            row.floor.1,
            peers.join(",")
        )
    };
    format!("[{}]", rows.iter().map(row).collect::<Vec<_>>().join(",\n "))
}

/// The processor, and how busy the machine is.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, name)| name);
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("{model}, {processors} processors, load {load} at the end")
}

/// The crates compared with, in the versions of the lock file.
fn versions() -> String {
    const LOCK: &str = include_str!("../Cargo.lock");
    const PEERS: [&str; 8] = [
        "autometrics",
        "cadence",
        "fastrace",
        "metrics",
        "metrics-exporter-prometheus",
        "opentelemetry_sdk",
        "prometheus",
        "tracing-subscriber",
    ];
    let version = |name: &&str| {
        let package = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?.1;
        Some(format!("{name} {}", package.split_once('"')?.0))
    };
    format!("peers: {}", PEERS.iter().filter_map(version).collect::<Vec<_>>().join(", "))
}
