//! The output during a run and at its end.

use super::plan::{Fault, Kind, Part};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

/// The number of faults of each kind, and the time to recover from them.
#[derive(Debug)]
pub(crate) struct Report {
    begun: Instant,
    rows: BTreeMap<(Kind, Part), Row>,
}

#[derive(Debug, Default)]
struct Row {
    times: u32,
    longest: Duration,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), rows: BTreeMap::new() }
    }

    /// Prints a line with the time.
    pub(crate) fn say(&self, what: fmt::Arguments<'_>) {
        say(format_args!("{:7.2} {what}", self.begun.elapsed().as_secs_f64()));
    }

    pub(crate) fn begins(&mut self, fault: &Fault, number: usize) {
        let Fault { kind, part, lasts, .. } = fault;
        self.say(format_args!("{number:>4} {}: {}, {lasts:?}", part.name(), kind.name()));
        self.rows.entry((*kind, *part)).or_default().times += 1;
    }

    /// Records how long after the repair of a fault everything recorded before it had arrived.
    pub(crate) fn recovered(&mut self, (kind, part): (Kind, Part), after: Duration) {
        let row = self.rows.entry((kind, part)).or_default();
        row.longest = row.longest.max(after);
    }

    pub(crate) fn table(&self) {
        say(format_args!("\n{:<26} {:<26} times  longest recovery", "what", "how"));
        for ((kind, part), Row { times, longest }) in &self.rows {
            let longest = longest.as_secs_f64();
            say(format_args!(
                "{:<26} {:<26} {times:>5} {longest:>14.1} s",
                part.name(),
                kind.name()
            ));
        }
        let times: u32 = self.rows.values().map(|row| row.times).sum();
        let took = self.begun.elapsed().as_secs();
        say(format_args!("{:<53} {times:>5}, in {} min {} s\n", "", took / 60, took % 60));
    }
}

/// Prints a line. If the reader has closed its end, the error is ignored.
pub(crate) fn say(what: fmt::Arguments<'_>) {
    writeln!(std::io::stdout(), "{what}").ok();
}
