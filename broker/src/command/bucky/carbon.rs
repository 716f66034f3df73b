//! From the keys of bucky to those of `zibrato-carbon`. Each of its processes has one set of names,
//! so there is one for StatsD, whose names have no host, and one for CollectD and MetricsD.

use super::given::{Given, as_number};
use super::keys::is_of_next_version;
use super::literal::Literal;
use super::setting::{Setting, Value};

/// Seconds between two publications of the broker. In shorter windows of `zibrato-carbon`, nothing may
/// arrive.
const PUBLISHED: f64 = 1.0;

/// What bucky calls the statistics of a timer.
const STATISTICS: [(&str, &str); 9] = [
    ("statsd_timer_mean", "mean"),
    ("statsd_timer_upper", "upper"),
    ("statsd_timer_lower", "lower"),
    ("statsd_timer_count", "count"),
    ("statsd_timer_count_ps", "count_ps"),
    ("statsd_timer_sum", "sum"),
    ("statsd_timer_sum_squares", "sum_squares"),
    ("statsd_timer_median", "median"),
    ("statsd_timer_std", "std"),
];

/// The keys of namespaces, with their words and defaults.
const NAMESPACES: [(&str, &str, &str); 5] = [
    ("statsd_global_prefix", "global", "stats"),
    ("statsd_prefix_counter", "counter", "counters"),
    ("statsd_prefix_timer", "timer", "timers"),
    ("statsd_prefix_gauge", "gauge", "gauges"),
    ("statsd_prefix_set", "set", "sets"),
];

/// How often the broker repeats gauges of StatsD without readings.
const REPEAT_SECONDS: f64 = 10.0;

/// Longest window of `zibrato-carbon`, in seconds.
const MAX_FLUSH: f64 = 86_400.0;

/// Whether bucky delivers to Carbon.
pub(super) fn is_enabled(given: &Given) -> bool {
    given.boolean("graphite_enabled", true)
}

/// The configuration of the process for StatsD.
pub(super) fn statsd(given: &Given) -> Vec<Setting> {
    if !given.boolean("statsd_enabled", true) || !is_enabled(given) {
        return Vec::new();
    }
    let mut all = common(given, "carbon-statsd", &["statsd"], "statsd_flush_time");
    let names = match given.boolean("statsd_legacy_namespace", true) {
        true => "statsd-legacy",
        false => "statsd",
    };
    all.push(Setting::text("names", names, "statsd_legacy_namespace"));
    if names == "statsd" && NAMESPACES.iter().any(|(key, ..)| given.has(key)) {
        let part = |(key, word, default): &(&str, &str, &str)| {
            let part = if given.has(key) { given.text(key) } else { Some((*default).to_owned()) };
            format!("{word}={}", part.unwrap_or_default())
        };
        let parts: Vec<_> = NAMESPACES.iter().map(part).collect();
        all.push(Setting::text("statsd-prefixes", parts.join(","), "statsd_global_prefix"));
    }
    timers(given, &mut all);
    let seconds = given.number("statsd_flush_time").unwrap_or(REPEAT_SECONDS);
    if (PUBLISHED..REPEAT_SECONDS).contains(&seconds) {
        let why = "gauges without readings are repeated every 10 s, so shorter windows have gaps; \
                   with `flush = 10` there are none";
        given.hint("statsd_flush_time", why);
    }
    let drops = given.boolean("statsd_delete_idlestats", false);
    if drops && given.boolean("statsd_onlychanged_gauges", true) {
        all.push(Setting::text("idle", "drop", "statsd_delete_idlestats"));
    }
    naming(given, &mut all);
    all
}

/// The statistics of timers, which bucky 2.3.1 can choose.
fn timers(given: &Given, all: &mut Vec<Setting>) {
    let thresholds = "statsd_percentile_thresholds";
    if !given.assigned().iter().any(|key| is_of_next_version(key)) {
        let hint = "Timers have the statistics of bucky 2.3.0. If the file is for bucky 2.3.1, add \
                    statsd-like = \"bucky-2.3.1\"";
        return given.hint("statsd_legacy_namespace", hint);
    }
    all.push(Setting::text("statsd-like", "bucky-2.3.1", thresholds));
    let percentiles = given.expect(thresholds, "a list of numbers", |value| match value {
        Literal::List(items) => items.iter().map(as_number).collect::<Option<Vec<_>>>(),
        _ => None,
    });
    if let Some(mut percentiles) = percentiles {
        percentiles.retain(|percent| {
            let is_valid = *percent != 0.0 && percent.abs() <= 100.0;
            if !is_valid {
                let why = format!("{percent} is omitted: expected -100 to 100, and not 0");
                given.note(thresholds, why);
            }
            is_valid
        });
        let words: Vec<_> = percentiles.iter().map(ToString::to_string).collect();
        let text = if words.is_empty() { "none".to_owned() } else { words.join(",") };
        all.push(Setting::text("percentiles", text, thresholds));
    }
    let chosen = STATISTICS.iter().filter(|(key, _)| given.boolean(key, true));
    let chosen: Vec<_> = chosen.map(|(_, word)| *word).collect();
    if chosen.len() < STATISTICS.len() {
        all.push(Setting::text("statsd-statistics", chosen.join(","), "statsd_timer_mean"));
    }
}

