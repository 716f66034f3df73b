//! python-librato and the client of this project make the same calls: their requests are the same.

use super::client;
use serde_json::{Value, json};
use std::process::Command;
use zibrato_tests::fake::{Reply, Request, ScriptedServer};
use zibrato_tests::{python, repository};
use zibrato_workers::librato::client::{
    Alert, Annotation, AnnotationQuery, Attributes, Chart, Client, CompositeQuery, Condition,
    Error, Id, Link, ListQuery, Measurement, MeasurementsQuery, MetricProperties, MetricQuery,
    Span, Stream,
};

const TIME: i64 = 1_700_000_040;

type Call = fn(&Client) -> Result<(), Error>;

fn queue_of_301(client: &Client) -> Result<(), Error> {
    let mut queue = client.queue();
    for at in 0..301 {
        let name = format!("series.{at}");
        let counter = at % 2 == 1;
        let one =
            if counter { Measurement::counter(name, at) } else { Measurement::gauge(name, at) };
        queue.add(one.source("q"))?;
    }
    queue.submit()
}

fn tagged_queue(client: &Client) -> Result<(), Error> {
    let mut queue = client.queue().tags([("service", "api")]);
    queue.add(Measurement::gauge("t", 22.1).tags([("location", "attic")]))?;
    queue.add(Measurement::gauge("t", 23).time(TIME))?;
    queue.add(Measurement::gauge("t", 24).tags([("location", "up")]).inherit_tags())?;
    queue.submit()
}

fn aggregator(client: &Client) -> Result<(), Error> {
    let mut aggregator = client.aggregator().source("web-1").period(60).measure_time(TIME + 7);
    aggregator.add("latency", 42)?;
    aggregator.add("latency", -1)?;
    aggregator.add("latency", 7.5)?;
    aggregator.add("size", 5)?;
    aggregator.submit()
}

fn queued_aggregator(client: &Client) -> Result<(), Error> {
    let aggregator = client.aggregator().source("s").tags([("h", "1")]).period(60);
    let mut aggregator = aggregator.measure_time(TIME + 7);
    aggregator.add("foo", 42)?;
    aggregator.add_tagged("bar", 5)?;
    let mut queue = client.queue();
    queue.add_aggregator(&mut aggregator)?;
    queue.submit()
}

fn update(client: &Client) -> Result<(), Error> {
    let mut attributes = Attributes::default();
    attributes.color = Some("#52D74C".to_owned());
    let properties = MetricProperties::new().display_name("T").period(60).attributes(attributes);
    client.metrics().update("t", &properties).map(drop)
}

fn create_alert(client: &Client) -> Result<(), Error> {
    let hot = Condition::above("t", 30).summary_function("max").duration(300);
    let alert = Alert::new("attic.hot").description("d").service(Id::from(849)).rearm_seconds(600);
    let alert = alert.condition(hot).condition(Condition::absent("t", 600));
    let mut alert = client.alerts().create(&alert)?;
    alert.active = false;
    client.alerts().update(&alert)
}

