//! The keys of bucky.

use super::literal::Literal;

/// The keys that are translated.
pub(super) const KNOWN: &[&str] = &[
    "collectd_auth_file",
    "collectd_counter_eq_derive",
    "collectd_enabled",
    "collectd_ip",
    "collectd_port",
    "collectd_security_level",
    "collectd_types",
    "debug",
    "directory",
    "graphite_enabled",
    "graphite_ip",
    "graphite_pickle_buffer_size",
    "graphite_pickle_enabled",
    "graphite_port",
    "log_level",
    "metricsd_default_interval",
    "metricsd_enabled",
    "metricsd_handlers",
    "metricsd_ip",
    "metricsd_port",
    "name_host_trim",
    "name_postfix",
    "name_postfix_parts",
    "name_prefix",
    "name_prefix_parts",
    "name_replace_char",
    "name_strip_duplicates",
    "statsd_delete_idlestats",
    "statsd_enabled",
    "statsd_flush_time",
    "statsd_gauges_savefile",
    "statsd_global_prefix",
    "statsd_ip",
    "statsd_legacy_namespace",
    "statsd_onlychanged_gauges",
    "statsd_percentile_thresholds",
    "statsd_persistent_gauges",
    "statsd_port",
    "statsd_prefix_counter",
    "statsd_prefix_gauge",
    "statsd_prefix_set",
    "statsd_prefix_timer",
    "statsd_timer_count",
    "statsd_timer_count_ps",
    "statsd_timer_lower",
    "statsd_timer_mean",
    "statsd_timer_median",
    "statsd_timer_std",
    "statsd_timer_sum",
    "statsd_timer_sum_squares",
    "statsd_timer_upper",
];

/// Whether only the development version 2.3.1 has a key.
pub(super) fn is_of_next_version(key: &str) -> bool {
    let of_timers = key == "statsd_percentile_thresholds" || key.starts_with("statsd_timer_");
    of_timers
        || matches!(key, "graphite_enabled" | "influxdb_enabled" | "influxdb_hosts")
        || matches!(key, "max_sample_queue" | "statsd_metadata")
}

/// Whether bucky has a key.
pub(super) fn is_known(key: &str) -> bool {
    KNOWN.contains(&key) || without_equivalent(key).is_some()
}

/// The keys of bucky.
pub(super) fn all_keys() -> impl Iterator<Item = &'static str> {
    let others = WITHOUT.iter().flat_map(|(keys, _)| keys.iter());
    KNOWN.iter().chain(others).copied()
}

/// Whether Zibrato does what this value of a key without an equivalent says.
pub(super) fn is_harmless(key: &str, value: &Literal) -> bool {
    match value {
        Literal::Bool(is) => *is == key.starts_with("statsd_delete_"),
        Literal::None => true,
        Literal::List(items) => items.is_empty(),
        Literal::Dict(entries) => entries.is_empty(),
        Literal::Float(_) | Literal::Integer(_) | Literal::Text(_) => false,
    }
}

/// The key whose line in a translation has the comments about another key.
pub(super) fn beside(key: &str) -> &str {
    let groups = [
        ("collectd_port", "collectd_ip"),
        ("directory", "statsd_persistent_gauges"),
        ("graphite_", "graphite_ip"),
        ("metricsd_port", "metricsd_ip"),
        ("name_postfix", "name_postfix"),
        ("name_prefix", "name_prefix"),
        ("name_replace_char", "name_prefix"),
        ("statsd_delete_", "statsd_delete_idlestats"),
        ("statsd_gauges_savefile", "statsd_persistent_gauges"),
        ("statsd_port", "statsd_ip"),
        ("statsd_prefix_", "statsd_global_prefix"),
        ("statsd_timer_", "statsd_timer_mean"),
    ];
    groups.into_iter().find(|(start, _)| key.starts_with(start)).map_or(key, |(_, of)| of)
}

/// The programs whose configuration is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ProgramName {
    Broker,
    CarbonStatsd,
    CarbonHosts,
}

impl ProgramName {
    /// Whether a comment about a key of bucky belongs into its configuration.
    pub(super) fn is_about(self, key: &str) -> bool {
        let begins = |starts: &[&str]| starts.iter().any(|start| key.starts_with(start));
        let is_of_hosts = matches!(key, "metricsd_default_interval" | "name_host_trim");
        let is_of_both = begins(&["graphite_", "name_"]) && !is_of_hosts;
        match self {
            // It has a list of everything.
            Self::Broker => true,
            Self::CarbonHosts => is_of_hosts || is_of_both,
            Self::CarbonStatsd => is_of_both || begins(OF_STATSD),
        }
    }
}

/// The beginnings of keys for the worker that delivers what comes by StatsD.
const OF_STATSD: &[&str] = &[
    "statsd_delete_",
    "statsd_flush_time",
    "statsd_global_prefix",
    "statsd_legacy_namespace",
    "statsd_onlychanged_gauges",
    "statsd_percentile_thresholds",
    "statsd_prefix_",
    "statsd_timer_",
];

/// Why a key of bucky has no equivalent, and what to do instead.
pub(super) fn without_equivalent(key: &str) -> Option<&'static str> {
    let row = WITHOUT.iter().find(|(keys, _)| keys.contains(&key));
    row.map(|(_, why)| *why)
}

const WITHOUT: &[(&[&str], &str)] = &[
    (
        &["collectd_converters"],
        "converters are Python code; write them in a script, name them in [converters] of a rules \
         file, and give it with --rules. A rule takes the place of _default. There is no PRIORITY: \
         a plugin has one converter",
    ),
    (
        &["collectd_use_entry_points"],
        "there are no Python packages with converters; write rules, and give them with --rules",
    ),
    (&["collectd_workers"], "one thread decodes all packets"),
    (
        &["custom_clients"],
        "clients are workers: programs that subscribe to the broker, in any language",
    ),
    (
        &[
            "full_trace",
            "sentry_auto_log_stacks",
            "sentry_dsn",
            "sentry_enabled",
            "sentry_log_level",
        ],
        "errors are log lines; watch the log, and /metrics of --http",
    ),
    (
        &["gid", "nice", "process_join_timeout", "uid"],
        "the service manager does that: User=, Group=, Nice= and TimeoutStopSec= of systemd",
    ),
    (
        &[
            "graphite_backoff_factor",
            "graphite_backoff_max",
            "graphite_max_reconnects",
            "graphite_reconnect_delay",
        ],
        "zibrato-carbon reconnects until it succeeds, and the journal keeps what waits",
    ),
    (
        &["influxdb_enabled", "influxdb_hosts"],
        "Zibrato does not write to InfluxDB; Telegraf can receive what zibrato-carbon writes \
         (`data_format = \"graphite\"`)",
    ),
    (&["max_sample_queue"], "the queues of Zibrato have limits of their own"),
    (
        &["processor", "processor_drop_on_error"],
        "a processor is Python code; write rules or a script, and give them with --rules",
    ),
    (
        &["statsd_delete_counters", "statsd_delete_sets", "statsd_delete_timers"],
        "counters, timers and sets without samples are not sent, where bucky sends 0",
    ),
    (&["statsd_metadata"], "tags are always read; --tags of zibrato-carbon delivers or drops them"),
];
