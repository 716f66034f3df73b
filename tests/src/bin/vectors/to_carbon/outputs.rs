//! The points that bucky writes for samples, as lines and as pickles: kinds `carbon_out_plaintext`
//! and `carbon_out_pickle`.

use super::pickles::frames;
use super::points::{Point, carbon_reads};
use super::sink::written;
use crate::carbon::name_flags;
use crate::compare::{Differences, Lines, Outcome};
use crate::json::{list, some_number, texts};
use crate::names::explain_names;
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use zibrato::window::Window;
use zibrato::wire::{BatchReader, BatchWriter};
use zibrato::{DEFAULT_SOURCE, Gauge};
use zibrato_workers::Backend as _;
use zibrato_workers::carbon::Protocol;

/// A reading of a gauge.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// Empty if there is none.
    pub(super) host: String,
    pub(super) name: String,
    pub(super) value: f64,
    /// In Unix seconds.
    pub(super) time: f64,
}

impl Sample {
    fn recorded(sample: &Value) -> anyhow::Result<Self> {
        // A number has its type.
        let number = |number: &Value| {
            let all = number.as_object().into_iter().flat_map(|typed| typed.values());
            some_number(all.last().unwrap_or(number))
        };
        Ok(Self {
            host: sample[0].as_str().unwrap_or_default().to_owned(),
            name: sample[1].as_str().context("a sample has no name")?.to_owned(),
            value: number(&sample[2])?,
            time: number(&sample[3])?,
        })
    }

    /// The whole second in which it is, if there is one that a window can have.
    fn second(&self) -> Option<u64> {
        (self.time >= 0.0).then_some(self.time as u64)
    }
}

/// What arrives.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    pub(super) points: Vec<Point>,
    /// The number of points in each frame.
    pub(super) frames: Vec<usize>,
}

/// Delivers samples, each in a window of its second.
pub(super) fn delivered(
    samples: &[Sample],
    protocol: Protocol,
    flags: &[String],
) -> anyhow::Result<Delivered> {
    let mut windows: BTreeMap<u64, Window> = BTreeMap::new();
    for (at, sample) in (1..).zip(samples) {
        let Some(second) = sample.second() else { continue };
        let start = second * 1_000;
        let source = if sample.host.is_empty() { DEFAULT_SOURCE } else { &sample.host };
        // Intakes read Graphite's tags as tags.
        let (name, tags) = sample.name.split_once(';').unwrap_or((&sample.name, ""));
        let tags: Vec<_> = tags.split(';').filter_map(|tag| tag.split_once('=')).collect();
        let mut batch = BatchWriter::new(source, start, 1_000);
        batch.gauge(name, &tags, &Gauge::reading(sample.value, start + at));
        let body = batch.finish();
        let window = windows.entry(second).or_insert_with(|| Window::new(start, 1_000, 1_000));
        // What is not valid is rejected and counted by each receiver.
        window.fold_batch(&BatchReader::new(&body)?, drop);
    }
    let written = written(protocol, flags, |carbon| {
        Ok(windows.into_values().flat_map(|window| carbon.payloads(window)).collect())
    })?;
    ensure!(written.accepted.iter().all(|is| *is), "Zibrato refuses what it has encoded");
    let mut delivered = Delivered::default();
    if protocol == Protocol::Pickle {
        for frame in frames(&written.bytes) {
            ensure!(!frame.closes && frame.is_protocol_2, "a frame is not one of protocol 2");
            let points: Vec<_> = frame.items.into_iter().filter_map(|item| item.point).collect();
            delivered.frames.push(points.len());
            delivered.points.extend(points);
        }
    } else {
        for line in written.bytes.split_inclusive(|byte| *byte == b'\n') {
            let shown = || String::from_utf8_lossy(line).into_owned();
            let line = line.strip_suffix(b"\n").with_context(shown)?;
            delivered.points.push(carbon_reads(line).with_context(shown)?);
        }
    }
    Ok(delivered)
}

