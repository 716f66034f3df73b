//! The keys of bucky.

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
    "graphite_ip",
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
        &["graphite_pickle_buffer_size", "graphite_pickle_enabled"],
        "zibrato-carbon writes lines; give the port of Carbon's line receiver, which is 2003",
    ),
    (
        &["processor", "processor_drop_on_error"],
        "a processor is Python code; write rules or a script, and give them with --rules",
    ),
    (
        &[
            "statsd_delete_counters",
            "statsd_delete_sets",
            "statsd_delete_timers",
            "statsd_onlychanged_gauges",
        ],
        "--idle of zibrato-carbon is one word for all kinds",
    ),
];
