//! Readings whose series are subject to rules.

use super::check::check_series;
use super::context::IntakeContext;
use super::rules::{Applied, Collectd, Dropped, Output, Rules, Series, readings};
use std::net::SocketAddr;
use std::sync::Arc;
use zibrato::DEFAULT_SOURCE;
use zibrato::window::Fold;
use zibrato::wire::Line;

impl IntakeContext {
    /// Sets the source of series whose sender names none. Rules see that it names none.
    pub(super) fn set_default_source(&mut self, source: &str) {
        self.default_source = source.into();
    }

    /// Like [`fold`](Self::fold), with the sender for the log, and the fields of CollectD for rules.
    pub(super) fn fold_from(
        &mut self,
        line: &Line<'_>,
        sender: Option<SocketAddr>,
        collectd: Option<Collectd<'_>>,
    ) {
        let rules = self.rules.current();
        let checked = match rules {
            None => line.check(),
            // Rules may replace the name and the source. They are checked afterwards.
            Some(_) => Line { name: DEFAULT_SOURCE, source: DEFAULT_SOURCE, ..*line }.check(),
        };
        if let Err(error) = checked {
            return self.reject_from(sender, error.reason(), line.name);
        }
        let is_folded = match rules {
            None => self.fold_with(line.level, line.name, |window| window.fold_line(line)),
            Some(rules) => self.fold_line_by_rules(&rules, line, sender, collectd),
        };
        self.taken(u64::from(is_folded));
    }

    fn reject_from(&mut self, sender: Option<SocketAddr>, reason: &'static str, about: &str) {
        match sender {
            Some(sender) => self.reject(reason, format!("from {sender}: {about}").as_bytes()),
            None => self.reject(reason, about.as_bytes()),
        }
    }

    /// Adds the reading of a line as rules say. Returns whether it is published.
    fn fold_line_by_rules(
        &mut self,
        rules: &Rules,
        line: &Line<'_>,
        sender: Option<SocketAddr>,
        collectd: Option<Collectd<'_>>,
    ) -> bool {
        let Line { level, kind, name, timestamp, source: host, .. } = *line;
        let (protocol, tags) = (self.name, &[]);
        let series = Series { protocol, kind, level, host, name, tags, collectd };
        self.fold_by_rules(rules, series, &readings::of_line(line), timestamp, sender)
    }

    /// Adds the readings of a series as rules say.
    pub(super) fn fold_series_by_rules(
        &mut self,
        rules: &Rules,
        [level, host, name]: [&str; 3],
        tags: &[(&str, &str)],
        readings: &Fold,
    ) {
        let (protocol, kind) = (self.name, readings.kind());
        let time = readings::time(readings).unwrap_or(self.now_ms() as f64 / 1e3);
        let series = Series { protocol, kind, level, host, name, tags, collectd: None };
        self.fold_by_rules(rules, series, readings, time, None);
    }

    /// Adds readings as rules say. `time` is theirs, in Unix seconds. Returns whether they are
    /// published.
    fn fold_by_rules(
        &mut self,
        rules: &Rules,
        series: Series<'_>,
        readings: &Fold,
        time: f64,
        sender: Option<SocketAddr>,
    ) -> bool {
        let before = readings::value(readings);
        let now = self.now_ms() as f64 / 1e3;
        let host = if series.host == DEFAULT_SOURCE { "" } else { series.host };
        let series = Series { host, ..series };
        let Applied { result, error, .. } =
            rules.apply(series, (before, time), now, &mut self.script_time);
        if let Some(why) = error {
            self.script_failed(series.name, &why);
        }
        let output = match result {
            Ok(output) => output,
            Err(why) => {
                self.drop_by_rules(series.name, &why, sender);
                return false;
            }
        };
        let Output { level, host, name, tags, .. } = &output;
        let default = Arc::clone(&self.default_source);
        let host = if host.is_empty() { &default } else { &**host };
        let tags: Vec<(&str, &str)> = match tags {
            Some(tags) => tags.iter().map(|(tag, value)| (&**tag, &**value)).collect(),
            None => series.tags.to_vec(),
        };
        let is_changed = output.value != before || output.scale != 1.0 || output.time != time;
        let changed = is_changed.then(|| readings::changed(readings, &output, time));
        let readings = changed.as_ref().unwrap_or(readings);
        if let Err(reason) = check_series(level, host, name, &tags, readings) {
            self.reject_from(sender, reason, name);
            return false;
        }
        self.fold_with(level, name, |window| window.fold_series(host, name, &tags, readings))
    }

    fn drop_by_rules(&mut self, name: &str, why: &Dropped, sender: Option<SocketAddr>) {
        match why {
            // The user wants this, so it is only counted.
            Dropped::Rule | Dropped::Script => self.counters.reject(why.word(), 1),
            Dropped::Invalid(result) => self.reject_from(sender, why.word(), result),
            Dropped::Failed(_) | Dropped::OutOfTime => {
                self.counters.reject(why.word(), 1);
                self.script_failed(name, why);
            }
        }
    }

    fn script_failed(&mut self, name: &str, why: &Dropped) {
        let count = match why {
            Dropped::OutOfTime => &mut self.counters.script_skips,
            _ => &mut self.counters.script_errors,
        };
        *count += 1;
        if self.script_errors.admits() {
            let why = why.to_string();
            tracing::error!(event = "script_failed", intake = self.name, name, why);
        }
    }
}
