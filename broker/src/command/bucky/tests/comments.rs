//! Comments: where they stand, and what they say.

use super::super::keys::ProgramName;
use super::super::{broker, carbon, translate};
use super::{lines, notes};

/// The comments of a file for `zibrato-carbon`, each with the line that it stands above.
fn comments(file: &str, program: ProgramName) -> Vec<(String, String)> {
    let text = carbon("bucky.conf", program, &lines(file));
    let all: Vec<_> = text.lines().skip(1).collect();
    let pairs = all.windows(2).filter(|pair| pair[0].starts_with("# line"));
    pairs.map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
}

#[test]
fn comments_are_beside_what_they_concern() {
    let file = "import os
graphite_port = int(os.environ['PORT'])
statsd_flush_time = 60 * 1
metricsd_port = os.getpid()
";
    let default = "give its value in the form of a literal; until then, bucky's default is used";
    let of_port =
        format!("# line 2: `graphite_port = int(os.environ['PORT'])` is computed: {default}");
    let of_flush = format!("# line 3: `statsd_flush_time = 60 * 1` is computed: {default}");
    let to_carbon = "carbon = \"127.0.0.1:2003\"".to_owned();
    assert_eq!(
        comments(file, ProgramName::CarbonStatsd),
        [(of_port.clone(), to_carbon.clone()), (of_flush, "flush = 10".to_owned())]
    );
    assert_eq!(comments(file, ProgramName::CarbonHosts), [(of_port, to_carbon)]);
    let text = broker("bucky.conf", &lines(file));
    let at =
        format!("\n# line 4: `metricsd_port = os.getpid()` is computed: {default}\nmetricsd =");
    assert!(text.contains(&at), "{text}");
    // The file of the broker lists the others too.
    assert!(text.contains("\n# Not translated:\n# line 1: `import os` "), "{text}");
    assert!(text.contains("\n# line 3: `statsd_flush_time"), "{text}");
    // A comment without a line of its own is at the end.
    let text =
        carbon("bucky.conf", ProgramName::CarbonHosts, &lines("name_prefix = os.environ['X']"));
    assert!(text.contains("\n\n# Not translated:\n# line 1: `name_prefix"), "{text}");
}

#[test]
fn idle_series_are_translated_as_far_as_they_can_be() {
    let has_idle = |file| lines(file).statsd.iter().any(|setting| setting.key == "idle");
    assert!(has_idle("statsd_delete_idlestats = True"));
    assert!(!has_idle("statsd_delete_idlestats = True\nstatsd_onlychanged_gauges = False"));
    for (file, expected) in [
        ("statsd_flush_time = 10", &[][..]),
        // It is translated, so this is a hint.
        ("statsd_flush_time = 5", &[]),
        ("statsd_delete_counters = True", &[]),
        ("statsd_delete_counters = False", &["1: statsd_delete_counters: counters, timers and"]),
    ] {
        let notes = notes(file);
        assert_eq!(notes.len(), expected.len(), "{notes:?}");
        assert!(notes.iter().zip(expected).all(|(a, b)| a.starts_with(b)), "{notes:?}");
    }
}

#[test]
fn keys_of_the_development_version_are_known() {
    let is_next = |file: &str| {
        lines(file).statsd.iter().any(|line| line.to_string() == "statsd-like = \"bucky-2.3.1\"")
    };
    for (file, expected) in [
        ("graphite_enabled = True", ""),
        ("influxdb_enabled = False", ""),
        ("influxdb_enabled = True", "1: influxdb_enabled: Zibrato does not write to InfluxDB;"),
        ("influxdb_hosts = ['x:8089']", "1: influxdb_hosts: Zibrato does not write to InfluxDB;"),
        ("statsd_metadata = []", ""),
        ("statsd_metadata = ['a']", "1: statsd_metadata: tags are always read;"),
        ("max_sample_queue = 5", "1: max_sample_queue: the queues of Zibrato have limits"),
    ] {
        let notes = notes(file).concat();
        assert!(
            notes.starts_with(expected) && (!expected.is_empty() || notes.is_empty()),
            "{notes}"
        );
        assert!(is_next(file), "{file}");
    }
    assert!(!is_next("statsd_ip = '::1'"));
}