/// The configuration of the process for CollectD and MetricsD.
pub(super) fn hosts(given: &Given) -> Vec<Setting> {
    let levels = [("collectd_enabled", "collectd"), ("metricsd_enabled", "metricsd")];
    let levels = levels.iter().filter(|(key, _)| given.boolean(key, true));
    let levels: Vec<_> = levels.map(|(_, level)| *level).collect();
    if levels.is_empty() || !is_enabled(given) {
        return Vec::new();
    }
    let mut all = common(given, "carbon-hosts", &levels, "metricsd_default_interval");
    all.push(Setting::text("names", "bucky-collectd", "name_host_trim"));
    let mut domains = given.texts("name_host_trim");
    domains.retain(|domain| {
        let is_used = !domain.trim().starts_with('.');
        if !is_used {
            let why = "begins with a dot, so bucky never finds it at the end of a host";
            given.note("name_host_trim", format!("`{domain}` is omitted: it {why}"));
        }
        is_used
    });
    if !domains.is_empty() {
        all.push(Setting::text("trim-host", domains.join(","), "name_host_trim"));
    }
    naming(given, &mut all);
    all
}

fn common(given: &Given, name: &str, levels: &[&str], interval: &'static str) -> Vec<Setting> {
    let levels = levels.iter().map(|level| (*level).to_owned()).collect();
    let mut seconds = given.number(interval).unwrap_or(REPEAT_SECONDS);
    if seconds <= 0.0 || seconds > MAX_FLUSH {
        given.note(interval, "expected 1 to 86400 seconds; bucky's default of 10 is used");
        seconds = REPEAT_SECONDS;
    } else if seconds < PUBLISHED {
        given.note(interval, "the broker publishes once a second, so use at least 1 second");
    }
    let flush = Value::Number(seconds.max(PUBLISHED));
    let writes_pickles = given.boolean("graphite_pickle_enabled", false);
    let protocol = if writes_pickles { "pickle://" } else { "" };
    let carbon = given.address("graphite_ip", "graphite_port", 2003);
    let mut all = vec![Setting::text("carbon", format!("{protocol}{carbon}"), "graphite_ip")];
    let size = "graphite_pickle_buffer_size";
    if let Some(points) = given.integer(size).filter(|_| writes_pickles) {
        // bucky takes smaller numbers as 1, and zibrato-carbon accepts no larger ones.
        let points = points.clamp(1, 100_000) as f64;
        all.push(Setting::new("pickle-batch", Value::Number(points), size));
    }
    all.extend([
        Setting::text("name", name, "graphite_ip"),
        Setting::new("levels", Value::Texts(levels), "graphite_ip"),
        Setting::new("flush", flush, interval),
    ]);
    all
}

/// The keys about all names.
fn naming(given: &Given, all: &mut Vec<Setting>) {
    // Without the key it is `_`; with `None` dots stay.
    let replacement = match given.has("name_replace_char") {
        true => given.expect("name_replace_char", "a string or None", |value| match value {
            Literal::Text(text) => Some(text.clone()),
            _ => None,
        }),
        false => Some("_".to_owned()),
    };
    let replaced = |part: String| match &replacement {
        Some(replacement) => part.replace('.', replacement),
        None => part,
    };
    let join = |parts: Vec<String>, key: &str| {
        if parts.iter().any(|part| part.contains(char::is_control)) {
            given.note(key, "a part with a control character is omitted");
        }
        let parts = parts.into_iter().filter(|part| !part.contains(char::is_control));
        let parts: Vec<_> = parts.map(replaced).filter(|part| !part.is_empty()).collect();
        (!parts.is_empty()).then(|| parts.join("."))
    };
    let prefixes = given.text("name_prefix").into_iter().chain(given.texts("name_prefix_parts"));
    if let Some(prefix) = join(prefixes.collect(), "name_prefix") {
        all.push(Setting::text("prefix", prefix, "name_prefix"));
    }
    let postfixes = given.texts("name_postfix_parts").into_iter().chain(given.text("name_postfix"));
    if let Some(postfix) = join(postfixes.collect(), "name_postfix") {
        all.push(Setting::text("postfix", postfix, "name_postfix"));
    }
    if !given.boolean("name_strip_duplicates", true) {
        all.push(Setting::text("strip-duplicates", "no", "name_strip_duplicates"));
    }
}
