//! Packets and the lines of each flush of bucky and of StatsD: kinds `statsd`, `statsd_2.3.1_dev`
//! and `statsd_js`.
//!
//! Times are not compared: a point has the time at which its window begins, and these programs use
//! its end.

use crate::carbon::{carbon, lines, name_flags};
use crate::compare::{Difference, Lines, Outcome, differences, judge};
use crate::through::Through;
use anyhow::{Context, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use zibrato::window::Window;
use zibrato_workers::carbon::Carbon;

/// A case while it runs.
struct Run<'a> {
    case: &'a Value,
    carbon: Carbon,
    window_ms: u64,
    through: Option<Through>,
    folder: tempfile::TempDir,
    /// What was sent since the last flush.
    sent: Vec<String>,
    /// What the program did in each step that has a result.
    recorded: std::vec::IntoIter<Value>,
    reasons: BTreeSet<String>,
    failures: Vec<String>,
}

/// Runs one case.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let expect = &case["expect"];
    let recorded = expect.get("out").or_else(|| expect.get("flushes"));
    let recorded = recorded.and_then(Value::as_array).context("a result")?;
    let config = &case["config"];
    let seconds = config.get("statsd_flush_time").and_then(Value::as_f64).unwrap_or(10.0);
    let mut run = Run {
        case,
        carbon: carbon(&flags(case)?)?,
        window_ms: (seconds * 1e3) as u64,
        through: None,
        folder: tempfile::tempdir()?,
        sent: Vec::new(),
        recorded: recorded.clone().into_iter(),
        reasons: BTreeSet::new(),
        failures: Vec::new(),
    };
    for step in case["input"]["steps"].as_array().context("steps")? {
        run.step(step)?;
    }
    if let Some(through) = run.through.take() {
        through.stop()?;
    }
    Ok(if !run.failures.is_empty() {
        Outcome::Failed(run.failures.join("; "))
    } else if run.reasons.is_empty() {
        Outcome::Passed
    } else {
        Outcome::ByDesign(run.reasons)
    })
}

impl Run<'_> {
    fn step(&mut self, step: &Value) -> anyhow::Result<()> {
        if let Some(text) = step["savefile"].as_str() {
            std::fs::write(self.file(), text)?;
        } else if step.get("load").is_some() {
            self.through()?;
            self.skip_error("a broken or old file of gauges does not stop the broker");
        } else if let Some(packet) = step["packet"].as_str() {
            self.through()?.send(packet.as_bytes())?;
            self.sent.push(packet.to_owned());
            self.skip_error("no packet stops the broker");
        } else if let Some(hex) = step["packet_hex"].as_str() {
            let packet = bytes(hex)?;
            self.through()?.send(&packet)?;
            self.sent.push(String::from_utf8_lossy(&packet).into_owned());
            self.skip_error("no packet stops the broker");
        } else if step.get("flush").is_some() {
            self.flush()?;
        } else if step.get("save").is_some() {
            self.save()?;
        } else {
            bail!("an unknown step {step}");
        }
        Ok(())
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("gauges.save")
    }

    fn through(&mut self) -> anyhow::Result<&Through> {
        if self.through.is_none() {
            let is_kept = self.case["config"]["statsd_persistent_gauges"] == true;
            let file = is_kept.then(|| self.file());
            self.through = Some(Through::start(file.as_deref())?);
        }
        self.through.as_ref().context("a broker")
    }

    /// Skips an error of the program.
    fn skip_error(&mut self, reason: &str) {
        if self.recorded.as_slice().first().is_some_and(|next| next.get("raised").is_some()) {
            self.recorded.next();
            self.reasons.insert(reason.to_owned());
        }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let recorded = self.recorded.next().context("a recorded flush")?;
        let window = Window::new(0, self.window_ms, 1_000).keep_readings(true);
        let is_quiet = self.sent.is_empty();
        let window = self.through()?.receive(window, is_quiet)?;
        let found = lines(&mut self.carbon, window)?;
        let sent = std::mem::take(&mut self.sent);
        let differences = differences(&lines_of(&recorded)?, &found);
        let others = differences.iter().any(|difference| !is_number(&difference.name));
        match judge(differences, |difference| explain(self.case, &sent, &found, others, difference))
        {
            Outcome::ByDesign(reasons) => self.reasons.extend(reasons),
            Outcome::Failed(why) => self.failures.push(why),
            Outcome::Passed => {}
        }
        Ok(())
    }

    fn save(&mut self) -> anyhow::Result<()> {
        let recorded = self.recorded.next().context("a recorded file")?;
        let through = self.through.take().context("a broker")?;
        through.receive(Window::new(0, 1_000, 1_000), false)?;
        through.stop()?;
        let found = std::fs::read(self.file()).ok();
        let found: Option<Value> = found.map(|text| serde_json::from_slice(&text)).transpose()?;
        let (found, recorded) = (found.unwrap_or_default(), recorded["savefile"].clone());
        if found != recorded {
            let value = |value: &Value| value.get(0).unwrap_or(value).as_f64();
            let values = |all: &Value| {
                let all = all.as_object().into_iter().flatten();
                all.map(|(name, one)| (name.clone(), value(one))).collect::<Vec<_>>()
            };
            if values(&found) == values(&recorded) {
                self.reasons.insert("the file of gauges has plain numbers".to_owned());
            } else {
                self.failures.push(format!("recorded {recorded}, saved {found}"));
            }
        }
        Ok(())
    }
}

