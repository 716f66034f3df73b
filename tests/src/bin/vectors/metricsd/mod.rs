//! MetricsD's packets and what bucky publishes: kinds `metricsd_intended`, recorded from its classes
//! with their defects repaired, and `metricsd_as_is`.

pub(crate) mod handlers;
mod rates;

use crate::batches::{samples, window};
use crate::carbon::{carbon, lines, name_flags};
use crate::compare::{Difference, Differences, Lines, Outcome};
use crate::json::{bytes, list, number, some_number};
use anyhow::{Context as _, anyhow, bail};
use rates::Meters;
use serde_json::Value;
use zibrato_broker::fuzzing::MetricsdPackets;
use zibrato_workers::carbon::Carbon;

/// When cases start, in Unix milliseconds.
const START_MS: u64 = 1_700_000_000_000;

/// The errors, as the cases and the counters call them.
const ERRORS: [(&str, &str); 8] = [
    ("bad_action", "action"),
    ("bad_magic", "magic"),
    ("bad_metric_type", "type"),
    ("bad_number_type", "number_type"),
    ("bad_utf8", "encoding"),
    ("missing_nul", "terminator"),
    ("truncated_number", "number"),
    ("truncated_string", "string"),
];

/// A case while it runs.
struct Run {
    packets: MetricsdPackets,
    carbon: Carbon,
    now_ms: u64,
    meters: Meters,
    differences: Differences,
}

impl Run {
    fn new(config: &Value, start_ms: u64) -> anyhow::Result<Self> {
        let packets = MetricsdPackets::new(&[], start_ms).map_err(|error| anyhow!(error))?;
        let flags = [name_flags(config)?, vec!["--names=metricsd".to_owned()]].concat();
        Ok(Self {
            packets,
            carbon: carbon(&flags)?,
            now_ms: start_ms,
            meters: Meters::new(),
            differences: Differences::default(),
        })
    }

    /// Takes a packet. Returns the reason for which something of it was rejected, if it was.
    fn take(&mut self, packet: &[u8]) -> Option<&'static str> {
        let before = self.packets.rejected();
        self.packets.take(packet, self.now_ms);
        let rejected = self.packets.rejected().into_iter();
        let mut new = rejected.filter(|(reason, times)| before.get(reason) != Some(times));
        new.next().map(|(reason, _)| reason)
    }

    /// The lines of all metrics. Their times must be that of the flush.
    fn publish(&mut self) -> anyhow::Result<Lines> {
        let bodies = self.packets.publish(self.now_ms);
        let late = samples(&bodies)?.into_iter().find(|s| s.time * 1e3 != self.now_ms as f64);
        if let Some(sample) = late {
            self.differences.fail(format!("the time of {sample:?} is not that of the flush"));
        }
        lines(&mut self.carbon, window(&bodies)?)
    }
}

/// Runs one case of the repaired classes.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let start = case["input"].get("clock_start").map_or(Ok(START_MS as f64 / 1e3), some_number)?;
    let mut run = Run::new(&case["config"], (start * 1e3) as u64)?;
    let expect = case["expect"].as_array().context("the field `expect` is not a list")?;
    let mut expect = expect.iter().peekable();
    for step in list(&case["input"], "steps")? {
        if let Some(hex) = step["packet_hex"].as_str() {
            let rejected = run.take(&bytes(hex)?);
            run.meters.packet(run.now_ms);
            let error = expect.next_if(|next| next.get("protocol_error").is_some());
            let error = error.and_then(|error| error["protocol_error"].as_str());
            let word = ERRORS.iter().find(|(word, _)| Some(*word) == error).map(|(_, ours)| *ours);
            if error.is_some() && word.is_none() || word != rejected {
                run.differences.fail(format!("recorded {error:?}, rejected {rejected:?}"));
            }
        } else if let Some(seconds) = step.get("advance_s") {
            run.now_ms += (some_number(seconds)? * 1e3) as u64;
        } else if step.get("flush").is_some() {
            let recorded = expect.next().context("there is no result of a flush")?;
            flush(&mut run, recorded)?;
        } else {
            bail!("an unknown step {step}");
        }
    }
    if let Some(left) = expect.next() {
        bail!("no step gives {left}");
    }
    Ok(run.differences.outcome())
}

