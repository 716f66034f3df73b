//! The commands of the admin port, as StatsD has them. Pure but for the locks.

use crate::intake::statsd::publish::{Second, SharedGauges};
use crate::intake::statsd::shared::Shared;
use crate::intake::statsd::state::{Matching, Series};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use zibrato::Kind;

/// Maximum number of series in an answer.
const MAX_LISTED: usize = 10_000;

/// Maximum number of names in a command.
const MAX_NAMES: usize = 100;

/// The answer to an unknown command.
pub(super) const UNKNOWN: &str = "ERROR: the command is unknown; help lists the commands\n";

/// Number of series that are read while a receiving thread waits.
const FEW: usize = 1_000;

const HELP: &str = "\
Commands: stats, counters, timers, gauges, sets, delcounters, deltimers, delgauges, delsets, \
health, help, quit

";

/// What the commands show and change.
#[derive(Debug)]
pub(crate) struct Commands {
    pub(crate) receivers: Vec<Arc<Shared>>,
    pub(crate) gauges: Arc<SharedGauges>,
    pub(crate) stats: Arc<Stats>,
    /// What `health` answers; `health down` changes it.
    pub(crate) is_down: bool,
}

/// Totals since the start.
#[derive(Debug, Default)]
pub(crate) struct Stats(Mutex<Totals>);

#[derive(Debug, Default, Clone, Copy)]
struct Totals {
    seconds: u64,
    /// Second of the last packet.
    last_packet: u64,
    second: Second,
}

