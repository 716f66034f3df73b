//! Measurements and names that cannot be sent, or hardly.

use super::client;
use serde_json::json;
use zibrato_tests::fake::{Reply, ScriptedServer};
use zibrato_workers::librato::client::{Client, Error, Measurement, Summary, sanitize_metric_name};

fn accepting() -> ScriptedServer {
    let server = ScriptedServer::start().unwrap();
    server.answer_always(Some(Reply::status(200)));
    server
}

#[test]
fn numbers_that_are_not_finite_are_refused_and_spoil_no_others() {
    let server = accepting();
    let client = client(&server).build().unwrap();
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let refused = |result: Result<(), Error>| {
            assert!(matches!(result, Err(Error::NotFinite { .. })), "{result:?}");
        };
        refused(client.submit(Measurement::gauge("t", number)));
        refused(client.submit(Measurement::summary("t", Summary::new(2, 1).max(number))));
        let mut queue = client.queue();
        refused(queue.add(Measurement::counter("t", number)));
        let mut aggregator = client.aggregator();
        aggregator.add("t", 1e308).unwrap();
        refused(aggregator.add("t", number));
        // The sum would be infinite.
        refused(aggregator.add("t", 1e308));
        queue.add(Measurement::gauge("t", 1)).unwrap();
        queue.add_aggregator(&mut aggregator).unwrap();
        queue.submit().unwrap();
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    let summary = json!({ "name": "t", "count": 1, "sum": 1e308, "min": 1e308, "max": 1e308 });
    for request in requests {
        let expected = json!({ "gauges": [{ "name": "t", "value": 1 }, summary], "counters": [] });
        assert_eq!(request.json.unwrap(), expected);
    }
}

#[test]
fn names_of_ten_kilobytes_are_sent_as_they_are_or_cut() {
    let server = accepting();
    let long = "é x".repeat(2500);
    let plain = client(&server).build().unwrap();
    let sanitized = client(&server).sanitizer(sanitize_metric_name).build().unwrap();
    for client in [&plain, &sanitized] {
        client.submit(Measurement::gauge(&*long, 1)).unwrap();
        client.metrics().delete(&long).unwrap();
    }
    let requests = server.requests();
    let name = |at: usize| requests[at].json.as_ref().unwrap()["gauges"][0]["name"].clone();
    assert_eq!(name(0), *long);
    assert_eq!(requests[1].path.len(), "/v1/metrics/".len() + 2500 * "%C3%A9%20x".len());
    let cut = sanitize_metric_name(&long);
    assert_eq!((name(2), cut.len()), (json!(cut), 255));
    assert_eq!(requests[3].path, format!("/v1/metrics/{cut}"));
}

#[test]
fn what_cannot_be_an_address_sends_nothing() {
    let server = accepting();
    let client = client(&server).build().unwrap();
    let longest = "x".repeat(70_000);
    for name in ["", ".", "..", &longest] {
        for error in [
            client.metrics().delete(name).map(drop).unwrap_err(),
            client.metrics().get(name).map(drop).unwrap_err(),
            client.annotations().delete_stream(name).unwrap_err(),
        ] {
            assert!(matches!(error, Error::InvalidAddress(_)), "{error}");
        }
    }
    assert_eq!(server.requests(), []);
}

#[test]
fn times_of_1970_and_2100_are_left_to_the_server() {
    let server = accepting();
    let times = [0, 1, 4_102_444_800, -1];
    let client = client(&server).build().unwrap();
    for time in times {
        client.submit(Measurement::gauge("t", 1).time(time)).unwrap();
        client.submit(Measurement::gauge("t", 1).tags([("a", "b")]).time(time)).unwrap();
    }
    let sent: Vec<_> = server.requests().into_iter().map(|request| request.json.unwrap()).collect();
    for (pair, time) in sent.chunks(2).zip(times) {
        assert_eq!(pair[0]["gauges"][0]["measure_time"], time);
        assert_eq!(pair[1]["measurements"][0]["time"], time);
    }
    let errors = json!({ "errors": { "params": { "measure_time": ["is too far in the past"] } } });
    server.answer_with(Reply::json(400, &errors));
    let error = client.submit(Measurement::gauge("t", 1).time(0)).unwrap_err();
    assert_eq!(error.to_string(), "[400] params: measure_time: is too far in the past");
    assert_eq!(error.payload().unwrap().errors()[0].path, ["params", "measure_time"]);
}

#[test]
fn clients_are_shared_between_threads() {
    let server = accepting();
    let client = client(&server).build().unwrap();
    let is_shared = |_: &(dyn Send + Sync)| ();
    is_shared(&client);
    std::thread::scope(|scope| {
        for at in 0..8 {
            let client: &Client = &client;
            scope.spawn(move || client.submit(Measurement::gauge("t", at)).unwrap());
        }
    });
    assert_eq!(server.requests().len(), 8);
}
