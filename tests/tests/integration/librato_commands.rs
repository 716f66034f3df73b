//! `zibrato-librato check`, `submit` and `--dry-run`, and its flags about measurements.

use std::net::TcpListener;
use std::process::{Command, ExitStatus};
use std::time::Duration;
use zibrato::Zibrato;
use zibrato::clock::unix_ms;
use zibrato_tests::fake::{FakeLibrato, Reply};
use zibrato_tests::{Broker, DEADLINE, Running, Signal, program, wait_until};

const CREDENTIALS: [&str; 4] =
    ["--username", FakeLibrato::USERNAME, "--apitoken", FakeLibrato::APITOKEN];

/// Status, output and log of `zibrato-librato` with these arguments.
fn run(args: &[&str]) -> (ExitStatus, String, String) {
    Running::run(Command::new(program("zibrato-librato")).args(args))
}

fn check(url: &str, flags: &[&str]) -> (ExitStatus, String, String) {
    run(&[&["check", "--api-url", url], flags].concat())
}

#[test]
fn check_resolves_connects_and_authenticates() {
    let fake = FakeLibrato::start().unwrap();
    let (url, at) = (fake.url(), fake.url().trim_start_matches("http://").to_owned());
    let line = |text: &str| format!("{url}: {text}\n");
    let resolves = line("ok: 127.0.0.1 resolves to 127.0.0.1");
    let connects = line(&format!("ok: {at} accepts connections"));
    for api in ["source", "tagged"] {
        let (status, output, log) = check(&url, &[&CREDENTIALS[..], &["--api", api]].concat());
        assert!(status.success(), "{log}");
        assert_eq!(
            output,
            format!("{resolves}{connects}{}", line("ok: the credentials are accepted"))
        );
    }
    assert!(fake.requests().is_empty() && fake.gauges().is_empty(), "nothing is delivered");

    let wrong = ["--username", FakeLibrato::USERNAME, "--apitoken", "tok-wrong"];
    let (status, output, _) = check(&url, &wrong);
    assert_eq!(status.code(), Some(69));
    let refused = "failed: Librato answered 401: request: Authorization Required; check --username \
                   and --apitoken-file (or --apitoken)";
    assert_eq!(output, format!("{resolves}{connects}{}", line(refused)));

    for (reply, says) in [
        (
            Reply::status(401).body(r#"{"errors":{"request":["the token has expired"]}}"#),
            "failed: Librato answered 401: request: the token has expired; check --username",
        ),
        (
            Reply::status(200).body("<html><title>It works!</title>"),
            "failed: Librato answered 200: the page \"It works!\"; that is a web page and not an API; \
             check --api-url",
        ),
        (Reply::status(501), "ok: the server answers, but has no list of metrics (501), so"),
        (Reply::status(404), "failed: Librato answered 404: no explanation; check --api-url"),
        (
            Reply::status(302).header("Location", "https://elsewhere.example/v1/metrics"),
            "failed: Librato answered 302: the API has moved to https://elsewhere.example/v1/metrics",
        ),
        (Reply::status(503).body("later"), "failed: Librato answered 503: later"),
        (
            Reply::status(410).body("AppOptics has reached End of Service."),
            "check --api-url. Librato and AppOptics ended between 2025-11-30 and 2026-01-31.",
        ),
    ] {
        fake.answer_always(Some(reply.clone()));
        let (_, output, _) = check(&url, &CREDENTIALS);
        assert!(output.contains(says), "{reply:?}: {output}");
    }
    fake.answer_always(Some(Reply::hang()));
    let (status, output, _) = check(&url, &[&CREDENTIALS[..], &["--timeout", "0.3"]].concat());
    assert!(
        status.code() == Some(69) && output.contains("failed: no answer within 300ms"),
        "{output}"
    );

    drop(fake);
    let (status, output, _) = check(&url, &CREDENTIALS);
    assert_eq!(status.code(), Some(69));
    let refused = line(&format!(
        "failed: --api-url: cannot connect to {at}: Connection refused (os error 111)"
    ));
    assert_eq!(output, format!("{resolves}{refused}"));
}

#[test]
fn the_service_that_has_ended_is_named_with_the_ways_on() {
    // The service's host behind a proxy that nobody runs, so that no test asks for the real one.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(program("zibrato-librato"));
    command.arg("check").args(CREDENTIALS).env("HTTPS_PROXY", format!("http://{closed}"));
    let (status, output, _) = Running::run(&mut command);
    assert_eq!(status.code(), Some(69));
    for way in
        ["https://metrics-api.librato.com", "ended", "--api-url", "--librato", "zibrato-carbon"]
    {
        assert!(output.contains(way), "{way}: {output}");
    }
    let broker = Broker::start();
    let state = tempfile::tempdir().unwrap();
    let mut command = Command::new(program("zibrato-librato"));
    command.args(CREDENTIALS).env("HTTPS_PROXY", format!("http://{closed}"));
    command.args(["--port", &broker.publishing_port().to_string(), "--flush", "1"]);
    command.arg("--dead-letters").arg(state.path());
    let mut worker = Running::start(&mut command);
    worker.says(&["event=\"backend_unreachable\"", "ended between", "--librato HOST:PORT"]);
    worker.says(&["event=\"broker_connected\""]);
    publisher(&broker).count("info", "logins", 1);
    worker.says(&["event=\"retry\"", "ended between", "zibrato-carbon"]);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn one_point_is_submitted_with_its_source() {
    let fake = FakeLibrato::start().unwrap();
    let url = fake.url();
    let submit = |args: &[&str]| {
        let flags = [&["submit", "--api-url", &url], &CREDENTIALS[..], args].concat();
        run(&flags)
    };
    let (status, output, log) = submit(&["--source", "web 1", "queue depth", "-3.5"]);
    assert!(status.success(), "{log}");
    assert!(
        output.starts_with(&format!("{url}: sent: {{\"gauges\":[{{\"name\":\"queue-depth_")),
        "{output}"
    );
    let (status, _, log) = submit(&["--api", "tagged", "--tag", "env=prod", "logins;dc=fra", "2"]);
    assert!(status.success(), "{log}");
    let got: Vec<_> = fake.gauges().into_iter().map(|((source, name), _)| (source, name)).collect();
    assert!(got[0].0 == "not_specified" && got[0].1 == "logins;dc=fra;env=prod", "{got:?}");
    assert!(got[1].0.starts_with("web-1_") && got[1].1.starts_with("queue-depth_"), "{got:?}");

    let (status, output, _) =
        submit(&["--dry-run", "logins", "2", "1700000000", "--accept-past", "0"]);
    let expected = "{\"gauges\":[{\"name\":\"logins\",\"source\":\"not_specified\",\
                    \"measure_time\":1700000000,\"value\":2.0}]}\n";
    assert!(status.success() && output == expected, "{output}");
    for (time, reason) in [("0", "past"), ("4102444800", "future")] {
        let (status, _, log) = submit(&["logins", "2", time]);
        assert_eq!(status.code(), Some(64));
        assert!(log.contains(&format!("--accept-{reason} 0")), "{log}");
    }
    for (args, why) in [
        (&["logins", "nan"][..], "expected a finite number"),
        (&["--tag", "env=prod", "logins", "1"], "--tag env=prod is for --api tagged"),
        (&["--api", "tagged", "--tag", "env", "logins", "1"], "expected NAME=VALUE"),
        (&["--percentiles", "101", "logins", "1"], "`101` is not a percentile"),
        (&["--accept-past", "-1", "logins", "1"], "expected a number of seconds"),
    ] {
        let (status, _, log) = submit(args);
        assert!(!status.success() && log.contains(why), "{log}");
    }
    fake.answer_with(Reply::status(429).body(r#"{"error":"API limit"}"#));
    let (status, output, _) = submit(&["logins", "2"]);
    assert!(
        status.code() == Some(69) && output.contains("not sent: Librato answered 429"),
        "{output}"
    );
    assert_eq!(fake.gauges().len(), 2);
}

fn publisher(broker: &Broker) -> Zibrato {
    let builder = Zibrato::builder().port(broker.port()).source("web-1");
    builder.interval(Duration::from_millis(50)).build().unwrap()
}

#[test]
fn a_tagged_worker_delivers_tags_percentiles_and_gauges_by_second() {
    let (fake, broker) = (FakeLibrato::start().unwrap(), Broker::start());
    fake.accept_times(7_200, 300);
    let (url, state) = (fake.url(), tempfile::tempdir().unwrap());
    let (letters, port) = (state.path().display().to_string(), broker.worker_http_port());
    let http = format!("127.0.0.1:{port}");
    let mut flags = CREDENTIALS.to_vec();
    flags.extend(["--api-url", &url, "--dead-letters", &letters, "--flush", "3", "--http", &http]);
    flags.extend(["--api", "tagged", "--tag", "env=prod", "--percentiles", "50,99.9"]);
    let mut worker = broker.worker("zibrato-librato", &flags);
    worker.says(&["event=\"broker_connected\""]);
    let z = publisher(&broker);
    z.counter("info", "logins").with("dc", "fra").increment(2);
    (1..=100).for_each(|ms| z.time("info", "query", Duration::from_millis(ms)));
    let begun = unix_ms();
    let mut sets = 0;
    while unix_ms() < begun + 2_500 {
        z.set_gauge("info", "depth", 4.0);
        sets += 1;
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert_eq!(z.flush(DEADLINE).pending, 0);
    let of = |name: &str| {
        let name = format!("{name};env=prod");
        fake.gauges().get(&("web-1".to_owned(), name)).cloned().unwrap_or_default()
    };
    wait_until(DEADLINE, "all of it", || {
        of("depth").values().map(|total| total.count).sum::<u64>() == sets
            && fake
                .gauges()
                .contains_key(&("web-1".to_owned(), "logins;dc=fra;env=prod".to_owned()))
            && !of("query.p99.9").is_empty()
    });
    assert!(of("depth").len() >= 2, "{:?}", of("depth"));
    let query = of("query").values().next().copied().unwrap();
    assert_eq!((query.count, query.min, query.max), (100, 0.001, 0.1));
    let median = of("query.p50").values().next().unwrap().sum;
    assert!((0.0496..0.0508).contains(&median), "{median}");

    // A reading of 1970 and one of 2100, in lines of another program, are omitted alone.
    let lines = ["info|Gauge|old|1|1|x", "info|Gauge|new|1|4102444800|x", "info|Gauge|ok|1|NOW|x"];
    let push = zmq::Context::new().socket(zmq::PUSH).unwrap();
    push.connect(&format!("tcp://127.0.0.1:{}", broker.port())).unwrap();
    let now = (unix_ms() / 1000).to_string();
    lines.iter().for_each(|line| push.send(&line.replace("NOW", &now), 0).unwrap());
    wait_until(DEADLINE, "what is accepted", || {
        fake.gauges().contains_key(&("x".to_owned(), "ok;env=prod".to_owned()))
    });
    worker.says(&[
        "event=\"points_omitted\"",
        "reason=\"too_old\"",
        "first=\"old\"",
        "--accept-past",
    ]);
    worker.says(&["event=\"points_omitted\"", "reason=\"too_new\"", "first=\"new\""]);
    let page = Broker::page_at(port, "/metrics");
    for reason in ["too_old", "too_new"] {
        let line = format!("zibrato_worker_omitted_total{{reason=\"{reason}\"}} 1\n");
        assert!(page.contains(&line), "{page}");
    }
    assert!(page.contains("zibrato_worker_series_total{outcome=\"rejected\"} 0"), "{page}");
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn refused_credentials_are_reported_at_the_start() {
    let (fake, broker) = (FakeLibrato::start().unwrap(), Broker::start());
    let (url, state) = (fake.url(), tempfile::tempdir().unwrap());
    let letters = state.path().display().to_string();
    let wrong = ["--username", FakeLibrato::USERNAME, "--apitoken", "tok-wrong"];
    let flags = [&wrong[..], &["--api-url", &url, "--dead-letters", &letters]].concat();
    let mut worker = broker.worker("zibrato-librato", &flags);
    worker.says(&["event=\"credentials_refused\"", "401", "check --username and --apitoken-file"]);
    assert!(!worker.log().contains("tok-wrong"));
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}
