//! Queues, attempts, limits and connections.

use super::client;
use serde_json::json;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use zibrato_tests::fake::{Reply, Request, ScriptedServer};
use zibrato_tests::{Broker, Ports};
use zibrato_workers::librato::client::{
    Alert, ApiErrorKind, Client, Condition, Credentials, Error, Id, ListQuery, Measurement,
    RetryPolicy,
};

/// The number of measurements in a request.
fn count(request: &Request) -> usize {
    let body = request.json.as_ref().unwrap();
    let lists = ["gauges", "counters", "measurements"].iter();
    lists.filter_map(|list| body[*list].as_array()).map(Vec::len).sum()
}

fn counts(server: &ScriptedServer) -> Vec<usize> {
    server.requests().iter().map(count).collect()
}

fn fill(client: &Client, measurements: usize) -> zibrato_workers::librato::client::Queue {
    let mut queue = client.queue();
    for at in 0..measurements {
        queue.add(Measurement::gauge(format!("m{at}"), at)).unwrap();
    }
    queue
}

#[test]
fn a_queue_is_submitted_at_the_end_of_its_scope_also_by_a_panic() {
    let server = ScriptedServer::start().unwrap();
    server.answer_always(Some(Reply::status(200)));
    let client = client(&server).build().unwrap();
    drop(fill(&client, 301));
    assert_eq!(counts(&server), [300, 1]);
    let scope = || {
        let _queue = fill(&client, 2);
        std::panic::resume_unwind(Box::new("boom"));
    };
    catch_unwind(AssertUnwindSafe(scope)).unwrap_err();
    let early = || -> Result<(), std::num::ParseIntError> {
        let _queue = fill(&client, 3);
        "x".parse::<u8>().map(drop)
    };
    early().unwrap_err();
    assert_eq!(counts(&server), [300, 1, 2, 3]);
    drop(client.queue());
    let mut cleared = fill(&client, 4);
    cleared.clear();
    drop(cleared);
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn what_was_accepted_is_never_sent_again() {
    let server = ScriptedServer::start().unwrap();
    server.answer_always(Some(Reply::status(200)));
    server.answer_with(Reply::status(200));
    server.answer_with(Reply::json(422, &json!({ "error": "no" })));
    let client = client(&server).build().unwrap();
    let mut queue = fill(&client, 700);
    assert_eq!(queue.submit().unwrap_err().to_string(), "[422] no");
    assert_eq!((queue.len(), counts(&server)), (400, vec![300, 300]));
    queue.submit().unwrap();
    assert_eq!((queue.len(), counts(&server)), (0, vec![300, 300, 300, 100]));
    let mut aggregator = client.aggregator();
    (0..301).for_each(|at| aggregator.add(&format!("m{at}"), at).unwrap());
    server.answer_with(Reply::status(200));
    server.answer_with(Reply::status(404));
    aggregator.submit().unwrap_err();
    aggregator.submit().unwrap();
    assert!(aggregator.is_empty());
    assert_eq!(counts(&server)[4..], [300, 1, 1]);
}

#[test]
fn one_bad_measurement_is_found_among_three_hundred() {
    let server = ScriptedServer::start().unwrap();
    let bad = Reply::json(400, &json!({ "errors": { "params": { "name": ["is invalid"] } } }));
    // The fifth of eight: of all, of the right half, and so on.
    let good = Reply::status(200);
    for reply in [&bad, &good, &bad, &bad, &bad, &good, &good] {
        server.answer_with(reply.clone());
    }
    let client = client(&server).build().unwrap();
    let mut queue = fill(&client, 8);
    let mut rejected = Vec::new();
    queue.submit_isolating(|one| rejected.push(one)).unwrap();
    assert_eq!(counts(&server), [8, 4, 4, 2, 1, 1, 2]);
    assert_eq!((rejected.len(), queue.len()), (1, 0));
    assert_eq!(rejected[0].body, r#"{"gauges":[{"name":"m4","value":4}],"counters":[]}"#);
    assert_eq!(rejected[0].error.to_string(), "[400] params: name: is invalid");
    let mut queue = fill(&client, 301);
    assert_eq!((queue.skip(), queue.skip(), queue.skip()), (300, 1, 0));
}

#[test]
fn a_full_queue_refuses_measurements() {
    let server = ScriptedServer::start().unwrap();
    let client = client(&server).build().unwrap();
    let mut queue = client.queue().capacity(2);
    queue.add(Measurement::gauge("a", 1)).unwrap();
    let mut aggregator = client.aggregator();
    aggregator.add("b", 1).unwrap();
    aggregator.add("c", 1).unwrap();
    assert!(matches!(queue.add_aggregator(&mut aggregator), Err(Error::QueueFull(1))));
    assert!(!aggregator.is_empty());
    queue.add(Measurement::gauge("b", 1)).unwrap();
    let error = queue.add(Measurement::gauge("c", 1)).unwrap_err();
    assert!(matches!(error, Error::QueueFull(2)), "{error}");
    queue.clear();
    aggregator.clear();
    assert_eq!(server.requests(), []);
}

#[test]
fn what_the_server_cannot_do_now_is_tried_again() {
    let server = ScriptedServer::start().unwrap();
    let client = client(&server).build().unwrap();
    let limit = "limit=60,remaining=0,reset=1";
    for reply in [
        Reply::status(500),
        Reply::status(502).keep_open().body("busy"),
        Reply::status(429).header("Retry-After", "0").header("X-Librato-RateLimit-Std", limit),
        Reply::status(200).cut_after(0),
        Reply::status(200).header("X-Librato-RateLimit-Agg", "limit=9,remaining=7,reset=8"),
    ] {
        server.answer_with(reply);
    }
    client.submit(Measurement::gauge("t", 1)).unwrap();
    assert_eq!(counts(&server), [1; 5]);
    let aggregated = client.rate_limits().aggregated.unwrap();
    assert_eq!(
        (aggregated.limit, aggregated.remaining, aggregated.reset),
        (Some(9), Some(7), Some(8))
    );
    // A long wait is the caller's decision.
    server.answer_with(Reply::status(429).header("Retry-After", "3000").body("slow down"));
    let error = client.submit(Measurement::gauge("t", 1)).unwrap_err();
    let api = error.api().unwrap();
    assert_eq!(api.retry_after, Some(Duration::from_secs(3000)));
    assert_eq!(
        (api.kind(), error.to_string()),
        (ApiErrorKind::RateLimited, "[429] slow down".to_owned())
    );
    assert_eq!(server.requests().len(), 6);
    // Neither is a rate limit of the account, nor any other rejection.
    for code in [400, 403, 404, 408, 409, 415, 422] {
        server.answer_with(Reply::status(code));
        client.submit(Measurement::gauge("t", 1)).unwrap_err();
    }
    assert_eq!(server.requests().len(), 13);
    server.answer_always(Some(Reply::status(503)));
    let error = client.submit(Measurement::gauge("t", 1)).unwrap_err();
    assert_eq!(error.kind(), Some(ApiErrorKind::Server));
    assert_eq!(server.requests().len(), 18);
}

#[test]
fn nothing_is_created_twice() {
    let server = ScriptedServer::start().unwrap();
    let client = client(&server).build().unwrap();
    let alert = Alert::new("a").condition(Condition::above("t", 1));
    let created = || client.alerts().create(&alert);
    for reply in [Reply::status(500), Reply::status(504), Reply::status(200).cut_after(0)] {
        server.answer_with(reply);
        created().unwrap_err();
    }
    assert_eq!(server.requests().len(), 3);
    // It was not processed.
    for code in [429, 503] {
        server.answer_with(Reply::status(code));
    }
    let stored = json!({ "id": 7, "name": "a", "conditions": [], "new": [1] });
    server.answer_with(Reply::json(201, &stored));
    let mut alert = created().unwrap();
    assert_eq!((alert.id.clone(), server.requests().len()), (Some(Id::from(7)), 6));
    // What this client does not know is kept.
    alert.active = false;
    server.answer_with(Reply::status(204));
    client.alerts().update(&alert).unwrap();
    let sent = server.requests().pop().unwrap().json.unwrap();
    assert_eq!((&sent["new"], &sent["active"]), (&json!([1]), &json!(false)));
    assert!(matches!(client.alerts().update(&Alert::new("a")), Err(Error::Unsaved("alert"))));
}

#[test]
fn a_chart_keeps_everything_when_it_is_saved() {
    let server = ScriptedServer::start().unwrap();
    let client = client(&server).build().unwrap();
    let mut stored = json!({
        "id": 3, "name": "CPU", "type": "bignumber", "min": 0, "max": 1.5, "use_last_value": false,
        "thresholds": [{ "operator": ">", "value": 7, "type": "red", "x": null }],
        "enable_format": true,
        "streams": [{
            "id": 4, "metric": "cpu", "type": "gauge", "color": "#52D74C", "gap_detection": true,
            "position": 0, "tags": [{ "name": "a", "values": ["b"], "grouped": true, "dynamic": false }],
            "transform_function": "x*2", "later": { "a": [1.25] },
        }],
    });
    server.answer_with(Reply::json(200, &stored));
    server.answer_with(Reply::status(204));
    let mut chart = client.charts(129).get(&Id::from(3)).unwrap();
    chart.name = "Load".to_owned();
    client.charts(129).update(&chart).unwrap();
    stored["name"] = json!("Load");
    stored.as_object_mut().unwrap().remove("id");
    let last = server.requests().pop().unwrap();
    assert_eq!((last.path.as_str(), last.json), ("/v1/spaces/129/charts/3", Some(stored)));
}

#[test]
fn connections_are_used_again() {
    let server = ScriptedServer::start().unwrap();
    server.answer_always(Some(Reply::status(200).body("{}").keep_open()));
    let client = client(&server).build().unwrap();
    for _ in 0..5 {
        client.submit(Measurement::gauge("t", 1)).unwrap();
        client.clone().submit(Measurement::gauge("t", 1)).unwrap();
    }
    let mut ports: Vec<_> = server.requests().iter().map(|request| request.port).collect();
    ports.dedup();
    assert_eq!((ports.len(), server.requests().len()), (1, 10));
}

#[test]
fn bodies_are_compressed_if_the_server_takes_that() {
    let ports = Ports::take();
    let address = format!("127.0.0.1:{}", ports.at(0));
    let flags = ["--librato", &address, "--librato-open", "--settle", "0"];
    let _broker = Broker::start_with(&flags);
    let credentials = Credentials::new("user@example.com", "tok123").unwrap();
    let builder = Client::builder(credentials).url(format!("http://{address}/v1")).compress();
    let client = builder.retries(RetryPolicy::never()).build().unwrap();
    let mut queue = fill(&client, 301);
    queue.submit().unwrap();
    let names = client.metrics().all(&ListQuery::new()).map(|metric| metric.unwrap().name);
    assert_eq!(names.count(), 301);
    assert_eq!(client.metrics().get("m300").unwrap().name, "m300");
    assert_eq!(client.metrics().get("none").unwrap_err().kind(), Some(ApiErrorKind::NotFound));
    let server = ScriptedServer::start().unwrap();
    server.answer_always(Some(Reply::status(200)));
    let compressed = super::client(&server).compress().build().unwrap();
    drop(fill(&compressed, 300));
    drop(fill(&compressed, 1));
    let requests = server.requests();
    assert_eq!(requests[0].header("content-encoding"), Some("gzip"));
    assert!(requests[0].body.starts_with(&[0x1f, 0x8b]) && requests[0].body.len() < 4000);
    // It would hardly be shorter.
    assert_eq!((requests[1].header("content-encoding"), count(&requests[1])), (None, 1));
}
