//! CollectD's datagrams and the samples of bucky: kind `collectd`.

mod converters;
pub(crate) mod files;
mod parts;

use crate::batches::{Sample, samples, window};
use crate::carbon::{carbon, lines, name_flags};
use crate::compare::{Difference, Differences, Lines, Outcome, is_cleaned, is_equal};
use crate::json::{bytes, list, some_number, texts};
use anyhow::ensure;
use files::Folder;
use parts::{Datagram, History, List};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use zibrato_broker::fuzzing::CollectdPackets;

/// The clock, in seconds, if the datagrams have no times: some time after that of the README of
/// bucky.
const NOW: f64 = 1_320_970_400.0;

/// A sample as a text: host, name and time.
fn key(host: &str, name: &str, time: f64) -> String {
    format!("{host}|{name}|{time}")
}

/// Runs one case.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let config = &case["config"];
    let folder = Folder::new()?;
    let mut differences = Differences::default();
    let none = Map::new();
    let converters = config["converters"].as_object().unwrap_or(&none);
    let rules = converters::rules(converters, folder.path(), &mut differences)?;
    let opened = CollectdPackets::new(&folder.flags(config)?, rules.as_deref());
    let Some(mut packets) = files::opened(case, opened, &mut differences)? else {
        return Ok(differences.outcome());
    };
    let hex = match case["input_hex"].as_str() {
        Some(hex) => vec![hex.to_owned()],
        None => texts(&case["input"]["packets_hex"]),
    };
    let datagrams: Vec<_> = hex.iter().map(|hex| bytes(hex)).collect::<Result<_, _>>()?;
    let recorded = list(&case["expect"], "out")?;
    ensure!(recorded.len() == datagrams.len(), "there is not one result for each datagram");
    let mut carbon =
        carbon(&[name_flags(config)?, vec!["--names=bucky-collectd".into()]].concat())?;
    let mut read: Vec<_> = datagrams.iter().map(|datagram| Datagram::read(datagram)).collect();
    let latest = read.iter().filter_map(Datagram::latest).reduce(f64::max);
    let now_ms = ((latest.unwrap_or(NOW) + 60.0) * 1e3) as u64;
    let (types, mut history) = (packets.types(), History::default());
    for ((bytes, datagram), recorded) in datagrams.iter().zip(&mut read).zip(recorded) {
        history.add(datagram, &types, config["collectd_counter_eq_derive"] == true);
        let bodies = packets.take(bytes, now_ms);
        if recorded.get("raised").is_some() {
            differences.by_design("no datagram stops the broker");
        }
        let found = samples(&bodies)?;
        let recorded_samples = recorded_samples(recorded)?;
        differences.compare(&recorded_samples, &by_key(&found));
        let context = Context { case, datagram, rejected: packets.rejected() };
        context.explain(&mut differences);
        differences.settle();
        let written = lines(&mut carbon, window(&bodies)?)?;
        compare_lines(recorded, &found, &written, &mut differences)?;
    }
    let logged = texts(&case["expect"]["log_levels"]);
    let is_counted = !packets.rejected().is_empty();
    if logged.iter().any(|level| level == "ERROR") && !is_counted {
        let without_instance = |list: &List| {
            matches!(list.plugin(), b"cpu" | b"interface") && !list.has_plugin_instance()
        };
        if read.iter().flat_map(|datagram| &datagram.lists).any(without_instance) {
            differences.by_design(WITHOUT_INSTANCE);
        } else if !differences.has_reasons() {
            differences.fail("bucky logged an error, and nothing is rejected");
        }
    }
    Ok(differences.outcome())
}

const WITHOUT_INSTANCE: &str = "a value without a plugin instance has a name without it";

fn by_key(samples: &[Sample]) -> Lines {
    let by_key = |Sample { host, name, value, time }: &Sample| (key(host, name, *time), *value);
    samples.iter().map(by_key).collect()
}

fn recorded_samples(recorded: &Value) -> anyhow::Result<Lines> {
    let mut all = Lines::new();
    for sample in list(recorded, "samples")? {
        // A host is absent or empty.
        let host = sample[0].as_str().unwrap_or_default();
        let name = sample[1].as_str().unwrap_or_default();
        all.insert(key(host, name, some_number(&sample[3])?), some_number(&sample[2])?);
    }
    Ok(all)
}

