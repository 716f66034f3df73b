//! What a program reads about its measurements in its own log.

use crate::security::Keys;
use std::process::Command;
use std::time::Duration;
use zibrato_tests::{Broker, DEADLINE, Ports, Running, Signal, wait_until};

/// A program with these settings in its code and these variables, which writes its log to standard
/// error.
pub(super) fn configured(settings: &[&str], variables: &[(&str, &str)]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_configured"));
    command.args(settings).envs(variables.iter().copied());
    Running::start(&mut command)
}

pub(super) fn counts(program: &Running) {
    wait_until(DEADLINE, "the program to count", || program.output().contains("counted"));
}

/// Ends a program after it has counted. Returns its last statistics.
pub(super) fn statistics(program: &mut Running) -> String {
    counts(program);
    assert!(program.stop(Signal::TERM).success());
    program.output().lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_program_that_ends_without_a_broker_says_what_it_lost() {
    let port = Ports::take().at(0);
    let port_setting = format!("port={port}");
    let mut program = configured(&[&port_setting, "flush_deadline_ms=20"], &[]);
    let stats = statistics(&mut program);
    assert!(stats.contains("recorded: 2, delivered: 0"), "{stats}");
    let line = format!(
        "WARN zibrato: 2 measurements were lost when measuring ended: the broker at \
         tcp://127.0.0.1:{port} did not accept them within the flush deadline"
    );
    assert_eq!(program.log().lines().collect::<Vec<_>>(), [line]);
}

/// A program that reports at once that it has no contact with its broker. Returns it and the
/// report, without the time.
fn out_of_contact(flush_deadline: Duration, variables: &[(&str, &str)]) -> (Running, String) {
    let flush_deadline = format!("flush_deadline_ms={}", flush_deadline.as_millis());
    let mut program = configured(&["report_after_ms=0", &flush_deadline], variables);
    let line = program.says(&["no contact with a broker"]);
    let (before, after) = line.split_once(" for ").unwrap();
    let (seconds, reason) = after.split_once(" s: ").unwrap();
    seconds.parse::<u64>().unwrap();
    (program, format!("{before}: {reason}"))
}

/// The whole line of such a report.
fn report(address: &str, reason: &str) -> String {
    format!(
        "WARN zibrato: no contact with a broker at tcp://{address}: {reason}. Measurements \
         are summed up in memory until the broker is reached"
    )
}

/// Waits until the program reports that it is in contact again, and ends it. It has counted twice,
/// and its logger once for each report. There are two, and further ones if the machine is so busy
/// that the program misses the broker again.
fn comes_back(program: &mut Running, port: u16) {
    let line = program.says(&["in contact with"]);
    let begin =
        format!("INFO zibrato: in contact with the broker at tcp://127.0.0.1:{port} again after ");
    let middle = " s: nothing was lost; ";
    assert!(line.starts_with(&begin) && line.contains(middle), "{line}");
    assert!(line.ends_with(" measurements are being sent"), "{line}");
    let stats = statistics(program);
    let counts = 2 + program.log().lines().count();
    assert!(counts >= 4, "{stats}");
    let delivered = format!("recorded: {counts}, delivered: {counts}, unconfirmed: 0, pending: 0,");
    assert!(stats.contains(&delivered), "{delivered} {stats}");
    assert!(stats.contains("connected: true, unreachable: None"), "{stats}");
}

#[test]
fn a_program_reports_a_broker_that_is_gone_and_that_it_is_back() {
    let mut broker = Broker::start();
    let (port, address) = (broker.port(), format!("127.0.0.1:{}", broker.port()));
    broker.stop(Signal::TERM);
    let variables = [("ZIBRATO_PORT", &*port.to_string())];
    let (mut program, line) = out_of_contact(DEADLINE, &variables);
    let reason = format!(
        "connection refused by {address}; start the broker, or correct the host and the port"
    );
    assert_eq!(line, report(&address, &reason));
    assert_eq!(program.log().lines().count(), 1);
    broker.restart();
    comes_back(&mut program, port);
}

#[test]
fn a_program_reports_what_listens_on_a_wrong_port() {
    let broker = Broker::start();
    let (right, control) = (broker.port(), broker.publishing_port());
    for (port, reason) in [
        (
            control,
            format!(
                "port {control} is the one on which the broker publishes; give port {right} instead"
            ),
        ),
        (
            broker.http_port(),
            format!(
                "an HTTP server listens on port {}, not a broker; correct the host and the port",
                broker.http_port()
            ),
        ),
    ] {
        let (mut program, line) =
            out_of_contact(Duration::ZERO, &[("ZIBRATO_PORT", &port.to_string())]);
        assert_eq!(line, report(&format!("127.0.0.1:{port}"), &reason));
        assert!(statistics(&mut program).contains("unreachable: Some("));
    }
    // The port of acknowledgements is looked at, too.
    let variables = [
        ("ZIBRATO_PORT", &*right.to_string()),
        ("ZIBRATO_CONTROL_PORT", &*broker.legacy_port().to_string()),
    ];
    let (_program, line) = out_of_contact(Duration::ZERO, &variables);
    let reason = format!(
        "port {} is the one on which the broker serves publishers of Python Zibrato 0.2; give port \
         {control} instead",
        broker.legacy_port()
    );
    assert_eq!(line, report(&format!("127.0.0.1:{right}"), &reason));
}

#[test]
fn a_program_reports_an_unknown_host() {
    let (_program, line) = out_of_contact(Duration::ZERO, &[("ZIBRATO_HOST", "nowhere.invalid")]);
    let begin = "WARN zibrato: no contact with a broker at tcp://nowhere.invalid:5550: ";
    assert!(line.starts_with(begin), "{line}");
    assert!(line.contains("unknown host nowhere.invalid: failed to lookup"), "{line}");
    assert!(line.contains("; correct the host. "), "{line}");
}

#[test]
fn a_program_reports_a_broker_that_refuses_its_key_and_that_it_allows_it_later() {
    let keys = Keys::of(&["app"]);
    let flags = keys.broker_flags();
    let mut broker = Broker::start_with(&flags.each_ref().map(String::as_str));
    keys.revoke("app");
    broker.signal(Signal::HUP);
    let reloads = "zibrato_broker_key_reloads_total{result=\"used\"}";
    wait_until(DEADLINE, "the reload", || broker.metric(reloads) == 1.0);
    let (port, address) = (broker.port().to_string(), format!("127.0.0.1:{}", broker.port()));
    let (_program, line) = out_of_contact(Duration::ZERO, &[("ZIBRATO_PORT", &port)]);
    let reason = "the program that listens there encrypts its connections; give the broker's public \
                  key and this program's secret key in ZIBRATO_SERVER_KEY and ZIBRATO_CURVE_KEY, or \
                  with Builder::curve";
    assert_eq!(line, report(&address, reason));
    let [server, own, other] = ["broker.pub", "app.key", "app.pub"]
        .map(|file| keys.file(file).to_str().unwrap().to_owned());
    let variables = |server| {
        [("ZIBRATO_PORT", &*port), ("ZIBRATO_SERVER_KEY", server), ("ZIBRATO_CURVE_KEY", &*own)]
    };
    let (_program, line) = out_of_contact(Duration::ZERO, &variables(&other));
    let reason = "the program that listens there encrypts its connections, but not with these keys; \
                  ZIBRATO_SERVER_KEY or Builder::curve must contain the public key of this broker";
    assert_eq!(line, report(&address, reason));
    let (mut program, line) = out_of_contact(DEADLINE, &variables(&server));
    let key = keys.curve("app").public_key().to_string();
    let reason = format!(
        "the broker refuses this program's key {key}; add it to the broker's --allowed-keys"
    );
    assert_eq!(line, report(&address, &reason));
    keys.allow("app");
    broker.signal(Signal::HUP);
    comes_back(&mut program, broker.port());
}
