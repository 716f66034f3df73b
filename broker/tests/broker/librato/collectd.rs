//! CollectD's value lists, as its plugin `write_http` sends them.

use super::{Broker, receive};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The values of a network interface at a time.
fn octets(time: f64, [rx, tx]: [u64; 2]) -> Value {
    json!({
        "values": [rx, tx], "dstypes": ["derive", "derive"], "dsnames": ["rx", "tx"],
        "time": time, "interval": 10.0, "host": "web-1", "plugin": "interface",
        "plugin_instance": "eth0", "type": "if_octets", "type_instance": "",
        "meta": {"network:received": true}
    })
}

/// A gauge of a plugin.
fn gauge(plugin: &str, value: &Value) -> Value {
    json!({
        "values": [value], "dstypes": ["gauge"], "dsnames": ["value"], "time": now(),
        "interval": 10.0, "host": "web-1", "plugin": plugin, "plugin_instance": "",
        "type": "gauge", "type_instance": "a"
    })
}

#[test]
fn values_have_the_names_and_rates_of_the_collectd_intake() {
    let broker = Broker::start(&[]);
    let subscriber = broker.subscribe("librato");
    let mut client = broker.connect();
    let now = now() as f64;
    let lists = json!([octets(now - 10.0, [1_000, 2_000]), gauge("memory", &json!(0.5))]);
    let answer = client.post("/v1/measurements", &lists.to_string());
    let summary =
        r#"{"measurements":{"summary":{"accepted":3,"failed":0,"filtered":0,"total":3}}}"#;
    assert_eq!((answer.status, &*answer.body), (200, summary));
    // The next values, packed.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(json!([octets(now, [1_100, 2_500])]).to_string().as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let answer = client.ask("POST", "/v1/measurements", "Content-Encoding: gzip\r\n", gzip);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let expected = [
        ("web-1 memory.a", 0.5),
        ("web-1 interface.eth0.if_octets.rx", 10.0),
        ("web-1 interface.eth0.if_octets.tx", 50.0),
    ];
    receive(&subscriber, &expected);
    let listed = client.ask("GET", "/v1/metrics/memory.a", "", "").body;
    assert!(listed.contains(r#""period":10"#), "{listed}");
    broker.stop();
}

#[test]
fn an_invalid_list_costs_only_itself_and_is_named() {
    let broker = Broker::start(&[]);
    let subscriber = broker.subscribe("librato");
    let mut client = broker.connect();
    let mut named = gauge("named", &json!(1));
    named["type_instance"] = json!("a|b");
    let lists = [
        gauge("before", &json!(1)),
        gauge("wrong", &json!("x")),
        json!(7),
        named,
        gauge("unknown", &Value::Null),
        gauge("after", &json!(2)),
    ];
    let mut body = json!(lists).to_string().into_bytes();
    // A text that is not UTF-8.
    let at = body.windows(5).position(|five| five == b"wrong").unwrap();
    body[at] = 0xff;
    let answer = client.ask("POST", "/v1/measurements", "", &body);
    let found: Value = serde_json::from_str(&answer.body).unwrap();
    let expected = json!({
        "errors": {"params": {
            "[1]": ["plugin: is not UTF-8, or contains NUL"],
            "[2]": ["is not an object"],
            "web-1/named/gauge-a|b": ["the name contains `|`, which separates fields on the wire; use `.` or `-`"],
        }},
        "measurements": {"summary": {"accepted": 2, "failed": 3, "filtered": 1, "total": 6}},
    });
    assert_eq!((answer.status, &found), (200, &expected));
    receive(&subscriber, &[("web-1 before.gauge.a", 1.0), ("web-1 after.gauge.a", 2.0)]);
    for (body, status, reason) in [
        ("[7]", 400, "type"),
        ("[]", 400, "empty"),
        ("[", 400, "json"),
        (&*format!("[{}7]", "7,".repeat(10_000)), 413, "too_many"),
    ] {
        let answer = client.post("/v1/measurements", body);
        assert_eq!(answer.status, status, "{reason}: {}", answer.body);
        broker.until_rejected(reason, 1);
    }
    // Lists are those of measurements only.
    assert_eq!(client.post("/v1/metrics", "[]").status, 400);
    assert_eq!(broker.rejected()["value"], 1);
    broker.stop();
}

#[test]
fn rules_know_the_plugin_and_the_type() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    let rules = "\
[[rule]]
match = { protocol = \"librato\", plugin = \"interface\", type = \"if_octets\", value_name = \"rx\" }
rename = \"net.{plugin_instance}.in\"

[[rule]]
match = { plugin = \"noise\" }
drop = true
";
    std::fs::write(&file, rules).unwrap();
    let broker = Broker::start(&["--rules", file.to_str().unwrap()]);
    let subscriber = broker.subscribe("librato");
    let mut client = broker.connect();
    let now = now() as f64;
    let first = json!([octets(now - 10.0, [0, 0]), gauge("noise", &json!(1))]);
    assert_eq!(client.post("/v1/measurements", &first.to_string()).status, 200);
    let second = json!([octets(now, [100, 500])]);
    assert_eq!(client.post("/v1/measurements", &second.to_string()).status, 200);
    let expected = [("web-1 net.eth0.in", 10.0), ("web-1 interface.eth0.if_octets.tx", 50.0)];
    receive(&subscriber, &expected);
    broker.until_rejected("rule", 1);
    broker.stop();
}