/// Compares the lines of the samples that were recorded and found.
fn compare_lines(
    recorded: &Value,
    found: &[Sample],
    written: &Lines,
    differences: &mut Differences,
) -> anyhow::Result<()> {
    if written.len() != found.len() {
        differences.fail(format!("{} samples have {} lines", found.len(), written.len()));
    }
    let found = by_key(found);
    for (sample, line) in list(recorded, "samples")?.iter().zip(list(recorded, "lines")?) {
        let key = key(
            sample[0].as_str().unwrap_or_default(),
            sample[1].as_str().unwrap_or_default(),
            some_number(&sample[3])?,
        );
        let Some(value) = found.get(&key) else { continue };
        let line = line.as_str().unwrap_or_default();
        let name = line.rsplitn(3, ' ').nth(2).unwrap_or_default();
        let has = |name: &str| written.get(name).is_some_and(|written| is_equal(*value, *written));
        let is_cleaned = |other: &&String| is_cleaned(name, other) && has(other);
        if has(name) {
            continue;
        }
        if written.keys().any(|other| is_cleaned(&other)) {
            differences.by_design(
                "characters that Graphite cannot query become `_`, empty parts are omitted, and a \
                 hash is appended",
            );
        } else {
            differences.fail(format!("the line {name} is not among {written:?}"));
        }
    }
    Ok(())
}

/// What a rule knows.
struct Context<'a> {
    case: &'a Value,
    datagram: &'a Datagram,
    rejected: BTreeMap<&'static str, u64>,
}

impl Context<'_> {
    fn explain(&self, differences: &mut Differences) {
        let Self { case, datagram, rejected } = self;
        let config = &case["config"];
        let lists = || datagram.lists.iter();
        let gives = |difference: &Difference, list: &List| {
            difference.found.is_some_and(|value| list.gives(value))
        };
        let gives_rate = |difference: &Difference, list: &List| {
            difference.found.is_some_and(|value| list.gives_rate(value))
        };
        differences.explain(
            "values that are infinite or not a number are rejected",
            |difference| {
                difference.is_missing()
                    && difference.recorded.is_some_and(|value| !value.is_finite())
            },
        );
        differences.explain("rates are computed with fractions of seconds", |difference| {
            difference.found.is_some()
                && lists().any(|list| list.is_fractional() && gives_rate(difference, list))
        });
        let late = "a reading that is not newer is rejected, and the next rate is not since it";
        differences.explain(late, |difference| {
            if difference.is_missing() {
                let is_it = |value| lists().any(|list| list.is_late() && list.contains(value));
                return rejected.contains_key("late") && difference.recorded.is_some_and(is_it);
            }
            lists().any(|list| list.is_late() && gives_rate(difference, list))
        });
        differences.explain("what follows what cannot be read is read", |difference| {
            let mut after = datagram.after_the_end_of_bucky();
            // The last reading of a series is found, though the one before it was recorded.
            let is_read = |value| lists().any(|list| list.gives(value));
            difference.recorded.is_none_or(is_read) && after.any(|list| gives(difference, list))
        });
        differences.explain("an encrypted part is read whatever is beside it", |difference| {
            difference.is_extra() && datagram.has_encrypted_among_others
        });
        let is_checked = !texts(&config["auth_file"]).is_empty()
            && datagram.is_signed
            && (rejected.contains_key("key") || rejected.contains_key("user"));
        differences.explain("signatures are checked if there is an auth file", |difference| {
            let is_in_it = |value| lists().any(|list| list.gives(value));
            is_checked && difference.found.is_none() && difference.recorded.is_some_and(is_in_it)
        });
        let one_of_several =
            |list: &List| matches!(list.plugin(), b"cpu" | b"memory") && list.sources() > 1;
        let name = |difference: &Difference| {
            difference.name.split('|').nth(1).unwrap_or_default().to_owned()
        };
        differences.explain(
            "several data sources of cpu and memory have a name each",
            |difference| {
                let name = name(difference);
                (name.starts_with("cpu.") || name.starts_with("memory."))
                    && lists().any(|list| {
                        one_of_several(list) && (difference.is_missing() || gives(difference, list))
                    })
            },
        );
        differences.explain(WITHOUT_INSTANCE, |difference| {
            difference.is_extra()
                && lists().any(|list| {
                    matches!(list.plugin(), b"cpu" | b"interface")
                        && !list.has_plugin_instance()
                        && gives(difference, list)
                })
        });
        if datagram.has_inner_nul {
            let cut = |name: &str| {
                let parts = name.split(['|', '.']).map(|part| part.split('\0').next());
                parts.flatten().collect::<Vec<_>>().join(".")
            };
            let reason = "a text ends at its first zero byte";
            differences.explain_names(reason, |recorded, found| cut(recorded) == cut(found));
        }
    }
}
