//! An HTTP service: each request is counted and timed by route and status, with no more code than
//! with the crate `metrics`.

use super::requests::{self, Mix};
use super::{Stage, source};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;
use zibrato_tests::{Ports, Running, Signal, program, repository};

const MIX: &Mix = &[
    ("/", "/", 200, 40),
    ("/orders/7", "/orders/{number}", 200, 25),
    ("/orders/8?full", "/orders/{number}", 200, 20),
    ("/orders/0", "/orders/{number}", 500, 11),
    ("/orders/100", "/orders/{number}", 404, 9),
    ("/orders/x", "/orders/{number}", 400, 5),
    ("/nothing", "none", 404, 7),
];

fn serve(command: &mut Command, ports: &Ports) -> Running {
    let mut service = Running::start(command.arg(format!("127.0.0.1:{}", ports.at(0))));
    service.listens(ports.at(0));
    service
}

#[test]
fn requests_arrive_by_route_and_status() {
    let (stage, ports) = (Stage::set(), Ports::take());
    let mut service = serve(&mut stage.recipe("http-service"), &ports);
    requests::send(ports.at(0), MIX);
    assert_eq!(service.stop(Signal::TERM).code(), Some(0));

    let mut expected = BTreeMap::new();
    for ((route, status), times) in requests::by_route(MIX) {
        let series = format!("info http.requests route={route} status={status}");
        expected.insert(series, f64::from(times));
        if status == 500 {
            expected.insert(format!("error http.errors route={route}"), f64::from(times));
        }
    }
    let received = stage.received();
    assert_eq!(received.counts(), expected.iter().map(|(k, v)| (k.as_str(), *v)).collect());
    assert_eq!(received.sources.iter().collect::<Vec<_>>(), ["shop"]);
    for route in ["/", "/orders/{number}", "none"] {
        let in_flight = received.gauge(&format!("info http.requests.in_flight route={route}"));
        assert_eq!(in_flight.last, 0.0, "{route}");
    }
}

#[test]
fn a_running_request_is_in_flight() {
    const IN_FLIGHT: &str = "info http.requests.in_flight route=/orders";
    let (mut stage, ports) = (Stage::set(), Ports::take());
    let mut service = serve(&mut stage.recipe("http-service"), &ports);
    // The service waits for the rest of this request.
    let mut client = requests::connect(ports.at(0));
    let head = "POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nte";
    client.write_all(head.as_bytes()).unwrap();
    stage.waits_for("the gauge", |received| received.series.contains_key(IN_FLIGHT));
    assert_eq!(stage.received.gauge(IN_FLIGHT).last, 1.0);
    client.write_all(b"a").unwrap();
    stage.waits_for("the gauge", |received| received.gauge(IN_FLIGHT).last == 0.0);
    assert_eq!(service.stop(Signal::TERM).code(), Some(0));
    let expected = [("info http.requests route=/orders status=200", 1.0)];
    assert_eq!(stage.received().counts(), expected.into());
}

#[test]
fn the_same_service_with_the_crate_metrics_shows_the_same_numbers() {
    let ports = Ports::take();
    let mut service = serve(&mut Command::new(program("http-service-metrics")), &ports);
    requests::send(ports.at(0), MIX);
    let (_, page) = requests::get(ports.at(0), "/metrics");
    let mut expected = Vec::new();
    for ((route, status), times) in requests::by_route(MIX) {
        let labels = format!("{{route=\"{route}\",status=\"{status}\"}}");
        expected.push(format!("http_requests_seconds_count{labels} {times}"));
        if status == 500 {
            expected.push(format!("http_errors_total{{route=\"{route}\"}} {times}"));
        }
    }
    let is_count = |line: &&str| line.contains("_total") || line.contains("_count");
    let mut found: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
    found.retain(is_count);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert!(page.contains("\nhttp_requests_in_flight{route=\"/\"} 0\n"), "{page}");
    assert_eq!(service.stop(Signal::TERM).code(), Some(0));
}

/// The lines of code that the other program does not have.
fn own_lines(program: &str, other: &str) -> Vec<String> {
    let lines = |name| {
        let text = source(name);
        let lines = text.lines().map(|line| line.trim().to_owned());
        let is_code = |line: &String| !line.is_empty() && !line.starts_with("//");
        lines.filter(is_code).collect::<Vec<_>>()
    };
    let (mut own, theirs) = (lines(program), lines(other));
    for line in theirs {
        if let Some(same) = own.iter().position(|one| *one == line) {
            own.remove(same);
        }
    }
    own
}

#[test]
fn the_service_needs_no_more_lines_than_with_the_crate_metrics() {
    let [service, compared] = ["http-service", "http-service-metrics"];
    let (ours, theirs) = (own_lines(service, compared), own_lines(compared, service));
    assert!(ours.len() <= theirs.len(), "{ours:#?}\n{theirs:#?}");
    let document = std::fs::read_to_string(repository().join("docs/recipes.md")).unwrap();
    let said = format!("it needs {} lines, and this one needs {}.", theirs.len(), ours.len());
    assert!(document.contains(&said), "{said}");
}
