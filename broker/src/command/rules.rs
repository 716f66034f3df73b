//! `zibrato-broker rules test`: shows what a rules file does with samples.

use crate::intake::rules::{Applied, Collectd, Dropped, Output, Rules, RulesStore, Series};
use crate::intake::{collectd, statsd};
use std::fmt::Write as _;
use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;
use zibrato::daemon::{Exit, Failure, Output as Stdout};
use zibrato::{Kind, clock};

/// Maximum size of an input line, in bytes.
const MAX_LINE_BYTES: u64 = 1 << 16;

/// The level of samples whose protocol has none.
const LEVEL: &str = "info";

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
  NAME:VALUE|TYPE                                       StatsD or DogStatsD, also with tags
  HOST PLUGIN[-INSTANCE]/TYPE[-INSTANCE] VALUE [TIME]   CollectD
  HOST NAME VALUE [TIME]                                MetricsD
HOST may be - for none. TIME is in Unix seconds, or relative to the current time, such as now-400.

Examples:
  echo 'shop.paid:1|c|#env:prod' | zibrato-broker rules test rules.toml
  echo 'web-1 memory/memory-free 823009280 now' | zibrato-broker rules test rules.toml
  nc -ul 8125 | zibrato-broker rules test rules.toml")]
    Test {
        /// The rules file
        file: PathBuf,
    },
}

/// Executes the subcommand.
pub(crate) fn run(command: &RulesCommand) -> Result<(), Failure> {
    let What::Test { file } = &command.what;
    let rules = RulesStore::open(file)
        .map_err(|error| Failure::new(Exit::Config, error.to_string()))?
        .rules();
    let mut out = Stdout::new();
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        match read {
            Ok(0) => return out.finish(),
            Ok(_) => {
                let text = test(&rules, line.trim_ascii(), clock::unix_ms() as f64 / 1e3);
                // `finish` reports errors.
                if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
                    return out.finish();
                }
            }
            Err(error) => {
                return Err(Failure::new(Exit::Io, format!("stdin cannot be read: {error}")));
            }
        }
    }
}

/// What becomes of the samples in a line, as text.
fn test(rules: &Rules, line: &[u8], now: f64) -> String {
    if line.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", line.escape_ascii());
    if line.contains(&b'|') {
        statsd::samples(line, &mut |sample| match sample {
            Ok(statsd::Shown { kind, host, name, tags, value }) => {
                let tags: Vec<_> = tags.iter().map(|(tag, value)| (&**tag, &**value)).collect();
                let (protocol, level) = ("statsd", LEVEL);
                let (host, name, tags) = (host.as_str(), name.as_str(), &*tags);
                let series = Series { protocol, kind, level, host, name, tags, collectd: None };
                text.push_str(&applied(rules, series, value, now, now));
            }
            Err(reason) => not_a_sample(&mut text, reason),
        });
        return text;
    }
    let Some((host, identity, value, time)) = words(line, now) else {
        not_a_sample(&mut text, "expected NAME:VALUE|TYPE, or HOST NAME VALUE [TIME]");
        return text;
    };
    let (protocol, kind, level, tags) = ("metricsd", Kind::Gauge, LEVEL, &[]);
    let series = Series { protocol, kind, level, host, name: identity, tags, collectd: None };
    let Some((plugin, type_name)) = identity.split_once('/') else {
        text.push_str(&applied(rules, series, value, time, now));
        return text;
    };
    let (plugin, plugin_instance) = plugin.split_once('-').unwrap_or((plugin, ""));
    let (type_name, type_instance) = type_name.split_once('-').unwrap_or((type_name, ""));
    let fields = Collectd {
        plugin,
        plugin_instance,
        type_name,
        type_instance,
        value_name: "value",
        value_type: 1,
        interval: 10.0,
    };
    let name = collectd::name(&fields);
    let series = Series { protocol: "collectd", name: &name, collectd: Some(fields), ..series };
    text.push_str(&applied(rules, series, value, time, now));
    text
}

/// Reads `HOST NAME VALUE [TIME]`.
fn words(line: &[u8], now: f64) -> Option<(&str, &str, f64, f64)> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let (host, name, value) = (words.next()?, words.next()?, words.next()?);
    let time = match words.next() {
        None => now,
        Some(time) => match time.strip_prefix("now") {
            Some("") => now,
            Some(offset) => now + offset.parse::<f64>().ok()?,
            None => time.parse().ok()?,
        },
    };
    let value: f64 = value.parse().ok()?;
    let is_valid = words.next().is_none() && value.is_finite() && time.is_finite() && time >= 0.0;
    is_valid.then_some((if host == "-" { "" } else { host }, name, value, time))
}

fn not_a_sample(text: &mut String, why: &str) {
    writeln!(text, "  not a sample: {why}").ok();
}

/// One line for the result, and one for its cause.
fn applied(rules: &Rules, series: Series<'_>, value: f64, time: f64, now: f64) -> String {
    let Applied { rule, result, error } = rules.apply(series, value, time, now);
    let mut text = match result {
        Ok(output) => published(&series, &output),
        Err(Dropped::Rule) => "  dropped by the rule\n".to_owned(),
        Err(Dropped::Script) => "  dropped by the script\n".to_owned(),
        Err(Dropped::Invalid(why)) => format!("  dropped: {why}\n"),
        Err(Dropped::Failed(why)) => format!("  dropped: error in {why}\n"),
    };
    if let Some(error) = error {
        writeln!(text, "  error in {error}").ok();
    }
    let converter = series.collectd.and_then(|fields| rules.converter(fields.plugin));
    if let Some(function) = converter {
        writeln!(text, "  converter: {function}").ok();
    }
    match rule.and_then(|rule| rules.list().get(rule)) {
        Some(rule) => writeln!(text, "  rule: {}", rule.title()).ok(),
        None => writeln!(text, "  rule: none matches").ok(),
    };
    text
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