#[test]
fn pickles_stay_pickles() {
    for (file, expected) in [
        (
            "graphite_pickle_enabled = True\ngraphite_port = 2004\ngraphite_pickle_buffer_size = 50",
            ["carbon = \"pickle://127.0.0.1:2004\"", "pickle-batch = 50"],
        ),
        (
            "graphite_pickle_enabled = True\ngraphite_pickle_buffer_size = 0",
            ["carbon = \"pickle://127.0.0.1:2003\"", "pickle-batch = 1"],
        ),
        (
            "graphite_pickle_enabled = False\ngraphite_pickle_buffer_size = 50",
            ["carbon = \"127.0.0.1:2003\"", "name = \"carbon-hosts\""],
        ),
    ] {
        let hosts: Vec<_> = lines(file).hosts.iter().map(ToString::to_string).collect();
        assert_eq!(hosts[..2], expected);
        assert_eq!(notes(file), [""; 0]);
    }
}

#[test]
fn what_zibrato_does_anyway_is_not_noted() {
    let file = "graphite_pickle_enabled = False
graphite_pickle_buffer_size = 500
sentry_enabled = False
collectd_converters = {}
custom_clients = []
processor = None
";
    assert_eq!(notes(file), [""; 0]);
}

#[test]
fn syntax_errors_are_named_with_their_line() {
    for (file, expected) in [
        (
            "debug = 1\nstatsd_ip = '::1",
            "2: `statsd_ip = '::1` is a syntax error: the closing quote is missing",
        ),
        (
            "statsd_port =\nlog_level = 1",
            "1: `statsd_port =` is a syntax error: a value is missing",
        ),
        ("statsd_port = # x", "1: `statsd_port = # x` is a syntax error: a value is missing"),
        (
            "collectd_types = ['a',",
            "1: `collectd_types = ['a',` is a syntax error: the bracket [ in line 1 is not closed, \
             so what follows is not read",
        ),
        (
            "collectd_types = ['a'",
            "1: `collectd_types = ['a'` is a syntax error: the bracket [ in line 1 is not closed, \
             so what follows is not read",
        ),
        (
            "debug = 1\nmetricsd_handlers = [\n  ('a', 1),\nstatsd_port = 9000\nnice = 5\n",
            "2: `metricsd_handlers = [` is a syntax error: the bracket [ in line 2 is not closed, \
             so what follows is not read",
        ),
        (
            "metricsd_handlers = [\n  ('a', 1,\n  ('b', 2),\n]\nstatsd_port = 9000",
            "1: `metricsd_handlers = [` is a syntax error: the bracket ( in line 2 is not closed, \
             so what follows is not read",
        ),
        (
            "collectd_types = ['a', ('b']\nstatsd_port = 'x' + (1]\n",
            "1: `collectd_types = ['a', ('b']` is a syntax error: the bracket ( in line 1 is not \
             closed, so what follows is not read",
        ),
        (
            "collectd_types = [x for x in f(1]\n]\nlog_level = 'INFO'",
            "1: `collectd_types = [x for x in f(1]` is a syntax error: the bracket ( in line 1 is \
             not closed",
        ),
        (
            "debug = 1\nprint('(', # (\n",
            "2: `print('(', # (` is a syntax error: the bracket ( in line 2 is not closed, so what \
             follows is not read",
        ),
        (
            "collectd_types = ['a]",
            "1: `collectd_types = ['a]` is a syntax error: the closing quote is missing",
        ),
        (
            "directory = \"\"\"x\ny",
            "1: `directory = \"\"\"x` is a syntax error: the closing quote is missing",
        ),
    ] {
        assert_eq!(notes(file), [expected], "{file:?}");
    }
}

#[test]
fn a_handler_that_is_not_accepted_does_not_cost_the_others() {
    let file = "metricsd_handlers = [('a', 1), ('(', 2), ('c', 3, 9)]";
    let accept = |line: &str| match line.contains('(') {
        true => Err("unclosed group".to_owned()),
        false => Ok(()),
    };
    let translation = translate(file, &accept);
    let last = translation.broker.last().unwrap().to_string();
    assert_eq!(last, "metricsd-handler = [\"a=1\", \"c=3@9\"]");
    let [note] = &translation.notes.into_iter().filter(|note| note.is_loss).collect::<Vec<_>>()[..]
    else {
        panic!("one handler is omitted")
    };
    assert_eq!(note.text, "metricsd_handlers: the handler `(=2` is omitted: unclosed group");
}