/// Calls by the names of `librato_requests.py`.
const CALLS: [(&str, Call); 29] = [
    ("submit", |client| {
        let one = Measurement::gauge("temperature", 22.5).source("attic").time(TIME);
        client.submit(one.description("in °C").period(60))
    }),
    ("submit_counter", |client| client.submit(Measurement::counter("connections", 20))),
    ("submit_tagged", |client| {
        client.submit(Measurement::gauge("temperature", 80).tags([("city", "sf")]).time(TIME))
    }),
    ("queue_of_301", queue_of_301),
    ("tagged_queue", tagged_queue),
    ("aggregator", aggregator),
    ("queued_aggregator", queued_aggregator),
    ("list_metrics", |client| {
        client.metrics().list(&ListQuery::new().name("a b*é").offset(20).length(10)).map(drop)
    }),
    ("list_all_metrics", |client| {
        client.metrics().all(&ListQuery::new().length(2)).try_for_each(|metric| metric.map(drop))
    }),
    ("get", |client| {
        let query = MetricQuery::new().source("s1").source("s*").since(1).until(2);
        client.metrics().get_with("cpu:user", &query).map(drop)
    }),
    ("get_measurements", |client| {
        let query = MeasurementsQuery::new(Span::last(86_400)).resolution(60);
        let query = query.tag("region", "us*").tag_any("db", ["a", "b"]);
        client.measurements().get("cpu", &query).map(drop)
    }),
    ("get_composite", |client| {
        let query = CompositeQuery::since(TIME);
        client.metrics().composite(r#"mean(s("t", "*"))"#, &query).map(drop)
    }),
    ("update", update),
    ("create_composite", |client| {
        let (expression, none) = (r#"sum(s("t", "*"))"#, MetricProperties::new());
        client.metrics().create_composite("all", expression, none).map(drop)
    }),
    ("delete", |client| client.metrics().delete("t").map(drop)),
    ("delete_many", |client| client.metrics().delete_many(["a", "b"]).map(drop)),
    ("post_annotation", |client| {
        let deploy = Annotation::new("v91").source("web").time(TIME);
        let deploy = deploy.link(Link::new("ci", "https://ci"));
        client.annotations().post("deploys", &deploy).map(drop)
    }),
    ("get_annotation_stream", |client| {
        client.annotations().stream("deploys", &AnnotationQuery::since(TIME)).map(drop)
    }),
    ("delete_annotation_stream", |client| client.annotations().delete_stream("deploys")),
    ("create_alert", create_alert),
    ("delete_alert", |client| client.alerts().delete_named("attic.hot").map(drop)),
    ("list_services", |client| {
        client.services().all(&ListQuery::new()).try_for_each(|service| service.map(drop))
    }),
    ("find_space", |client| client.spaces().find("cpus").map(drop)),
    ("create_space", |client| client.spaces().create("CPUs").map(drop)),
    ("delete_space", |client| client.spaces().delete(&Id::from(129))),
    ("create_chart", |client| {
        let chart = Chart::line("CPU").stream(Stream::metric("cpu").source("web*"));
        client.charts(129).create(&chart).map(drop)
    }),
    ("delete_chart", |client| client.charts(129).delete(&Id::from(3))),
    ("rejected", |client| client.submit(Measurement::gauge("t", 1))),
    ("unauthorized", |client| client.submit(Measurement::gauge("t", 1))),
];

/// The answers to a call.
fn replies(call: &str) -> Vec<Reply> {
    let metric =
        |name: &str| json!({ "name": name, "type": "gauge", "period": 60, "attributes": {} });
    let page = |offset: u64, length: u64, key: &str, items: Value| {
        let query = json!({ "found": 3, "length": length, "offset": offset, "total": 3 });
        Reply::json(200, &json!({ "query": query, key: items }))
    };
    let alert = json!({
        "id": 123, "name": "attic.hot", "version": 2, "description": "d", "active": true, "md": false,
        "services": [{ "id": 849, "title": "a", "type": "mail", "settings": {} }], "attributes": {},
        "rearm_seconds": 600, "created_at": 1, "updated_at": 2, "conditions": [{
            "id": 7, "type": "above", "metric_name": "t", "source": "*", "threshold": 30.5,
            "summary_function": "max", "duration": 300,
        }],
    });
    let space = json!({ "id": 129, "name": "CPUs" });
    let one = |key: &str, item: &Value| {
        let query = json!({ "found": 1, "length": 1, "offset": 0, "total": 1 });
        Reply::json(200, &json!({ "query": query, key: [item] }))
    };
    match call {
        "list_metrics" => vec![page(20, 1, "metrics", json!([metric("a")]))],
        "list_all_metrics" => vec![
            page(0, 2, "metrics", json!([metric("a"), metric("b")])),
            page(2, 1, "metrics", json!([metric("c")])),
        ],
        "get" => vec![Reply::json(200, &metric("cpu:user"))],
        "get_measurements" => vec![Reply::json(200, &json!({ "series": [] }))],
        "get_composite" => vec![Reply::json(200, &json!({ "measurements": [] }))],
        "post_annotation" => vec![Reply::json(201, &json!({ "id": 124 }))],
        "get_annotation_stream" => {
            vec![Reply::json(200, &json!({ "name": "deploys", "events": [] }))]
        }
        "create_alert" => vec![Reply::json(201, &alert), Reply::status(204)],
        "delete_alert" => vec![one("alerts", &alert), Reply::status(204)],
        "list_services" => {
            vec![one(
                "services",
                &json!({ "id": "145", "type": "mail", "settings": {}, "title": "a" }),
            )]
        }
        "find_space" => vec![one("spaces", &space), Reply::json(200, &space)],
        "create_space" => vec![Reply::json(201, &space)],
        "create_chart" => {
            vec![Reply::json(
                201,
                &json!({ "id": 3, "name": "CPU", "type": "line", "streams": [] }),
            )]
        }
        "rejected" => {
            let errors =
                json!({ "errors": { "params": { "name": ["is invalid", "is too long"] } } });
            vec![Reply::json(400, &errors)]
        }
        "unauthorized" => {
            let errors = json!({ "errors": { "request": ["Authorization Required"] } });
            vec![Reply::json(401, &errors)]
        }
        call if call.starts_with("delete") || call == "update" => vec![Reply::status(204)],
        _ => vec![Reply::json(200, &json!({})), Reply::json(200, &json!({}))],
    }
}

/// What has a meaning in a request.
#[derive(Debug, PartialEq)]
struct Sent {
    target: String,
    query: Vec<String>,
    headers: [Option<String>; 2],
    body: Option<Value>,
}

fn sent(request: &Request) -> Sent {
    let mut query: Vec<_> = request.query.split('&').map(str::to_owned).collect();
    query.sort();
    let header = |name| request.header(name).map(str::to_owned);
    Sent {
        target: format!("{} {}", request.method, request.path),
        query,
        headers: [header("authorization"), header("content-type")],
        body: request.json.clone(),
    }
}

fn server(call: &str) -> ScriptedServer {
    let server = ScriptedServer::start().unwrap();
    replies(call).into_iter().for_each(|reply| server.answer_with(reply));
    server
}

#[test]
fn requests_and_errors_are_those_of_python_librato() {
    let script = repository().join("tests/python/librato_requests.py");
    let mut compared = 0;
    for (name, call) in CALLS {
        let (theirs, ours) = (server(name), server(name));
        let output =
            Command::new(python()).arg(&script).args([&theirs.url(), name]).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let error = String::from_utf8(output.stdout).unwrap();
        let result = call(&client(&ours).build().unwrap());
        let message = result.map_or_else(|error| error.to_string(), |()| String::new());
        assert_eq!(message, error.trim_end(), "{name}");
        let (theirs, ours) = (theirs.requests(), ours.requests());
        let (theirs, ours): (Vec<_>, Vec<_>) =
            (theirs.iter().map(sent).collect(), ours.iter().map(sent).collect());
        assert_eq!(ours, theirs, "{name}");
        assert!(!ours.is_empty(), "{name}");
        compared += ours.len();
    }
    assert_eq!(compared, 35);
}
