//! Packets and the lines of each flush of bucky and of StatsD: kinds `statsd`, `statsd_2.3.1_dev`
//! and `statsd_js`.
//!
//! Times are not compared: a point has the time at which its window begins, and these programs use
//! its end.

mod flags;
mod rules;
mod wanted;

use crate::carbon::{carbon, lines};
use crate::compare::{Differences, Lines, Outcome};
use crate::json::bytes;
use crate::through::Through;
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::path::PathBuf;
use wanted::Wanted;
use zibrato::window::Window;
use zibrato_workers::carbon::Carbon;

/// A case while it runs.
struct Run<'a> {
    case: &'a Value,
    carbon: Carbon,
    window_ms: u64,
    through: Option<Through>,
    folder: tempfile::TempDir,
    /// Whether nothing was sent since the last flush.
    is_quiet: bool,
    /// What the packets should give.
    wanted: Wanted,
    /// What the program did in each step that has a result.
    recorded: std::vec::IntoIter<Value>,
    differences: Differences,
}

/// Runs one case.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let expect = &case["expect"];
    let recorded = expect.get("out").or_else(|| expect.get("flushes"));
    let recorded = recorded
        .and_then(Value::as_array)
        .context("the field `expect.out` or `expect.flushes` is not a list")?;
    let config = &case["config"];
    let seconds = config.get("statsd_flush_time").and_then(Value::as_f64).unwrap_or(10.0);
    let mut run = Run {
        case,
        carbon: carbon(&flags::flags(case)?)?,
        window_ms: (seconds * 1e3) as u64,
        through: None,
        folder: tempfile::tempdir()?,
        is_quiet: true,
        wanted: Wanted::default(),
        recorded: recorded.clone().into_iter(),
        differences: Differences::default(),
    };
    for step in case["input"]["steps"].as_array().context("the field `steps` is not a list")? {
        run.step(step)?;
    }
    if let Some(through) = run.through.take() {
        through.stop()?;
    }
    Ok(run.differences.outcome())
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
            self.sent(packet);
            self.skip_error("no packet stops the broker");
        } else if let Some(hex) = step["packet_hex"].as_str() {
            let packet = bytes(hex)?;
            self.through()?.send(&packet)?;
            self.sent(&String::from_utf8_lossy(&packet));
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

    fn sent(&mut self, packet: &str) {
        self.is_quiet = false;
        self.wanted.packet(packet);
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
            self.differences.by_design(reason);
        }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let recorded = self.recorded.next().context("a recorded flush")?;
        let window = Window::new(0, self.window_ms, 1_000).keep_readings(true);
        let is_quiet = std::mem::replace(&mut self.is_quiet, true);
        let window = self.through()?.receive(window, is_quiet)?;
        let found = lines(&mut self.carbon, window)?;
        self.differences.compare(&lines_of(&recorded)?, &found);
        rules::explain(self.case, &self.wanted, &found, &mut self.differences);
        self.wanted.flush();
        self.differences.settle();
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
                self.differences.by_design("the file of gauges has plain numbers");
            } else {
                self.differences.fail(format!("recorded {recorded}, saved {found}"));
            }
        }
        Ok(())
    }
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
