//! Lines and batches through the pump, through the broker, and through the broker with its journal,
//! in turns.

use crate::Pace;
use std::time::Duration;
use zibrato_benchmark_pipeline::{
    Failure, Load, Loop, Measured, Process, Row, batches as some_batches, broker,
    lines as some_lines, median, scratch,
};

/// One of the variants that take turns.
struct Way {
    process: Process,
    through: Loop,
    measured: Vec<Measured>,
}

impl Way {
    fn new((process, port): (Process, u16), load: Load, readers: usize) -> Result<Self, Failure> {
        Ok(Self { process, through: Loop::new(load, port, readers)?, measured: Vec::new() })
    }

    fn turn(&mut self, time: Duration) -> Result<(), Failure> {
        let measured = self.through.run(&self.process, time)?;
        self.measured.push(measured);
        Ok(())
    }

    fn median(&self, of: impl Fn(&Measured) -> f64) -> f64 {
        median(self.measured.iter().map(of).collect())
    }

    /// The CPU time of each thread per message, in nanoseconds.
    fn threads(&self, whose: &str) -> Vec<(String, f64)> {
        let names = self.measured.iter().flat_map(|measured| measured.cpu.keys());
        let names: std::collections::BTreeSet<_> = names.collect();
        let of = |name: &String| {
            self.median(|m| m.cpu.get(name).copied().unwrap_or(0) as f64 / m.messages as f64)
        };
        let all = names.into_iter().map(|name| (format!("{whose}: {name}, CPU ns each"), of(name)));
        all.filter(|(_, ns)| *ns >= 1.0).collect()
    }
}

fn pump() -> Result<(Process, u16), Failure> {
    let (process, port) = Process::part(&["pump"])?;
    Ok((process, port.parse()?))
}

fn with_journal(name: &str) -> Result<(Process, u16), Failure> {
    let journal = scratch(name)?;
    let journal = journal.to_string_lossy();
    broker(&[
        "--journal",
        &journal,
        "--keep-levels",
        "info",
        "--journal-max-size",
        "1",
        "--journal-min-free",
        "1",
    ])
}

/// The medians of the ratios to the first variant, round by round.
fn ratios(way: &Way, floor: &Way, of: impl Fn(&Measured) -> f64) -> f64 {
    let both = way.measured.iter().zip(&floor.measured);
    median(both.map(|(ours, floor)| of(ours) / of(floor)).collect())
}

pub fn lines(pace: Pace) -> Result<Vec<Row>, Failure> {
    let mut ways = [
        Way::new(pump()?, some_lines(), 1)?,
        Way::new(broker(&["--no-journal"])?, some_lines(), 1)?,
        Way::new(with_journal("lines")?, some_lines(), 1)?,
    ];
    in_turns(&mut ways, pace)?;
    let [pump, plain, journal] = &ways;
    let row = |name, way: &Way, target| {
        let floor = ("the bare pump", pump.median(Measured::per_second));
        let mut peers = vec![
            ("ratio, median of rounds".to_owned(), ratios(way, pump, Measured::per_second)),
            ("ratio of CPU ns, pump to ours".to_owned(), 1.0 / ratios(way, pump, Measured::cpu_ns)),
        ];
        peers.extend(pump.threads("pump"));
        peers.extend(way.threads("broker"));
        Row { name, unit: "1/s", ours: way.median(Measured::per_second), floor, peers, target }
    };
    Ok(vec![
        row("lines, one per message", plain, 0.9),
        row("lines, also aggregated into a journal", journal, 0.6),
    ])
}

/// Number of entries in each batch.
const ENTRIES: f64 = 100.0;

/// The target for batches, in measurements per second and core.
const BUDGET: f64 = 2e6;

pub fn batches(pace: Pace) -> Result<Vec<Row>, Failure> {
    let mut ways = [
        Way::new(pump()?, some_batches(1).unstamped(), 3)?,
        Way::new(broker(&["--no-journal"])?, some_batches(1), 3)?,
        Way::new(with_journal("batches")?, some_batches(1), 3)?,
    ];
    in_turns(&mut ways, pace)?;
    let [pump, plain, journal] = &ways;
    let per_core = |measured: &Measured| ENTRIES * 1e9 / measured.cpu_ns();
    let row = |name, way: &Way| {
        let mut peers = vec![
            ("measurements/s".to_owned(), ENTRIES * way.median(Measured::per_second)),
            ("the pump, per core".to_owned(), pump.median(per_core)),
            ("ratio to the pump, per core".to_owned(), ratios(way, pump, per_core)),
            ("ratio to the pump, per second".to_owned(), ratios(way, pump, Measured::per_second)),
        ];
        peers.extend(way.threads("broker"));
        let ours = way.median(per_core);
        Row { name, unit: "1/s/core", ours, floor: ("the budget", BUDGET), peers, target: 1.0 }
    };
    Ok(vec![
        row("measurements in batches, 3 subscribers", plain),
        row("measurements in batches, journal", journal),
    ])
}

/// Runs the variants in alternating order, so that all of them run under the same conditions.
fn in_turns(ways: &mut [Way], pace: Pace) -> Result<(), Failure> {
    ways.iter_mut().try_for_each(|way| way.turn(pace.round / 4))?;
    ways.iter_mut().for_each(|way| way.measured.clear());
    for round in 0..pace.rounds {
        if round % 2 == 0 {
            ways.iter_mut().try_for_each(|way| way.turn(pace.round))?;
        } else {
            ways.iter_mut().rev().try_for_each(|way| way.turn(pace.round))?;
        }
    }
    Ok(())
}
