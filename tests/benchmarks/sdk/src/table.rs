//! The output: the table with its ratios, or JSON.

use crate::floors::NO_ROW;
use crate::measure::{Case, ROUNDS, Who};
use crate::peers::LEFT_OUT;
use std::fmt::Write;
use std::fs;
use std::thread;

/// The units of rows.
pub const NANOSECONDS: &str = "ns";
pub const MICROSECONDS: &str = "µs";
pub const PERCENT: &str = "% of a core";
pub const PER_SECOND: &str = "1/s";
pub const CPU: &str = "CPU s/million";

/// One measured operation: Zibrato, the lowest possible cost, and peers.
pub struct Row {
    pub name: &'static str,
    pub unit: &'static str,
    pub ours: f64,
    pub floor: (&'static str, f64),
    /// The cheapest first.
    pub peers: Vec<(&'static str, f64)>,
}

impl Row {
    pub fn new(
        name: &'static str,
        unit: &'static str,
        ours: f64,
        floor: (&'static str, f64),
        peers: Vec<(&'static str, f64)>,
    ) -> Self {
        Self { name, unit, ours, floor, peers }
    }
}

/// Values that belong to no row: a name with its unit, and a number.
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
        Row::new(ours.row, NANOSECONDS, ours.ns(), floor, peers)
    };
    let rows = cases.iter().filter(|case| case.who == Who::Ours).map(row).collect();
    (rows, floors(NO_ROW).collect())
}

/// The table for people.
pub fn text(rows: &[Row], beside: &Beside) -> String {
    // Writing to a `String` never fails, so the results are ignored.
    let mut text = format!("{}\n\n", machine());
    for rows in rows.chunk_by(|one, next| one.unit == next.unit) {
        let _ = writeln!(
            text,
            "{:<23}{:>10}{:>10}{:>11}  {:<29}{:>10}{:>10}",
            rows[0].unit, "ours", "floor", "ours/floor", "peer", "peer", "peer/ours"
        );
        for Row { name, ours, floor, peers, .. } in rows {
            let ratio = number(ours / floor.1);
            let head = format!("{name:<23}{:>10}{:>10}{ratio:>11}", number(*ours), number(floor.1));
            if peers.is_empty() {
                let _ = writeln!(text, "{head}");
            }
            for (at, (peer, theirs)) in peers.iter().enumerate() {
                let head = if at == 0 { head.as_str() } else { "" };
                let (theirs, ratio) = (number(*theirs), number(theirs / ours));
                let _ = writeln!(text, "{head:<54}  {peer:<29}{theirs:>10}{ratio:>10}");
            }
        }
        text.push('\n');
    }
    for Row { name, floor, .. } in rows {
        let _ = writeln!(text, "the floor of `{name}` is: {}", floor.0);
    }
    for (name, ns) in beside {
        let _ = writeln!(text, "also: {name}: {}", number(*ns));
    }
    let _ = writeln!(
        text,
        "nanoseconds are the best of {ROUNDS} loops; compare ratios; lower is better, except for 1/s"
    );
    let _ = writeln!(text, "{}", versions());
    for (name, why) in LEFT_OUT {
        let _ = writeln!(text, "omitted: {name}, {why}");
    }
    text
}

/// A number with a suitable number of digits.
pub fn number(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        v if v >= 1e5 => format!("{:.1} M", v / 1e6),
        v if v >= 0.01 => format!("{v:.2}"),
        v => format!("{v:.1e}"),
    }
}

/// The rows for programs, as one array.
pub fn json(rows: &[Row]) -> String {
    let row = |Row { name, unit, ours, floor, peers }: &Row| {
        let peers: Vec<_> = peers.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        format!(
            "{{\"row\":{name:?},\"unit\":{unit:?},\"ours\":{ours},\"floor\":{},\"peers\":{{{}}}}}",
            floor.1,
            peers.join(",")
        )
    };
    format!("[{}]", rows.iter().map(row).collect::<Vec<_>>().join(",\n "))
}

/// The processor, and the load of the machine.
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

/// The peers, with their versions in the lock file.
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
