//! The flags of `zibrato-carbon` for the configuration of a case.

use crate::carbon::name_flags;
use serde_json::Value;

/// The flags of `zibrato-carbon` for the configuration of a case.
pub(super) fn flags(case: &Value) -> anyhow::Result<Vec<String>> {
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