/// Runs one case.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let samples: Vec<_> = list(&case["input"], "samples")?
        .iter()
        .map(Sample::recorded)
        .collect::<anyhow::Result<_>>()?;
    let mut flags = name_flags(&case["config"])?;
    flags.push("--names=bucky-collectd".to_owned());
    let mut differences = Differences::default();
    let expect = &case["expect"];
    let is_pickle = case["kind"] == "carbon_out_pickle";
    let (recorded, found, waiting) = if is_pickle {
        // bucky takes 0 as 1.
        let batch = case["config"]["graphite_pickle_buffer_size"].as_u64().unwrap_or(500).max(1);
        flags.push(format!("--pickle-batch={batch}"));
        let found = delivered(&samples, Protocol::Pickle, &flags)?;
        if found.frames.iter().any(|points| *points as u64 > batch) {
            differences.fail(format!("frames of {:?} points, not {batch}", found.frames));
        }
        let mut recorded = Vec::new();
        for frame in list(expect, "decoded")? {
            let points = list(frame, "decoded")?.iter().map(Point::recorded);
            recorded.extend(points.collect::<anyhow::Result<Vec<_>>>()?);
        }
        let waiting = expect["left_in_buffer"].as_u64().context("`expect.left_in_buffer`")?;
        (recorded, found.points, usize::try_from(waiting)?)
    } else {
        let lines = texts(expect.get("writes").context("the field `expect.writes`")?).concat();
        let recorded = lines.lines().map(recorded_line).collect::<anyhow::Result<_>>()?;
        (recorded, delivered(&samples, Protocol::Tcp, &flags)?.points, 0)
    };
    let unsent = samples.len().checked_sub(waiting).and_then(|from| samples.get(from..));
    let unsent = unsent.context("more samples wait than there are")?;
    compare(&samples, unsent, &recorded, &found, &mut differences);
    Ok(differences.outcome())
}

/// Reads a line of another program, which may have numbers that are not finite.
pub(super) fn recorded_line(line: &str) -> anyhow::Result<Point> {
    let mut fields = line.rsplitn(3, ' ');
    let mut next = || fields.next().with_context(|| format!("`{line}` is not a line"));
    let (time, value, name) = (next()?.parse()?, next()?.parse()?, next()?.to_owned());
    Ok(Point { name, value, time })
}

/// Compares points second by second.
pub(super) fn compare(
    samples: &[Sample],
    unsent: &[Sample],
    recorded: &[Point],
    found: &[Point],
    differences: &mut Differences,
) {
    let second = |point: &Point| point.time.floor().to_string();
    let mut seconds: Vec<_> = recorded.iter().chain(found).map(second).collect();
    seconds.sort_unstable();
    seconds.dedup();
    for at in seconds {
        let lines = |points: &[Point]| -> Lines {
            let points = points.iter().filter(|point| second(point) == at);
            points.map(|point| (point.name.clone(), point.value)).collect()
        };
        differences.compare(&lines(recorded), &lines(found));
        differences.explain("values that are infinite or not a number are not sent", |line| {
            line.is_missing() && line.recorded.is_some_and(|value| !value.is_finite())
        });
        differences.explain("times below zero are not sent", |line| {
            line.is_missing() && at.starts_with('-')
        });
        differences.explain("a value has all its digits, and bucky writes 12 of them", |line| {
            let is_exact = |found: f64| samples.iter().any(|sample| sample.value == found);
            line.found.is_some_and(|found| is_exact(found) && line.recorded == rounded(found))
        });
        differences.explain("all points of a window are sent when it ends", |line| {
            let is_unsent = |sample: &Sample| line.found == Some(sample.value);
            line.is_extra() && unsent.iter().any(is_unsent)
        });
        let names = samples.iter().map(|sample| (&*sample.host, &*sample.name));
        explain_names(names, differences);
        differences.settle();
    }
    let is_parted = |point: &&Point| point.time.fract() != 0.0;
    if recorded.iter().any(|point| is_parted(&point)) {
        differences.by_design("times are whole seconds");
    }
    if let Some(point) = found.iter().find(is_parted) {
        differences.fail(format!("{point:?} has a fraction of a second"));
    }
}

/// A number with twelve digits.
fn rounded(number: f64) -> Option<f64> {
    format!("{number:.11e}").parse().ok()
}
