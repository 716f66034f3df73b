//! From the keys of bucky to those of `zibrato-broker`.

use super::carbon;
use super::file::{Statement, What, statements};
use super::given::{Given, Note, as_number};
use super::keys::{all_keys, is_harmless, is_known, without_equivalent};
use super::literal::Literal;
use super::setting::{Setting, Value};
use std::net::IpAddr;
use zibrato::daemon::nearest;

/// The translation of a file.
#[derive(Debug)]
pub(super) struct Translation {
    pub(super) broker: Vec<Setting>,
    /// For a `zibrato-carbon` that delivers what comes by StatsD; empty if StatsD is off.
    pub(super) statsd: Vec<Setting>,
    /// For one that delivers what comes by CollectD and MetricsD; empty if both are off.
    pub(super) hosts: Vec<Setting>,
    /// Comments, by line.
    pub(super) notes: Vec<Note>,
    /// Whether the file has statements, but assigns no key of bucky.
    pub(super) is_of_another_program: bool,
    /// The syntax error that hides the rest of the file, if there is one.
    pub(super) unread: Option<String>,
}

/// Whether `zibrato-broker` accepts a line of a configuration file, and why not.
pub(super) type Accept<'a> = &'a dyn Fn(&str) -> Result<(), String>;

/// Translates a file.
pub(super) fn translate(text: &str, accept: Accept<'_>) -> Translation {
    let statements = statements(text);
    let unread = statements.iter().find_map(|Statement { line, what }| match what {
        What::Faulty { text, why, hides_rest: true, .. } => {
            Some(format!("line {line}: `{text}` is a syntax error: {why}"))
        }
        _ => None,
    });
    let has_statements = !statements.is_empty();
    let given = Given::new(statements, without_equivalent);
    let is_of_another_program = has_statements && !given.assigned().iter().any(|key| is_known(key));
    let mut broker = Vec::new();
    statsd(&given, &mut broker);
    collectd(&given, &mut broker);
    metricsd(&given, &mut broker, accept);
    logging(&given, &mut broker);
    let (statsd, hosts) = (carbon::statsd(&given), carbon::hosts(&given));
    broker.retain(|setting: &Setting| {
        let accepted = accept(&setting.to_string());
        if let Err(why) = &accepted {
            let text =
                format!("zibrato-broker does not accept `{setting}`, so it is omitted: {why}");
            given.note(setting.from, text);
        }
        accepted.is_ok()
    });
    // Without its address, an intake must have no other flags.
    for intake in ["statsd", "collectd", "metricsd"] {
        if !broker.iter().any(|setting| setting.key == intake) {
            broker.retain(|setting| {
                !setting.key.strip_prefix(intake).is_some_and(|rest| rest.starts_with('-'))
            });
        }
    }
    for (key, _) in given.keys() {
        if let Some(why) = without_equivalent(key) {
            if given.value(key).is_some_and(|value| !is_harmless(key, value)) {
                given.note(key, why);
            }
        } else if !is_known(key) {
            let near = nearest(key, all_keys());
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            given.note(key, format!("bucky has no such key{near}"));
        }
    }
    let notes = given.into_notes();
    Translation { broker, statsd, hosts, notes, is_of_another_program, unread }
}

fn statsd(given: &Given, broker: &mut Vec<Setting>) {
    if !given.boolean("statsd_enabled", true) {
        return;
    }
    let address = given.address("statsd_ip", "statsd_port", 8125);
    note_exposed(given, "statsd_ip", "");
    broker.push(Setting::text("statsd", address, "statsd_ip"));
    broker.push(Setting::text("statsd-level", "statsd", "statsd_ip"));
    if given.boolean("statsd_persistent_gauges", false) {
        let file = given.text("statsd_gauges_savefile").unwrap_or("gauges.save".to_owned());
        let folder = given.text("directory").unwrap_or("/var/lib/bucky".to_owned());
        let file = std::path::Path::new(&folder).join(file).display().to_string();
        broker.push(Setting::text("statsd-gauges", file, "statsd_persistent_gauges"));
    }
}