impl Stats {
    /// Adds what was received in a second.
    pub(crate) fn add(&self, second: &Second) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        totals.seconds += 1;
        if second.packets > 0 {
            totals.last_packet = totals.seconds;
        }
        totals.second.packets += second.packets;
        totals.second.samples += second.samples;
        totals.second.rejected += second.rejected;
    }

    fn totals(&self) -> Totals {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Commands {
    /// The answer to a line. `None` if it ends the connection.
    pub(super) fn answer(&mut self, line: &str) -> Option<String> {
        let mut words = line.split_ascii_whitespace();
        let command = words.next().unwrap_or_default();
        let names: Vec<_> = words.collect();
        Some(match command {
            "quit" => return None,
            "" => String::new(),
            "help" => HELP.to_owned(),
            "health" => self.health(names.first().copied()),
            "stats" => self.stats(),
            "counters" => self.list(&[Kind::Counter]),
            "timers" => self.list(&[Kind::Timer, Kind::Histogram]),
            "sets" => self.list(&[Kind::Set]),
            "gauges" => self.list_gauges(),
            "delcounters" => self.delete(&[Kind::Counter], &names),
            "deltimers" => self.delete(&[Kind::Timer, Kind::Histogram], &names),
            "delsets" => self.delete(&[Kind::Set], &names),
            "delgauges" => self.delete(&[Kind::Gauge], &names),
            _ => UNKNOWN.to_owned(),
        })
    }

    fn health(&mut self, to: Option<&str>) -> String {
        match to {
            Some("up") => self.is_down = false,
            Some("down") => self.is_down = true,
            _ => {}
        }
        format!("health: {}\n", if self.is_down { "down" } else { "up" })
    }

    fn stats(&self) -> String {
        let Totals { seconds, last_packet, second } = self.stats.totals();
        let series: usize = self.receivers.iter().map(|shared| shared.lock().table.len()).sum();
        let gauges = self.gauges.lock().all().count();
        format!(
            "uptime: {seconds}\nmessages.last_msg_seen: {}\nmessages.bad_lines_seen: {}\n\
             messages.packets_received: {}\nmessages.metrics_received: {}\nseries: {series}\n\
             gauges: {gauges}\nEND\n\n",
            seconds - last_packet,
            second.rejected,
            second.packets,
            second.samples,
        )
    }

    /// The totals of series, as JSON. Series that several threads have are added up.
    fn list(&self, kinds: &[Kind]) -> String {
        let mut all = BTreeMap::new();
        for shared in &self.receivers {
            let (mut from, mut end) = (0, 1);
            while from < end {
                let received = shared.lock();
                end = received.table.len();
                for (series, total) in received.table.totals(from).take(FEW) {
                    if kinds.contains(&series.kind) && all.len() < MAX_LISTED {
                        *all.entry(shown(series)).or_insert(0.0) += total;
                    }
                }
                from += FEW;
            }
        }
        answer(&all)
    }

    fn list_gauges(&self) -> String {
        let gauges = self.gauges.lock();
        let some = gauges.all().take(MAX_LISTED);
        answer(&some.map(|(series, value)| (shown(series), value)).collect())
    }

    fn delete(&self, kinds: &[Kind], names: &[&str]) -> String {
        if names.is_empty() {
            return "ERROR: give the names to delete, which may end with *\n".to_owned();
        }
        if names.len() > MAX_NAMES {
            return format!("ERROR: give at most {MAX_NAMES} names; a name may end with *\n");
        }
        let (tables, meant) = (self.receivers.iter(), Matching(names));
        let mut removed: Vec<_> =
            tables.flat_map(|shared| shared.lock().table.remove(kinds, meant)).collect();
        if kinds == [Kind::Gauge] {
            removed.extend(self.gauges.lock().remove(meant));
        }
        removed.sort_unstable();
        removed.dedup();
        let mut answer = String::new();
        for name in names {
            let is_meant = |removed: &String| Matching(&[name]).fits(removed);
            let (deleted, others): (Vec<_>, _) = removed.into_iter().partition(is_meant);
            removed = others;
            if deleted.is_empty() {
                writeln!(answer, "metric {name} not found").ok();
            }
            deleted.iter().for_each(|name| writeln!(answer, "deleted: {name}").unwrap_or_default());
        }
        answer + "END\n\n"
    }
}

fn answer(all: &BTreeMap<String, f64>) -> String {
    let text = serde_json::to_string_pretty(all).unwrap_or_default();
    text + "\nEND\n\n"
}

/// `name;tag=value@source`
fn shown(series: Series<'_>) -> String {
    let mut shown = series.name.to_owned();
    for (tag, value) in series.tags {
        shown = shown + ";" + tag + "=" + value;
    }
    shown + &series.source.map(|source| format!("@{source}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Commands, Stats};
    use crate::intake::statsd::grammar::Dialect;
    use crate::intake::statsd::publish::{Second, SharedGauges};
    use crate::intake::statsd::shared::Shared;
    use crate::intake::statsd::state::{Gauges, Taken};
    use std::sync::Arc;

    fn commands(packet: &str) -> Commands {
        let shared = Shared::new(100);
        shared.lock().take(packet.as_bytes(), Dialect::Statsd, &"me", 1);
        let (mut gauges, stats) = (Gauges::new(100), Stats::default());
        shared.lock().table.end_interval();
        shared.lock().table.take(100, |named, taken| {
            if let Taken::Gauge(changes) = taken {
                gauges.readings(named.series(), &changes, 1);
            }
        });
        stats.add(&Second { packets: 1, samples: 5, rejected: 2 });
        stats.add(&Second::default());
        Commands {
            receivers: vec![Arc::new(shared)],
            gauges: Arc::new(SharedGauges::new(gauges)),
            stats: Arc::new(stats),
            is_down: false,
        }
    }

    #[test]
    fn series_are_listed_and_deleted_by_kind() {
        let mut commands = commands("a.b:1|c\na.b:2|c|#x:1\nt:3|ms\nh:1|h\ng:4|g\ns:x|s\ns:y|s");
        let mut ask = |line: &str| commands.answer(line).unwrap();
        let counters = "{\n  \"a.b\": 1.0,\n  \"a.b;x=1\": 2.0\n}\nEND\n\n";
        assert_eq!(ask("counters"), counters);
        assert_eq!(ask("timers"), "{\n  \"h\": 1.0,\n  \"t\": 1.0\n}\nEND\n\n");
        assert_eq!(ask("gauges"), "{\n  \"g\": 4.0\n}\nEND\n\n");
        assert_eq!(ask("sets"), "{\n  \"s\": 2.0\n}\nEND\n\n");
        assert_eq!(ask("delgauges g g"), "deleted: g\nmetric g not found\nEND\n\n");
        assert_eq!(ask("delcounters a.*"), "deleted: a.b\nEND\n\n");
        assert_eq!(ask("deltimers t h"), "deleted: t\ndeleted: h\nEND\n\n");
        assert_eq!(ask("delsets nothing"), "metric nothing not found\nEND\n\n");
        let many = format!("delsets s{}", " x".repeat(100));
        assert!(ask(&many).starts_with("ERROR: give at most 100 names"));
        for empty in ["counters", "timers", "gauges"] {
            assert_eq!(ask(empty), "{}\nEND\n\n");
        }
    }

    #[test]
    fn other_commands_are_those_of_statsd() {
        let mut commands = commands("a:1|c\ng:1|g");
        assert_eq!(
            commands.answer("stats").unwrap(),
            "uptime: 2\nmessages.last_msg_seen: 1\nmessages.bad_lines_seen: 2\n\
             messages.packets_received: 1\nmessages.metrics_received: 5\nseries: 2\ngauges: 1\n\
             END\n\n"
        );
        for (line, expected) in [
            ("health", "health: up\n"),
            ("health down", "health: down\n"),
            ("health", "health: down\n"),
            ("health up", "health: up\n"),
            ("nonsense", "ERROR: the command is unknown; help lists the commands\n"),
            ("delcounters", "ERROR: give the names to delete, which may end with *\n"),
            ("", ""),
        ] {
            assert_eq!(commands.answer(line).unwrap(), expected, "{line}");
        }
        assert!(commands.answer("help").unwrap().starts_with("Commands: stats"));
        assert_eq!(commands.answer("quit"), None);
    }
}