fn flush(run: &mut Run, recorded: &Value) -> anyhow::Result<()> {
    let found = run.publish()?;
    let (mut lines, mut without_value) = (Lines::new(), Vec::new());
    for sample in list(recorded, "samples")? {
        let name = sample[0].as_str().context("a sample without a name")?;
        if let Some(time) = sample[2].as_f64().filter(|time| time * 1e3 != run.now_ms as f64) {
            bail!("the time {time} of a sample is not that of the flush");
        }
        match number(&sample[1]) {
            Some(value) => drop(lines.insert(name.to_owned(), value)),
            None => without_value.push(name),
        }
    }
    let expected = run.meters.flush(&lines, run.now_ms);
    let differences = &mut run.differences;
    differences.compare(&lines, &found);
    for name in without_value {
        if !found.contains_key(name) {
            differences.by_design("a statistic without a value is omitted");
        }
    }
    let is_expected = |difference: &Difference| {
        let expected = expected.iter().find(|(name, _)| *name == difference.name);
        let same = |a: f64, b: f64| (a - b).abs() <= a.abs() * 1e-9;
        expected.is_some_and(|(_, expected)| match (expected, difference.found) {
            (Some(expected), Some(found)) => same(*expected, found),
            (None, None) => true,
            _ => false,
        })
    };
    differences.explain("the averages of rates change every 5 seconds", is_expected);
    differences.explain("values that are infinite or not a number are rejected", |difference| {
        difference.is_missing() && difference.recorded.is_some_and(|value| !value.is_finite())
    });
    differences.settle();
    Ok(())
}

/// Runs one case of the classes as they are. Packets end the server of bucky, so there is nothing
/// to compare with, except for calls that have the effect of a packet.
pub(crate) fn check_as_is(case: &Value) -> anyhow::Result<Outcome> {
    let mut run = Run::new(&case["config"], START_MS)?;
    let packet = match case["input_hex"].as_str() {
        Some(hex) => Some(bytes(hex)?),
        None => case["input"]["description"].as_str().map(described).transpose()?,
    };
    if let Some(packet) = packet {
        let rejected = run.take(&packet);
        let lines = run.publish()?;
        run.differences.by_design("no packet ends the broker; that of bucky ends at each");
        // A packet with a host only gives neither.
        if rejected.is_none() && lines.is_empty() && packet.len() > 5 {
            run.differences.fail("the packet is neither read nor rejected");
        }
        return Ok(run.differences.outcome());
    }
    let call =
        case["input"].as_str().context("the field `input` is neither a packet nor a call")?;
    let update = call.strip_prefix("Gauge update ").and_then(|value| value.parse::<f64>().ok());
    match (update, case["expect"].get("result")) {
        (Some(value), Some(result)) => {
            let value = value.to_be_bytes();
            let packet = [&b"\xaa\0\0\0\x10\0\x01a\0\x41"[..], &value].concat();
            if let Some(reason) = run.take(&packet) {
                run.differences.fail(format!("the gauge is rejected as {reason}"));
            }
            let found = run.publish()?;
            let recorded = result.as_array().into_iter().flatten();
            let recorded =
                recorded.filter_map(|pair| Some((pair[0].as_str()?.into(), number(&pair[1])?)));
            run.differences.compare(&recorded.collect(), &found);
        }
        _ => run.differences.by_design("it calls a class of bucky, which no packet does"),
    }
    Ok(run.differences.outcome())
}

/// A packet in words: `bytes aa 00, then 3 bytes 78, then 00 10`.
fn described(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut packet = Vec::new();
    for piece in text.split(", then ") {
        let piece = piece.strip_prefix("bytes ").unwrap_or(piece);
        let (times, hex) = match piece.split_once(" bytes ") {
            Some((times, hex)) => (times.trim().parse()?, hex),
            None => (1, piece),
        };
        let bytes = bytes(&hex.replace(' ', ""))?;
        anyhow::ensure!(times <= 65_536, "the packet is too long");
        packet.extend(bytes.repeat(times));
    }
    Ok(packet)
}