fn bytes(hex: &str) -> anyhow::Result<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

/// The lines of a recorded flush. Numbers come from the samples, which are exact.
fn lines_of(recorded: &Value) -> anyhow::Result<Lines> {
    let mut all = Lines::new();
    let texts = recorded.get("lines").unwrap_or(recorded).as_array().context("lines")?;
    for (at, line) in texts.iter().enumerate() {
        let mut fields = line.as_str().unwrap_or_default().rsplitn(3, ' ');
        let (_, value, name) = (fields.next(), fields.next(), fields.next());
        let (name, value) = (name.context("a name")?, value.context("a value")?);
        let sample = recorded["samples"].get(at).and_then(|sample| sample.get(1)?.as_f64());
        all.insert(name.to_owned(), sample.map_or_else(|| value.parse(), Ok)?);
    }
    Ok(all)
}

/// The flags of `zibrato-carbon` for the configuration of a case.
fn flags(case: &Value) -> anyhow::Result<Vec<String>> {
    let config = &case["config"];
    let is = |key: &str, default: bool| config.get(key).map_or(default, |value| value == true);
    let mut flags = name_flags(config)?;
    let legacy = is("statsd_legacy_namespace", true) && is("legacyNamespace", true);
    flags.push(format!("--names={}", if legacy { "statsd-legacy" } else { "statsd" }));
    let mut prefixes = Vec::new();
    for (key, javascript, part) in [
        ("statsd_global_prefix", "globalPrefix", "global"),
        ("statsd_prefix_counter", "prefixCounter", "counter"),
        ("statsd_prefix_timer", "prefixTimer", "timer"),
        ("statsd_prefix_gauge", "prefixGauge", "gauge"),
        ("statsd_prefix_set", "prefixSet", "set"),
    ] {
        if let Some(text) = config.get(key).or_else(|| config.get(javascript)) {
            prefixes.push(format!("{part}={}", text.as_str().unwrap_or_default()));
        }
    }
    if !prefixes.is_empty() && !legacy {
        flags.push(format!("--statsd-prefixes={}", prefixes.join(",")));
    }
    let like = match case["kind"].as_str() {
        Some("statsd_js") => "statsd",
        Some("statsd_2.3.1_dev") => "bucky-2.3.1",
        _ => "bucky",
    };
    flags.push(format!("--statsd-like={like}"));
    let drops = is("statsd_delete_idlestats", false) && is("statsd_onlychanged_gauges", true);
    if drops || is("deleteIdleStats", false) {
        flags.push("--idle=drop".to_owned());
    }
    let thresholds =
        config.get("statsd_percentile_thresholds").or_else(|| config.get("percentThreshold"));
    if let Some(thresholds) = thresholds {
        let one = [thresholds.clone()];
        let all = thresholds.as_array().map_or(&one[..], Vec::as_slice);
        let all: Vec<_> = all.iter().map(ToString::to_string).collect();
        let all = if all.is_empty() { "none".to_owned() } else { all.join(",") };
        flags.push(format!("--percentiles={all}"));
    }
    let words =
        ["mean", "upper", "lower", "count", "count_ps", "sum", "sum_squares", "median", "std"];
    let wanted: Vec<_> =
        words.into_iter().filter(|word| is(&format!("statsd_timer_{word}"), true)).collect();
    if wanted.len() < words.len() {
        flags.push(format!("--statsd-statistics={}", wanted.join(",")));
    }
    if let Some(entries) = config.get("histogram").and_then(Value::as_array) {
        let entry = |entry: &Value| {
            let limits = entry["bins"].as_array().into_iter().flatten();
            let text = |limit: &Value| limit.as_str().map_or(limit.to_string(), str::to_owned);
            let limits: Vec<_> = limits.map(text).collect();
            format!("{}={}", entry["metric"].as_str().unwrap_or_default(), limits.join(":"))
        };
        let all: Vec<_> = entries.iter().map(entry).collect();
        flags.push(format!("--histogram-bins={}", all.join(",")));
    }
    Ok(flags)
}