fn collectd(given: &Given, broker: &mut Vec<Setting>) {
    if !given.boolean("collectd_enabled", true) {
        return;
    }
    let address = given.address("collectd_ip", "collectd_port", 25826);
    broker.push(Setting::text("collectd", address, "collectd_ip"));
    broker.push(Setting::text("collectd-level", "collectd", "collectd_ip"));
    let types = given.texts("collectd_types");
    if !types.is_empty() {
        broker.push(Setting::new("collectd-types", Value::Texts(types), "collectd_types"));
    }
    if let Some(file) = given.text("collectd_auth_file") {
        broker.push(Setting::text("collectd-auth-file", file, "collectd_auth_file"));
    }
    const LEVELS: &str = "1 or 2, or sign or encrypt; bucky takes it as 0, which protects nothing";
    let level = given.value("collectd_security_level").and_then(|level| match level {
        Literal::Integer(1) => Some("sign"),
        Literal::Integer(2) => Some("encrypt"),
        Literal::Text(word) if matches!(&**word, "sign" | "Sign" | "SIGN") => Some("sign"),
        Literal::Text(word) if matches!(&**word, "encrypt" | "Encrypt" | "ENCRYPT") => {
            Some("encrypt")
        }
        Literal::Integer(0) | Literal::None => None,
        _ => {
            given.note("collectd_security_level", format!("expected {LEVELS}"));
            None
        }
    });
    if let Some(level) = level {
        broker.push(Setting::text("collectd-security-level", level, "collectd_security_level"));
    }
    if level.is_none() {
        let or = ", or sign with collectd-security-level and collectd-auth-file";
        note_exposed(given, "collectd_ip", or);
    }
    if given.boolean("collectd_counter_eq_derive", false) {
        let from = "collectd_counter_eq_derive";
        broker.push(Setting::new("collectd-counter-eq-derive", Value::True, from));
    }
}

fn metricsd(given: &Given, broker: &mut Vec<Setting>, accept: Accept<'_>) {
    if !given.boolean("metricsd_enabled", true) {
        return;
    }
    let address = given.address("metricsd_ip", "metricsd_port", 23632);
    note_exposed(given, "metricsd_ip", "");
    broker.push(Setting::text("metricsd", address, "metricsd_ip"));
    broker.push(Setting::text("metricsd-level", "metricsd", "metricsd_ip"));
    if let Some(seconds) = given.number("metricsd_default_interval") {
        let from = "metricsd_default_interval";
        broker.push(Setting::new("metricsd-interval", Value::Number(seconds), from));
    }
    let (key, expected) = ("metricsd_handlers", "a list of (pattern, seconds, priority)");
    let handlers = given.expect(key, expected, |value| match value {
        Literal::List(handlers) => handlers.iter().map(handler).collect::<Option<Vec<_>>>(),
        _ => None,
    });
    let setting = |handlers| Setting::new("metricsd-handler", Value::Texts(handlers), key);
    let mut handlers = handlers.unwrap_or_default();
    // One invalid handler does not cost the others.
    handlers.retain(|handler| {
        let accepted = accept(&setting(vec![handler.clone()]).to_string());
        if let Err(why) = &accepted {
            given.note(key, format!("the handler `{handler}` is omitted: {why}"));
        }
        accepted.is_ok()
    });
    if !handlers.is_empty() {
        broker.push(setting(handlers));
    }
}

/// Says what the broker needs to listen at an address that other machines can reach.
fn note_exposed(given: &Given, key: &str, or: &str) {
    let Some(host) = given.text(key).filter(|host| host != "*") else { return };
    let is_loopback = host.parse::<IpAddr>().map_or(host == "localhost", |ip| ip.is_loopback());
    if !is_loopback {
        given.note(key, format!("other machines can reach {host}; add `insecure = true`{or}"));
    }
}

fn handler(handler: &Literal) -> Option<String> {
    let Literal::List(parts) = handler else { return None };
    match &parts[..] {
        [Literal::Text(pattern), seconds] => Some(format!("{pattern}={}", as_number(seconds)?)),
        [Literal::Text(pattern), seconds, priority] => {
            Some(format!("{pattern}={}@{}", as_number(seconds)?, as_number(priority)?))
        }
        _ => None,
    }
}

fn logging(given: &Given, broker: &mut Vec<Setting>) {
    let level = given.expect("log_level", "the name or number of a level", |level| match level {
        Literal::Integer(level) => Some(match level {
            40.. => "error",
            30.. => "warn",
            20.. => "info",
            _ => "debug",
        }),
        Literal::Text(level) => Some(match &**level {
            "CRITICAL" | "ERROR" => "error",
            "WARNING" => "warn",
            "INFO" => "info",
            "DEBUG" => "debug",
            _ => return None,
        }),
        _ => None,
    });
    // It counts more than the level of the file.
    if given.boolean("debug", false) {
        broker.push(Setting::text("log-level", "debug", "debug"));
    } else if let Some(level) = level {
        broker.push(Setting::text("log-level", level, "log_level"));
    }
}
