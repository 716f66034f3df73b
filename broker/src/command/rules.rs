//! `zibrato-broker rules test`: shows what a rules file does with samples.

use crate::intake::collectd::{Identity, Types};
use crate::intake::rules::{Applied, Dropped, Output, Rules, RulesStore, ScriptTime, Series};
use crate::intake::{intake_level, statsd};
use std::fmt::Write as _;
use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use zibrato::daemon::{Exit, Failure, Output as Stdout, warn};
use zibrato::{Kind, Level, clock};

/// Maximum size of an input line, in bytes.
const MAX_LINE_BYTES: u64 = 1 << 16;

/// Try the rules for intakes
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RulesCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// Show what a rules file does with the samples on standard input
    #[command(after_help = "\
Each input line is one of:
  NAME:VALUE|TYPE                                        StatsD or DogStatsD, also with tags
  HOST PLUGIN[-INSTANCE]/TYPE[-INSTANCE] VALUES [TIME]   CollectD
  HOST NAME VALUE [TIME]                                 MetricsD
HOST may be - for none. VALUES are those of the type in types.db, separated by colons, and counters as rates. TIME is in Unix seconds, or relative to the current time, such as now-400.

Examples:
  echo 'shop.paid:1|c|#env:prod' | zibrato-broker rules test rules.toml
  echo 'web-1 memory/memory-free 823009280 now' | zibrato-broker rules test rules.toml
  echo 'web-1 interface-eth0/if_octets 120:80' | zibrato-broker rules test --level collectd rules.toml
  nc -ul 8125 | zibrato-broker rules test rules.toml")]
    Test {
        /// The rules file
        file: PathBuf,

        /// Level of the samples: the --statsd-level, --collectd-level or --metricsd-level of the broker
        #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = intake_level)]
        level: Level,

        /// File with the types of CollectD's values; several are separated by commas. Defaults to types.db in /usr/share/collectd and /usr/local/share/collectd
        #[arg(long, value_name = "FILE", value_delimiter = ',')]
        collectd_types: Vec<PathBuf>,
    },
}

/// Executes the subcommand.
pub(crate) fn run(command: &RulesCommand) -> Result<(), Failure> {
    let What::Test { file, level, collectd_types } = &command.what;
    let wrong = |why: String| Failure::new(Exit::Config, why);
    let rules = RulesStore::open(file).map_err(|error| wrong(error.to_string()))?.rules();
    rules.warnings().iter().for_each(|why| warn("zibrato-broker", why));
    let types = match Types::read(collectd_types) {
        Err(why) if !collectd_types.is_empty() => return Err(wrong(why)),
        types => types,
    };
    let trial = Trial { rules, types, level: level.clone() };
    let mut out = Stdout::new();
    let mut input = io::stdin().lock();
    let (mut line, mut failures) = (Vec::new(), 0);
    loop {
        line.clear();
        let read = input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        match read {
            Ok(0) => {
                out.finish()?;
                return verdict(failures);
            }
            Ok(_) => {
                let shown = trial.test(line.trim_ascii(), clock::unix_ms() as f64 / 1e3);
                failures += shown.failures;
                // `finish` reports errors.
                if out.write_all(shown.text.as_bytes()).and_then(|()| out.flush()).is_err() {
                    return out.finish();
                }
            }
            Err(error) => {
                return Err(Failure::new(Exit::Io, format!("stdin cannot be read: {error}")));
            }
        }
    }
}

/// The result for all lines.
fn verdict(failures: usize) -> Result<(), Failure> {
    match failures {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Data, "1 line is not a sample, or a script failed for it")),
        n => {
            let why = format!("{n} times a line was not a sample, or a script failed");
            Err(Failure::new(Exit::Data, why))
        }
    }
}

/// What becomes of the samples in a line.
#[derive(Default)]
struct Shown {
    text: String,
    /// How often something is not a sample, or a script fails.
    failures: usize,
}

impl Shown {
    fn not_a_sample(&mut self, why: &str) {
        self.failures += 1;
        writeln!(self.text, "  not a sample: {why}").ok();
    }
}

/// What samples are tried with.
struct Trial {
    rules: Arc<Rules>,
    /// The types of CollectD, or why they are not known.
    types: Result<Types, String>,
    level: Level,
}

