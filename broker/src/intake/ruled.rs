//! Readings whose series are subject to rules.

use super::check::check_series;
use super::context::IntakeContext;
use super::rules::{Applied, Collectd, Dropped, Output, Rules, Series, readings};
use zibrato::DEFAULT_SOURCE;
use zibrato::window::Fold;
use zibrato::wire::Line;

impl IntakeContext {
    /// Like [`fold`](Self::fold), with the fields of CollectD, for rules.
    pub(super) fn fold_with_fields(&mut self, line: &Line<'_>, collectd: Option<Collectd<'_>>) {
        if let Err(error) = line.check() {
            return self.reject(error.reason(), line.name.as_bytes());
        }
        let is_folded = match self.rules.current() {
            None => self.fold_with(line.level, line.name, |window| window.fold_line(line)),
            Some(rules) => self.fold_line_by_rules(&rules, line, collectd),
        };
        self.counters.lines += u64::from(is_folded);
    }

    /// Adds the reading of a line as rules say. Returns whether it is published.
    fn fold_line_by_rules(
        &mut self,
        rules: &Rules,
        line: &Line<'_>,
        collectd: Option<Collectd<'_>>,
    ) -> bool {
        let Line { level, kind, name, timestamp, source: host, .. } = *line;
        let (protocol, tags) = (self.name, &[]);
        let series = Series { protocol, kind, level, host, name, tags, collectd };
        self.fold_by_rules(rules, series, &readings::of_line(line), timestamp)
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
        self.fold_by_rules(rules, series, readings, time);
    }

    /// Adds readings as rules say. `time` is theirs, in Unix seconds. Returns whether they are
    /// published.
    fn fold_by_rules(
        &mut self,
        rules: &Rules,
        series: Series<'_>,
        readings: &Fold,
        time: f64,
    ) -> bool {
        let before = readings::value(readings);
        let now = self.now_ms() as f64 / 1e3;
        let host = if series.host == DEFAULT_SOURCE { "" } else { series.host };
        let Applied { result, error, .. } =
            rules.apply(Series { host, ..series }, before, time, now);
        if let Some(why) = error {
            self.script_failed(series.name, &why);
        }
        let output = match result {
            Ok(output) => output,
            Err(why) => {
                self.drop_by_rules(series.name, &why);
                return false;
            }
        };
        let Output { level, host, name, tags, .. } = &output;
        let host = if host.is_empty() { DEFAULT_SOURCE } else { host };
        let tags: Vec<(&str, &str)> = match tags {
            Some(tags) => tags.iter().map(|(tag, value)| (&**tag, &**value)).collect(),
            None => series.tags.to_vec(),
        };
        let is_changed = output.value != before || output.scale != 1.0 || output.time != time;
        let changed = is_changed.then(|| readings::changed(readings, &output, time));
        let readings = changed.as_ref().unwrap_or(readings);
        if let Err(reason) = check_series(level, host, name, &tags, readings) {
            self.reject(reason, name.as_bytes());
            return false;
        }
        self.fold_with(level, name, |window| window.fold_series(host, name, &tags, readings))
    }

    fn drop_by_rules(&mut self, name: &str, why: &Dropped) {
        match why {
            // The user wants this, so it is only counted.
            Dropped::Rule | Dropped::Script => self.counters.reject(why.word(), 1),
            Dropped::Invalid(result) => self.reject(why.word(), result.as_bytes()),
            Dropped::Failed(error) => {
                self.counters.reject(why.word(), 1);
                self.script_failed(name, error);
            }
        }
    }

    fn script_failed(&mut self, name: &str, why: &str) {
        self.counters.script_errors += 1;
        if self.script_errors.admits() {
            tracing::error!(event = "script_failed", intake = self.name, name, why);
        }
    }
}
