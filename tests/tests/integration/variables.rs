//! Programs that are configured by environment variables. Variables are set in child processes
//! only.

use super::notices::{configured, counts, statistics};
use std::collections::BTreeMap;
use zibrato_broker::{Broker, Config};
use zibrato_tests::{DEADLINE, Received, wait_until};

/// The error of a program that cannot be configured.
fn error(settings: &[&str], variables: &[(&str, &str)]) -> String {
    let mut program = configured(settings, variables);
    assert_eq!(program.ended().code(), Some(1));
    program.output()
}

#[test]
fn a_program_finds_its_broker_by_variables() {
    let broker = Broker::start(Config::new().port(0)).unwrap();
    let subscriber = Received::subscriber(&broker.endpoint(broker.publish_port()));
    wait_until(DEADLINE, "the subscription", || broker.wanted().wants("info"));
    let port = broker.port().to_string();
    let address = [("ZIBRATO_HOST", "127.0.0.1"), ("ZIBRATO_PORT", &*port)];
    for (settings, source, expected) in [
        (&[][..], "web-1", "web-1"),
        (&[], "", "not_specified"),
        (&["source=code"], "web-1", "code"),
        (&["source=code", "env_overrides"], "web-1", "web-1"),
        (&["source=code", "env_overrides"], "", "code"),
    ] {
        let variables = [&address[..], &[("ZIBRATO_SOURCE", source)]].concat();
        let stats = statistics(&mut configured(settings, &variables));
        assert!(stats.contains("recorded: 2, delivered: 2,"), "{stats}");
        // Two counts are two batches if an interval ends between them.
        let mut received = Received::default();
        while received.counts().values().sum::<f64>() < 2.0 {
            received.read(&subscriber);
        }
        assert_eq!(received.counts(), BTreeMap::from([("info configured.calls", 2.0)]));
        assert_eq!(received.sources.iter().collect::<Vec<_>>(), [expected]);
    }
    // The code has another port. The one of a service of Kubernetes counts as unset.
    let code = format!("port={port}");
    for (settings, port) in [
        (&[&*code][..], "1"),
        (&[&*code], "none"),
        (&["port=1", "env_overrides"], &*port),
        (&[&*code, "env_overrides"], "tcp://10.0.0.1:5550"),
    ] {
        let variables = [
            ("ZIBRATO_PORT", port),
            ("ZIBRATO_SERVICE_HOST", "10.0.0.1"),
            ("ZIBRATO_SERVICE_PORT", "5550"),
        ];
        let stats = statistics(&mut configured(settings, &variables));
        assert!(stats.contains("recorded: 2, delivered: 2,"), "{settings:?} {port}: {stats}");
    }
}

#[test]
fn a_level_that_the_variable_does_not_name_is_not_measured() {
    let setting = ["port=1", "flush_deadline_ms=0"];
    let stats = statistics(&mut configured(&setting, &[("ZIBRATO_LEVELS", "warn,billing")]));
    assert!(stats.contains("recorded: 0, "), "{stats}");
    let mut program = configured(&setting, &[("ZIBRATO_LEVELS", "warn,inof")]);
    let line = program.says(&["`info`"]);
    assert_eq!(
        line,
        "WARN zibrato: nothing is measured at level `info`, because Builder::levels or \
         ZIBRATO_LEVELS has the level `inof` in its place; is that a misspelling?"
    );
    assert!(statistics(&mut program).contains("recorded: 0, "));
    for all in ["info", "*", ""] {
        let stats = statistics(&mut configured(&setting, &[("ZIBRATO_LEVELS", all)]));
        assert!(stats.contains("recorded: 2, "), "{all}: {stats}");
    }
}

#[test]
fn an_invalid_variable_is_an_error_that_says_how_to_mend_it() {
    let kubernetes = "is an address, not a port; give the number alone. Kubernetes and Docker set \
                      this variable for a service called zibrato: to prevent that, set \
                      `enableServiceLinks: false` in the pod, or set the variable in the container";
    for (variable, value, words) in [
        (
            "ZIBRATO_PORT",
            "5550x",
            "is not a port; give a number from 1 to 65534 (the broker's default is 5550)",
        ),
        ("ZIBRATO_PORT", "tcp://10.0.0.1:5550", kubernetes),
        (
            "ZIBRATO_CONTROL_PORT",
            "x",
            "is not a port; give a number from 1 to 65535 (the broker's default is 5551)",
        ),
        (
            "ZIBRATO_LEVELS",
            "info warn",
            "must separate levels by commas; give levels as in `info,warn`, or `*` for all",
        ),
        (
            "ZIBRATO_DISABLED",
            "no",
            "is neither true nor false; give `true` or `1`, or `false` or `0`",
        ),
    ] {
        let error = error(&[], &[(variable, value)]);
        assert_eq!(error, format!("{variable}=\"{value}\" {words}\n"));
    }
    let secret = "secret:0123456789012345678901234567890123456789";
    let host = error(&[], &[("ZIBRATO_HOST", "-")]);
    assert!(host.starts_with("ZIBRATO_HOST=\"-\" is not a host; give a name"), "{host}");
    let half = error(&[], &[("ZIBRATO_CURVE_KEY", secret)]);
    assert!(half.starts_with("ZIBRATO_CURVE_KEY is given without ZIBRATO_SERVER_KEY;"), "{half}");
    let keys = [("ZIBRATO_CURVE_KEY", secret), ("ZIBRATO_SERVER_KEY", "/nonexistent/broker.pub")];
    let missing = error(&[], &keys);
    assert!(missing.starts_with("ZIBRATO_SERVER_KEY /nonexistent/broker.pub: "), "{missing}");
    assert_eq!(missing.matches("/nonexistent/broker.pub: ").count(), 1, "{missing}");
    assert!(!half.contains("01234567") && !missing.contains("01234567"));
}

#[test]
fn a_disabled_instrument_measures_nothing_and_needs_nothing() {
    for value in ["1", "true"] {
        // No other setting is read.
        let variables = [("ZIBRATO_DISABLED", value), ("ZIBRATO_PORT", "none")];
        let mut program = configured(&["port=0"], &variables);
        counts(&program);
        let threads = std::fs::read_dir(format!("/proc/{}/task", program.id())).unwrap();
        assert_eq!(threads.count(), 1);
        let stats = statistics(&mut program);
        assert!(stats.contains("recorded: 0, ") && stats.contains("disabled: true"), "{stats}");
    }
    let enabled = [("ZIBRATO_DISABLED", "0")];
    let stats = statistics(&mut configured(&["port=1", "flush_deadline_ms=0"], &enabled));
    assert!(stats.contains("recorded: 2, ") && stats.contains("disabled: false"), "{stats}");
}
