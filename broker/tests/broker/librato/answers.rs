//! The answers of the API.

use super::{Broker, receive, request};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use std::io::Write as _;

const GAUGE: &str = r#"{"gauges":[{"name":"a","value":1}]}"#;

#[test]
fn measurements_of_each_form_reach_subscribers() {
    let broker = Broker::start(&[]);
    let subscriber = broker.subscribe("librato");
    let mut client = broker.connect();
    let answer = client.post("/v1/metrics", r#"{"gauges":{"json":{"value":1.5}},"source":"s"}"#);
    assert_eq!((answer.status, &*answer.body), (200, ""));
    let tagged = r#"{"measurements":[{"name":"tagged","value":2,"tags":{"dc":"eu"}}]}"#;
    let answer = client.post("/v1/measurements", tagged);
    let summary =
        r#"{"measurements":{"summary":{"accepted":1,"failed":0,"filtered":0,"total":1}}}"#;
    assert_eq!((answer.status, &*answer.body), (202, summary));
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let body = "gauges[0][name]=form&gauges[0][value]=3&source=s";
    assert_eq!(client.ask("POST", "/v1/metrics", form, body).status, 200);
    // curl says so of any body.
    let body = r#" {"gauges":{"curl":{"value":6}}}"#;
    assert_eq!(client.ask("POST", "/v1/metrics.json", form, body).status, 200);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(br#"{"gauges":[{"name":"gzip","value":4}]}"#).unwrap();
    let gzip = gzip.finish().unwrap();
    let answer = client.ask("POST", "/v1/metrics", "Content-Encoding: gzip\r\n", gzip);
    assert_eq!(answer.status, 200);
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(br#"{"gauges":[{"name":"zlib","value":5}]}"#).unwrap();
    let zlib = zlib.finish().unwrap();
    let answer = client.ask("POST", "/v1/metrics", "Content-Encoding: deflate\r\n", zlib);
    assert_eq!(answer.status, 200);
    // In chunks, of which one begins inside a number.
    client.send(request("POST", "/v1/metrics", "Transfer-Encoding: chunked\r\n"));
    client.send("1c\r\n{\"gauges\":{\"chunks\":{\"value\"\r\n");
    client.send("3\r\n:12\r\n6\r\n.5}}} \r\n0\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 200);
    let answer =
        client.post("/v1/annotations/my%20deploys", r#"{"title":"b","source":"s","start_time":7}"#);
    assert_eq!(answer.status, 201);
    assert!(answer.body.contains(r#""title":"b""#) && answer.body.contains(r#""id":1"#));
    receive(
        &subscriber,
        &[
            ("s json", 1.5),
            ("not_specified tagged;dc=eu", 2.0),
            ("s form", 3.0),
            ("not_specified curl", 6.0),
            ("not_specified gzip", 4.0),
            ("not_specified zlib", 5.0),
            ("not_specified chunks", 12.5),
            ("s my-deploys: b", 7.0),
        ],
    );
    broker.stop();
}

#[test]
fn requests_are_answered_in_every_way_that_http_allows() {
    let broker = Broker::start(&[]);
    // Several at once.
    let mut client = broker.connect();
    let length = format!("Content-Length: {}\r\n", GAUGE.len());
    let one = request("POST", "/v1/metrics", &length) + GAUGE;
    client.send([&*one, &one, &request("GET", "/v1/metrics/a", ""), &one].concat());
    let answers = [(); 4].map(|()| client.answer().unwrap());
    assert_eq!(answers.each_ref().map(|answer| answer.status), [200; 4]);
    assert!(answers[2].body.contains(r#""name":"a","period":null"#), "{}", answers[2].body);
    // A client that asks before it sends the body.
    client.send(request("POST", "/v1/metrics", &format!("{length}Expect: 100-continue\r\n")));
    assert_eq!(client.answer().unwrap().status, 100);
    client.send(GAUGE);
    assert_eq!(client.answer().unwrap().status, 200);
    // HEAD has the head of GET.
    let answer = client.ask("HEAD", "/v1/metrics", "", "");
    assert_eq!(
        (answer.status, &*answer.headers["content-type"]),
        (200, "application/json;charset=utf-8")
    );
    // HTTP/1.0, after which the connection ends.
    let mut old = broker.connect();
    old.send(one.replace("HTTP/1.1", "HTTP/1.0"));
    assert_eq!(old.answer().unwrap().status, 200);
    assert_eq!(old.answer(), None);
    broker.stop();
}

#[test]
fn each_error_has_its_status_and_says_what_is_wrong() {
    let broker = Broker::start(&[]);
    let mut client = broker.connect();
    let json = "Content-Type: application/json\r\n";
    let many = format!(r#"{{"gauges":[{}]}}"#, vec![r#"{"name":"a","value":1}"#; 10_001].join(","));
    for (method, path, headers, body, status, part) in [
        ("POST", "/v1/metrics", json, "", 400, "not valid JSON: EOF"),
        (
            "POST",
            "/v1/metrics",
            json,
            r#"{"gauges":[{"name":"a","value":NaN}]}"#,
            400,
            "without NaN",
        ),
        (
            "POST",
            "/v1/metrics",
            json,
            r#"{"gauges":[{"name":"a","value":"x"}]}"#,
            400,
            r#"{"errors":{"params":{"a":["value: is not a number"]}}}"#,
        ),
        (
            "POST",
            "/v1/metrics",
            json,
            r#"{"gauges":[{"name":"a","value":1,"measure_time":1}]}"#,
            400,
            "too far in the past",
        ),
        ("POST", "/v1/metrics", json, "{}", 400, "no gauges and no counters"),
        ("POST", "/v1/metrics", json, &many, 413, "10001 measurements are too many"),
        ("POST", "/v1/measurements", json, GAUGE, 422, "no measurements"),
        ("POST", "/v1/measurements", json, r#"{"measurements":[]}"#, 400, "at least one"),
        (
            "POST",
            "/v1/measurements",
            "Content-Type: application/x-www-form-urlencoded\r\n",
            "a=1",
            415,
            "application/json",
        ),
        ("POST", "/v1/metrics", "Content-Type: text/plain\r\n", "a:1|c", 415, "text/plain"),
        ("POST", "/v1/metrics", "Content-Encoding: br\r\n", "x", 415, "br"),
        ("POST", "/v1/metrics", "Content-Encoding: gzip\r\n", "x", 400, "cannot be unpacked"),
        ("POST", "/v1/annotations/a", json, "", 400, r#"{"title":["is missing"]}"#),
        ("POST", "/v1/metrics", "Origin: http://h\r\n", GAUGE, 403, "web pages"),
        ("GET", "/v1/metrics?start_time=1&compose=s(a)", "", "", 501, "not served"),
        ("GET", "/v1/metrics/unknown", "", "", 404, "Not Found"),
        ("GET", "/v1/metrics?offset=x", "", "", 400, "offset"),
        ("GET", "/v1/../../etc/passwd", "", "", 404, "Not Found"),
        ("GET", "/v1/alerts", "", "", 501, "GET of alerts is not served"),
        ("PUT", "/v1/metrics/a", json, r#"{"period":60}"#, 501, "is not served"),
        ("BREW", "/v1/metrics", "", "", 405, "Method Not Allowed"),
    ] {
        let answer = client.ask(method, path, headers, body);
        assert_eq!(answer.status, status, "{method} {path} {body:.100}: {answer:?}");
        assert!(answer.body.contains(part), "{method} {path} {body:.100}: {}", answer.body);
        assert!(answer.body.starts_with("{\"errors\":{"), "{}", answer.body);
        assert_eq!(answer.headers["content-type"], "application/json;charset=utf-8");
    }
    // Nothing of a refused request is taken.
    let mixed =
        r#"{"gauges":[{"name":"good","value":1},{"name":"bad"},{"name":"good2","value":1}]}"#;
    assert_eq!(client.post("/v1/metrics", mixed).status, 400);
    assert_eq!(client.ask("GET", "/v1/metrics/good", "", "").status, 404);
    broker.until_rejected("beside_invalid", 2);
    let rejected = broker.rejected();
    let expected = [
        ("annotation", 1),
        ("beside_invalid", 2),
        ("content_type", 2),
        ("empty", 1),
        ("json", 2),
        ("method", 1),
        ("not_served", 3),
        ("packing", 2),
        ("path", 1),
        ("shape", 2),
        ("time", 1),
        ("too_many", 1),
        ("value", 2),
        ("web_page", 1),
    ];
    let expected = expected.map(|(reason, count)| (reason.to_owned(), count)).into();
    assert_eq!(rejected, expected);
    broker.stop();
}

#[test]
fn the_list_of_metrics_is_paged() {
    let broker = Broker::start(&[]);
    let mut client = broker.connect();
    let gauges: Vec<_> = (0..250).map(|n| format!(r#"{{"name":"m{n:03}","value":1}}"#)).collect();
    let body = format!(r#"{{"gauges":[{}]}}"#, gauges.join(","));
    assert_eq!(client.post("/v1/metrics", &body).status, 200);
    let page = client.ask("GET", "/v1/metrics?offset=200", "", "");
    let page: serde_json::Value = serde_json::from_str(&page.body).unwrap();
    let query = serde_json::json!({"found": 250, "length": 50, "offset": 200, "total": 250});
    assert_eq!(page["query"], query);
    assert_eq!(page["metrics"][49]["name"], "m249");
    broker.stop();
}