/// The reason of a difference that is by design. `sent` are the packets of the flush; `others` says
/// whether more than the number of series differs.
fn explain(
    case: &Value,
    sent: &[String],
    found: &Lines,
    others: bool,
    difference: &Difference,
) -> Option<String> {
    let Difference { name, recorded, found: ours } = difference;
    let reason = |text: &str| Some(text.to_owned());
    let lines = || sent.iter().flat_map(|packet| packet.lines());
    let parts = || lines().filter_map(|line| Some(line.split_once(':')?.1));
    if is_number(name) {
        let is_javascript = case["kind"] == "statsd_js";
        return match (found.is_empty(), others) {
            (true, _) => reason("a window without series has no lines, and no numStats"),
            (false, true) => reason("numStats is the number of series that differ by design"),
            (false, false) if is_javascript => {
                reason("StatsD's numStats counts its own series too")
            }
            (false, false) => None,
        };
    }
    let has_hash = |line: &str| line.split(':').next().is_some_and(|key| key.contains('#'));
    if lines().any(has_hash) {
        return reason(
            "a `#` in a name is removed like other characters, and does not end the line",
        );
    }
    let is_loaded = case["input"]["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|step| step.get("load").is_some());
    if is_loaded && sent.is_empty() && recorded.is_some() && ours.is_none() {
        return reason("a gauge from the file is idle until a client sets it");
    }
    if *recorded == Some(0.0) && ours.is_none() && !lines().any(|line| is_of(line, name)) {
        return reason("a counter, timer or set without samples has no lines in the window");
    }
    if recorded.is_some_and(|value| !value.is_finite()) && ours.is_none() {
        return reason("NaN and infinities are refused");
    }
    if parts().any(|part| part.contains("0x")) {
        return reason("numbers are decimal");
    }
    let has_empty = |text: &str| text.split('.').any(str::is_empty);
    if lines().filter_map(|line| line.split(':').next()).any(has_empty)
        && !ours.is_some_and(|_| has_empty(name))
    {
        return reason("empty parts of a name are omitted, and a hash keeps the name distinct");
    }
    let kind_of = |part: &str| part.split('|').nth(1).unwrap_or_default().trim().to_owned();
    let kinds = ["c", "d", "g", "h", "m", "ms", "s"];
    let sample_of = |known: bool| {
        parts()
            .flat_map(|part| part.split(':'))
            .any(|part| part.contains('|') && kinds.contains(&&*kind_of(part)) == known)
    };
    if sample_of(false) && recorded.is_some() && ours.is_none() {
        return reason("an unknown type is a bad line");
    }
    if parts().any(|part| matches!(&*kind_of(part), "h" | "d")) {
        return reason("h and d are histograms, which are named as timers");
    }
    if parts().any(|part| kind_of(part) == "ms" && part.contains('@')) {
        return reason("a sampled timer counts for those that were not sent, in all statistics");
    }
    if let Some(recommended) = case["recommend"].as_str() {
        let rejects = recommended.starts_with("reject") || recommended.starts_with("ignore");
        if rejects && ours.is_some() && recorded.is_none() {
            return None;
        }
        return Some(format!("recommended: {recommended}"));
    }
    if parts().any(|part| part.contains('#')) && found.keys().any(|key| key.contains(';')) {
        return reason("tags are Graphite's tags, valid and sorted");
    }
    if parts().any(|part| part.split('|').next().is_some_and(|values| values.contains(':'))) {
        return reason("several values of one type are read");
    }
    None
}

/// Whether a name is that of the number of series.
fn is_number(name: &str) -> bool {
    name.split('.').any(|part| part == "numStats")
}

/// Whether a line of a packet may be about a series with this name in Graphite.
fn is_of(line: &str, name: &str) -> bool {
    line.split(':').next().is_some_and(|key| !key.is_empty() && name.contains(key))
}
