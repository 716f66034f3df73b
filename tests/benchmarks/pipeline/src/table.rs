//! The output: a table, or JSON.

use std::fmt::Write;
use std::fs;

/// One measured value.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: &'static str,
    pub unit: &'static str,
    pub ours: f64,
    /// The value with which it is compared, from the same run, or the budget.
    pub floor: (&'static str, f64),
    /// Related values.
    pub peers: Vec<(String, f64)>,
    /// The target for the ratio to the floor: a minimum, or, if negative, a maximum.
    pub target: f64,
}

impl Row {
    pub fn ratio(&self) -> f64 {
        self.ours / self.floor.1
    }

    pub fn is_met(&self) -> bool {
        if self.target < 0.0 { self.ratio() <= -self.target } else { self.ratio() >= self.target }
    }
}

pub fn text(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let target = match row.target {
            0.0 => String::new(),
            most if most < 0.0 => format!(" (at most {})", -most),
            least => format!(" (at least {least})"),
        };
        let _ = writeln!(
            text,
            "{:<44} {:>10} {:<12} {:>5.2} x {} {}{target}{}",
            row.name,
            number(row.ours),
            row.unit,
            row.ratio(),
            row.floor.0,
            number(row.floor.1),
            if row.is_met() { "" } else { "  MISSED" },
        );
        for (name, value) in &row.peers {
            let _ = writeln!(text, "    {name:<40} {:>10}", number(*value));
        }
    }
    text
}

/// A number with a suitable number of digits.
pub fn number(value: f64) -> String {
    match value {
        v if v >= 1e5 => format!("{:.2} M", v / 1e6),
        v if v >= 100.0 => format!("{v:.0}"),
        v => format!("{v:.2}"),
    }
}

/// The rows for programs, as one array.
pub fn json(rows: &[Row]) -> String {
    let row = |Row { name, unit, ours, floor, peers, .. }: &Row| {
        let peers: Vec<_> = peers.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        format!(
            "{{\"row\":{name:?},\"unit\":{unit:?},\"ours\":{ours},\"floor\":{},\"peers\":{{{}}}}}",
            floor.1,
            peers.join(",")
        )
    };
    format!("[{}]", rows.iter().map(row).collect::<Vec<_>>().join(",\n "))
}

/// The median.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The load of the machine.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{processors} processors, load {}", load.split(' ').next().unwrap_or_default())
}
