//! Whole files, and what is printed for them.

mod comments;

use super::keys::ProgramName;
use super::{Translation, broker, carbon, translate};

fn lines(text: &str) -> Translation {
    translate(text, &|_| Ok(()))
}

fn settings(text: &str) -> Vec<String> {
    lines(text).broker.iter().map(ToString::to_string).collect()
}

fn notes(text: &str) -> Vec<String> {
    let notes = lines(text).notes.into_iter().filter(|note| note.is_loss);
    notes.map(|note| format!("{}: {}", note.line, note.text)).collect()
}

#[test]
fn an_empty_file_turns_on_what_bucky_turns_on() {
    let translation = lines("# nothing\n");
    assert_eq!(
        broker("bucky.conf", &translation),
        "# For `zibrato-broker --config`, translated from bucky.conf.
statsd = \"127.0.0.1:8125\"
statsd-level = \"statsd\"
collectd = \"127.0.0.1:25826\"
collectd-level = \"collectd\"
metricsd = \"127.0.0.1:23632\"
metricsd-level = \"metricsd\"

# The file of a zibrato-carbon: bucky-config bucky.conf --for carbon-statsd
# The file of a zibrato-carbon: bucky-config bucky.conf --for carbon-hosts
"
    );
    assert_eq!(
        carbon("bucky.conf", ProgramName::CarbonStatsd, &translation),
        "# For `zibrato-carbon --config`, translated from bucky.conf.
carbon = \"127.0.0.1:2003\"
name = \"carbon-statsd\"
levels = [\"statsd\"]
flush = 10
# Timers have the statistics of bucky 2.3.0. If the file is for bucky 2.3.1, add statsd-like = \"bucky-2.3.1\"
names = \"statsd-legacy\"
"
    );
    assert_eq!(
        carbon("bucky.conf", ProgramName::CarbonHosts, &translation),
        "# For `zibrato-carbon --config`, translated from bucky.conf.
carbon = \"127.0.0.1:2003\"
name = \"carbon-hosts\"
levels = [\"collectd\", \"metricsd\"]
flush = 10
names = \"bucky-collectd\"
"
    );
}

#[test]
fn names_and_statistics_are_those_of_zibrato_carbon() {
    let file = "
graphite_ip = '::1'
graphite_port = 2103
statsd_flush_time = 60.0
statsd_legacy_namespace = False
statsd_global_prefix = None
statsd_prefix_timer = 't'
statsd_percentile_thresholds = [90, 99.9]
statsd_timer_std = False
statsd_delete_idlestats = True
metricsd_enabled = False
name_prefix = 'my.app'
name_prefix_parts = ['eu', 'a.b']
name_postfix_parts = ['x']
name_postfix = 'y'
name_strip_duplicates = False
name_host_trim = ['example.com', 'local']
";
    let translation = lines(file);
    let texts = |all: &[super::Setting]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let shared = ["prefix = \"my_app.eu.a_b\"", "postfix = \"x.y\"", "strip-duplicates = \"no\""];
    let statsd = [
        "carbon = \"[::1]:2103\"",
        "name = \"carbon-statsd\"",
        "levels = [\"statsd\"]",
        "flush = 60",
        "names = \"statsd\"",
        "statsd-prefixes = \"global=,counter=counters,timer=t,gauge=gauges,set=sets\"",
        "statsd-like = \"bucky-2.3.1\"",
        "percentiles = \"90,99.9\"",
        "statsd-statistics = \"mean,upper,lower,count,count_ps,sum,sum_squares,median\"",
        "idle = \"drop\"",
    ];
    assert_eq!(texts(&translation.statsd), [&statsd[..], &shared].concat());
    let hosts = [
        "carbon = \"[::1]:2103\"",
        "name = \"carbon-hosts\"",
        "levels = [\"collectd\"]",
        "flush = 10",
        "names = \"bucky-collectd\"",
        "trim-host = \"example.com,local\"",
    ];
    assert_eq!(texts(&translation.hosts), [&hosts[..], &shared].concat());
    assert_eq!(notes(file), [""; 0]);
    for (file, prefix) in [
        ("name_prefix = 'my.app'\nname_replace_char = None", "prefix = \"my.app\""),
        ("name_prefix = 'my.app'\nname_replace_char = ''", "prefix = \"myapp\""),
    ] {
        assert_eq!(lines(file).hosts.last().unwrap().to_string(), prefix);
    }
}

#[test]
fn every_kind_of_key_is_translated() {
    let file = r#"
statsd_ip = '0.0.0.0'
statsd_port = 9000
statsd_persistent_gauges = True
directory = "/srv/it's"
collectd_ip = "::"
collectd_types = ["/usr/share/types.db", '/etc/"my".db']
collectd_auth_file = '/etc/auth'
collectd_security_level = "SIGN"
collectd_counter_eq_derive = 1
metricsd_default_interval = 2.5
metricsd_handlers = [(r'a\.b', 1, 50), ('c', 0.5)]
log_level = "WARNING"
"#;
    assert_eq!(
        settings(file),
        [
            r#"statsd = "0.0.0.0:9000""#,
            r#"statsd-level = "statsd""#,
            r#"statsd-gauges = "/srv/it's/gauges.save""#,
            r#"collectd = "[::]:25826""#,
            r#"collectd-level = "collectd""#,
            r#"collectd-types = ["/usr/share/types.db", '/etc/"my".db']"#,
            r#"collectd-auth-file = "/etc/auth""#,
            r#"collectd-security-level = "sign""#,
            "collectd-counter-eq-derive = true",
            r#"metricsd = "127.0.0.1:23632""#,
            r#"metricsd-level = "metricsd""#,
            "metricsd-interval = 2.5",
            r#"metricsd-handler = ['a\.b=1@50', "c=0.5"]"#,
            r#"log-level = "warn""#,
        ]
    );
    assert_eq!(
        notes(file),
        ["2: statsd_ip: other machines can reach 0.0.0.0; add `insecure = true`"]
    );
}

#[test]
fn what_the_programs_need_besides_is_noted() {
    for (file, expected) in [
        ("statsd_ip = '127.0.0.2'\ncollectd_ip = 'localhost'\nmetricsd_ip = '::1'", ""),
        (
            "collectd_ip = '::'",
            "1: collectd_ip: other machines can reach ::; add `insecure = true`, or sign with \
             collectd-security-level and collectd-auth-file",
        ),
        (
            "metricsd_ip = 'metrics.lan'",
            "1: metricsd_ip: other machines can reach metrics.lan; add `insecure = true`",
        ),
        (
            "statsd_flush_time = 0.5",
            "1: statsd_flush_time: the broker publishes once a second, so use at least 1 second",
        ),
    ] {
        assert_eq!(notes(file).join(""), expected, "{file}");
    }
    let statsd = lines("statsd_flush_time = 0.5").statsd;
    assert!(statsd.iter().any(|setting| setting.to_string() == "flush = 1"), "{statsd:?}");
}

#[test]
fn a_server_that_is_disabled_has_no_lines() {
    let file = "statsd_enabled = False\ncollectd_enabled = False\nmetricsd_enabled = False
collectd_types = ['x']\ndebug = True\nlog_level = 'ERROR'";
    assert_eq!(settings(file), ["log-level = \"debug\""]);
    let translations = [lines(file), lines("graphite_enabled = False")];
    for translation in translations {
        for program in [ProgramName::CarbonStatsd, ProgramName::CarbonHosts] {
            let text = carbon("bucky.conf", program, &translation);
            assert_eq!(text, "# Not needed, because bucky.conf disables what it would deliver.\n");
        }
        assert!(!broker("bucky.conf", &translation).contains("carbon"));
    }
    assert_eq!(notes("graphite_enabled = False"), [""; 0]);
}

#[test]
fn what_is_not_translated_is_named_with_its_line() {
    let file = "import os
statsd_port = 8000 + 25
collectd_converters = {'memory': memory}
def process(host, name, value, time):
    return host, name, value, time
processor = process
statsd_ip = 5
metricsd_handlers = [('a', 1, 2, 3)]
sentry_dsn = 'http://x'
uid = None
my_own = 1
log_level = 'verbose'
collectd_types = 'one'
";
    assert_eq!(
        notes(file),
        [
            "1: `import os` is Python code, which is not translated",
            "2: `statsd_port = 8000 + 25` is computed: give its value in the form of a literal; until \
             then, bucky's default is used",
            "3: `collectd_converters = {'memory': memory}` is computed: converters are \
             Python code; write them in a script, name them in [converters] of a rules file, and \
             give it with --rules. A rule takes the place of _default. There is no PRIORITY: a \
             plugin has one converter",
            "4: `def process(host, name, value, time):` is Python code, which is not translated",
            "6: `processor = process` is computed: a processor is Python code; write \
             rules or a script, and give them with --rules",
            "7: statsd_ip: expected a string; bucky's default is used",
            "8: metricsd_handlers: expected a list of (pattern, seconds, priority); bucky's default is \
             used",
            "9: sentry_dsn: errors are log lines; watch the log, and /metrics of --http",
            "11: my_own: bucky has no such key",
            "12: log_level: expected the name or number of a level; bucky's default is used",
        ]
    );
    let text = broker("bucky.conf", &lines(file));
    assert!(text.contains("\n# Not translated:\n# line 1: `import os` "), "{text}");
}

#[test]
fn a_line_that_the_broker_does_not_accept_is_named() {
    let accept = |line: &str| match line.contains("-1") {
        true => Err("too small".to_owned()),
        false => Ok(()),
    };
    let mut translation = translate("metricsd_default_interval = -1", &accept);
    assert_eq!(translation.broker.len(), 6);
    translation.notes.retain(|note| note.is_loss);
    let [_, note] = &translation.notes[..] else { panic!("{:?}", translation.notes) };
    assert_eq!(
        (note.line, &*note.text),
        (
            1,
            "metricsd_default_interval: zibrato-broker does not accept `metricsd-interval = -1`, so it \
             is omitted: too small"
        )
    );
}

#[test]
fn texts_are_quoted_so_that_they_are_read_as_they_are() {
    for text in ["a", "it's", "a\"b", r"\d", r"it's \d", "a\nb", "\u{7f}", "é'\"\\\t"] {
        let python = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n");
        let file = format!("collectd_auth_file = '{python}'");
        let all = settings(&file).join("\n");
        let read: toml::Table = toml::from_str(&all).unwrap();
        assert_eq!(read["collectd-auth-file"].as_str(), Some(text), "{all}");
    }
}