#[test]
fn a_domain_that_bucky_never_finds_is_omitted() {
    let file = "name_host_trim = ['.example.com', 'local']";
    let of_hosts: Vec<_> = lines(file).hosts.iter().map(ToString::to_string).collect();
    assert!(of_hosts.contains(&"trim-host = \"local\"".to_owned()), "{of_hosts:?}");
    let [note] = &notes(file)[..] else { panic!("{:?}", notes(file)) };
    assert!(note.contains("`.example.com` is omitted: it begins with a dot"), "{note}");
}

#[test]
fn a_file_without_a_key_of_bucky_is_noticed() {
    for (file, is_another) in [
        ("", false),
        ("# nothing", false),
        ("foo = 1", true),
        ("import os\nfoo = 1\nprint(foo)", true),
        ("import os\nstatsd_port = os.getpid()", false),
        ("import os\nnice = 1", false),
    ] {
        assert_eq!(lines(file).is_of_another_program, is_another, "{file:?}");
    }
}

#[test]
fn a_syntax_error_that_hides_the_rest_is_an_error() {
    for (file, expected) in [
        ("statsd_port = (8125\ndebug = True\n", Some("line 1: `statsd_port = (8125` is a syntax")),
        ("debug = 1\ndef f(:\n  pass\nstatsd_port = 1\n", Some("line 2: `def f(:` is a syntax")),
        ("directory = \"\"\"x\nstatsd_port = 1\n", Some("line 1: `directory = ")),
        ("\"\"\"x\nstatsd_port = 1\n", Some("the closing quote is missing")),
        ("debug = 1\nstatsd_port = (8125\n", None),
        ("directory = 'x\nstatsd_port = 1\n", None),
    ] {
        let unread = lines(file).unread;
        assert_eq!(unread.is_some(), expected.is_some(), "{file:?}: {unread:?}");
        assert!(unread.unwrap_or_default().contains(expected.unwrap_or_default()), "{file:?}");
    }
}

#[test]
fn what_is_used_instead_of_a_value_is_said() {
    for (file, expected) in [
        (
            "\tcollectd_enabled = False",
            "1: `collectd_enabled = False` is a syntax error: it is indented; begin it at the margin",
        ),
        (
            "collectd_security_level = 7",
            "1: collectd_security_level: expected 1 or 2, or sign or encrypt; bucky takes it as 0, \
             which protects nothing",
        ),
        ("collectd_security_level = 0", ""),
        (
            "metricsd_default_interval = -1",
            "1: metricsd_default_interval: expected 1 to 86400 seconds; bucky's default of 10 is used",
        ),
        (
            "statsd_port = 70000",
            "1: statsd_port: expected a port up to 65535 (bucky's default here is 8125); bucky's \
             default is used",
        ),
        (
            "statsd_flush_time = '10s'",
            "1: statsd_flush_time: expected a number; bucky's default is used",
        ),
        (
            "collectd_ip = '*'",
            "1: collectd_ip: `*` is no address; 127.0.0.1 is used; give 0.0.0.0 for all",
        ),
        ("statds_port = 99", "1: statds_port: bucky has no such key; did you mean statsd_port?"),
        (
            "statsd_percentile_thresholds = [50, 99.9, -1, 200]",
            "1: statsd_percentile_thresholds: 200 is omitted: expected -100 to 100, and not 0",
        ),
        ("name_prefix = 'a\\nb'", "1: name_prefix: a part with a control character is omitted"),
    ] {
        assert_eq!(notes(file).join("\n"), expected, "{file}");
    }
    for (file, line) in [
        ("metricsd_default_interval = 1e308", "flush = 10"),
        ("metricsd_default_interval = -1", "flush = 10"),
    ] {
        let hosts: Vec<_> = lines(file).hosts.iter().map(ToString::to_string).collect();
        assert!(hosts.contains(&line.to_owned()), "{hosts:?}");
    }
}

#[test]
fn an_intake_whose_address_is_not_accepted_has_no_other_lines() {
    let accept = |line: &str| match line.starts_with("statsd = ") {
        true => Err("no".to_owned()),
        false => Ok(()),
    };
    let broker =
        translate("statsd_ip = 'no address'\nstatsd_persistent_gauges = True", &accept).broker;
    assert!(broker.iter().all(|setting| !setting.key.starts_with("statsd")), "{broker:?}");
    assert!(broker.iter().any(|setting| setting.key == "collectd-level"), "{broker:?}");
}