impl Trial {
    fn test(&self, line: &[u8], now: f64) -> Shown {
        let mut shown = Shown::default();
        if line.is_empty() {
            return shown;
        }
        writeln!(shown.text, "{}", line.escape_ascii()).ok();
        let (rules, level) = (&*self.rules, self.level.as_str());
        if line.contains(&b'|') {
            statsd::samples(line, &mut |sample| match sample {
                Ok(statsd::Shown { kind, host, name, tags, value }) => {
                    let tags: Vec<_> = tags.iter().map(|(tag, value)| (&**tag, &**value)).collect();
                    let (protocol, host, name, tags) = ("statsd", &*host, &*name, &*tags);
                    let series = Series { protocol, kind, level, host, name, tags, collectd: None };
                    applied(&mut shown, rules, series, value, (now, now));
                }
                Err(reason) => shown.not_a_sample(reason),
            });
            return shown;
        }
        let Some(Words { host, name, values, time }) = words(line, now) else {
            shown.not_a_sample(expected(line));
            return shown;
        };
        let (protocol, kind, tags, collectd) = ("metricsd", Kind::Gauge, &[][..], None);
        let series = Series { protocol, kind, level, host, name, tags, collectd };
        let Some((plugin, type_name)) = name.split_once('/') else {
            match values[..] {
                [value] => applied(&mut shown, rules, series, value, (time, now)),
                _ => shown.not_a_sample("only a CollectD line can have several values"),
            }
            return shown;
        };
        let (plugin, plugin_instance) = plugin.split_once('-').unwrap_or((plugin, ""));
        let (type_name, type_instance) = type_name.split_once('-').unwrap_or((type_name, ""));
        let identity = Identity { plugin, plugin_instance, type_name, type_instance };
        let taken = self.types.as_ref().map_err(String::clone).and_then(|types| {
            types.values(identity, &values, |name, fields, value| {
                let collectd = Some(fields);
                let series = Series { protocol: "collectd", name, collectd, ..series };
                applied(&mut shown, rules, series, value, (time, now));
            })
        });
        if let Err(why) = taken {
            shown.not_a_sample(&why);
        }
        shown
    }
}

/// A line of CollectD or MetricsD.
struct Words<'a> {
    /// Empty if there is none.
    host: &'a str,
    name: &'a str,
    values: Vec<f64>,
    time: f64,
}

/// Reads `HOST NAME VALUES [TIME]`.
fn words(line: &[u8], now: f64) -> Option<Words<'_>> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let (host, name, values) = (words.next()?, words.next()?, words.next()?);
    let time = match words.next() {
        None => now,
        Some(time) => match time.strip_prefix("now") {
            Some("") => now,
            Some(offset) => now + offset.parse::<f64>().ok()?,
            None => time.parse().ok()?,
        },
    };
    let values: Vec<f64> = values.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let is_valid = words.next().is_none() && values.iter().all(|value| value.is_finite());
    let host = if host == "-" { "" } else { host };
    (is_valid && time.is_finite() && time >= 0.0).then_some(Words { host, name, values, time })
}

/// The form that a line should have, as far as it shows which one was meant.
fn expected(line: &[u8]) -> &'static str {
    let words: Vec<_> = line.split(u8::is_ascii_whitespace).collect();
    match words[..] {
        [word] if word.contains(&b':') => {
            "the type is missing; expected NAME:VALUE|TYPE, such as logins:1|c"
        }
        [_, name, ..] if name.contains(&b'/') => {
            "expected HOST PLUGIN[-INSTANCE]/TYPE[-INSTANCE] VALUES [TIME]; VALUES are numbers, \
             separated by colons"
        }
        _ => {
            "expected NAME:VALUE|TYPE, HOST PLUGIN[-INSTANCE]/TYPE[-INSTANCE] VALUES [TIME], or \
             HOST NAME VALUE [TIME]"
        }
    }
}

/// Adds one line for the result, and one for its cause.
fn applied(
    shown: &mut Shown,
    rules: &Rules,
    series: Series<'_>,
    value: f64,
    (time, now): (f64, f64),
) {
    // Each sample has a whole share of time, so that the result does not depend on the machine.
    let script_time = &mut ScriptTime::default();
    let Applied { rule, result, error } = rules.apply(series, (value, time), now, script_time);
    let text = &mut shown.text;
    match result {
        Ok(output) => text.push_str(&published(&series, &output)),
        Err(why @ Dropped::Failed(_)) => {
            shown.failures += 1;
            writeln!(text, "  dropped: {why}").ok();
        }
        Err(why) => {
            writeln!(text, "  {why}").ok();
        }
    }
    if let Some(error) = error {
        shown.failures += 1;
        writeln!(text, "  {error}").ok();
    }
    let converter = series.collectd.and_then(|fields| rules.converter(fields.plugin));
    if let Some(function) = converter {
        writeln!(text, "  converter: {function}").ok();
    }
    match rule.and_then(|rule| rules.list().get(rule)) {
        Some(rule) => writeln!(text, "  rule: {}", rule.title()).ok(),
        None => writeln!(text, "  rule: none matches").ok(),
    };
}

fn published(series: &Series<'_>, output: &Output<'_>) -> String {
    let Output { level, host, name, tags, value, time, .. } = output;
    let mut text = format!("  {level} {} {name} {value} {time}", series.kind_word());
    if !host.is_empty() {
        write!(text, " from {host}").ok();
    }
    let tags = match tags {
        Some(tags) => tags.iter().map(|(tag, value)| format!("{tag}={value}")).collect(),
        None => series.tags.iter().map(|(tag, value)| format!("{tag}={value}")).collect::<Vec<_>>(),
    };
    if !tags.is_empty() {
        write!(text, ", tags {}", tags.join(",")).ok();
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
