//! The entry point of the fuzz target.

use super::{Applied, Collectd, Output, Rules, RulesError, ScriptTime, Series};
use std::io;
use std::path::Path;
use zibrato::{Kind, check_name};

const NOW: f64 = 1_700_000_000.0;

/// Parses a rules file and its script, and applies them to samples. The texts end with a byte 0: the
/// file, the script, then name, host, plugin, type, type instance and the value of the tag `t`. The
/// value of the sample follows.
///
/// # Panics
/// If an error has no place in the text, or a sample to publish is not valid.
pub fn rules(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let mut texts = input.split('\0');
    let mut next = || texts.next().unwrap_or_default();
    let (file, script) = (next(), next());
    let [name, host, plugin, type_name, type_instance, tag] = [(); 6].map(|()| next());
    let value = next().parse().ok().filter(|value: &f64| value.is_finite()).unwrap_or(1.0);
    let read = |_: &Path| {
        if script.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(script.to_owned()) }
    };
    let rules = match Rules::parse(Path::new("rules.toml"), file, read) {
        Ok(rules) => rules,
        Err(RulesError::Invalid { path, line, column, why }) => {
            let text = if path.ends_with("rules.toml") { file } else { script };
            let lines = 1 + text.matches(['\n', '\r']).count();
            assert!((1..=lines).contains(&line) && column >= 1, "{line}:{column}");
            return assert!(!why.trim().is_empty());
        }
        Err(RulesError::Read { .. }) => return,
    };
    let fields = Collectd {
        plugin,
        plugin_instance: name,
        type_name,
        type_instance,
        value_name: "value",
        ..Collectd::default()
    };
    let tags = [("t", tag)];
    let statsd = [Kind::Counter, Kind::Histogram, Kind::Set, Kind::Timer];
    let samples = statsd.map(|kind| ("statsd", kind, None)).into_iter();
    for (protocol, kind, collectd) in samples.chain([("collectd", Kind::Gauge, Some(fields))]) {
        let series = Series { protocol, kind, level: "info", host, name, tags: &tags, collectd };
        check(&rules, series, value);
    }
}

fn check(rules: &Rules, series: Series<'_>, value: f64) {
    let Applied { rule, result, error } =
        rules.apply(series, (value, NOW), NOW, &mut ScriptTime::default());
    assert!(rule.is_none_or(|rule| rule < rules.list().len()));
    assert!(error.is_none_or(|why| !why.to_string().is_empty()));
    let Output { level, host, name, tags, scale, value, time } = match result {
        Ok(output) => output,
        Err(why) => return assert!(!why.word().is_empty()),
    };
    // What is not changed is checked by the intake.
    let names = [(&name, series.name), (&host, series.host)];
    for (new, _) in names.into_iter().filter(|(new, old)| **new != *old && !new.is_empty()) {
        assert_eq!(check_name(new), Ok(()), "{new:?}");
    }
    let tags = tags.unwrap_or_default();
    assert!(tags.is_sorted());
    for (tag, text) in tags.iter().filter(|(tag, _)| tag != "t") {
        assert_eq!((check_name(tag), check_name(text)), (Ok(()), Ok(())));
    }
    assert_eq!(zibrato::check_level(&level), Ok(()));
    assert!(value.is_finite() && scale.is_finite() && scale != 0.0);
    assert!((0.0..=253_402_300_800.0).contains(&time), "{time}");
}
