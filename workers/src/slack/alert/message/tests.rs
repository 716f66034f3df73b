//! The messages of the recorded cases.

use super::{Alert, Status, list};
use serde_json::{Value, json};

fn alert() -> Alert<'static> {
    Alert {
        status: Status::Firing,
        rule: "web.response_time",
        metric: "web.nginx.response_time",
        source: "web-01",
        tags: "",
        value: Some("231".to_owned()),
        threshold: "threshold > 200".to_owned(),
        since: 1_500_000_000,
        lasted_ms: None,
        curve: vec![120.0, 130.0, 125.0, 180.0, 231.0],
        runbook: Some("https://example.com/runbook"),
        mentions: &[],
        missed: 0,
    }
}

fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}

#[test]
fn an_alert_has_a_header_fields_a_curve_and_a_context() {
    let message = alert().message();
    assert_eq!(
        message.text,
        ":red_circle: FIRING web.response_time: web.nginx.response_time on web-01 is 231 \
         (threshold &gt; 200)"
    );
    assert_eq!(
        json!(message.blocks),
        json!([
            {"type": "header", "text":
                {"type": "plain_text", "text": ":red_circle: FIRING web.response_time", "emoji": true}},
            {"type": "section", "fields": [
                mrkdwn("*Metric*\nweb.nginx.response_time"),
                mrkdwn("*Source*\nweb-01"),
                mrkdwn("*Value*\n231 (threshold &gt; 200)"),
                mrkdwn("*Since*\n<!date^1500000000^{date_short_pretty} {time_secs}|1500000000>"),
            ]},
            {"type": "section", "text": mrkdwn("`▁▂▁▅█`")},
            {"type": "context", "elements": [mrkdwn("<https://example.com/runbook|Runbook>")]},
        ])
    );
}

#[test]
fn names_are_escaped_and_mentions_are_not() {
    let mentions = ["<!here>".to_owned()];
    let hostile = Alert {
        rule: "a&b <x>",
        metric: "m<1>",
        source: "h&1",
        runbook: None,
        mentions: &mentions,
        ..alert()
    };
    let message = hostile.message();
    assert_eq!(
        message.text,
        "<!here> :red_circle: FIRING a&amp;b &lt;x&gt;: m&lt;1&gt; on h&amp;1 is 231 \
         (threshold &gt; 200)"
    );
    assert_eq!(message.blocks[0]["text"]["text"], ":red_circle: FIRING a&b <x>");
    assert_eq!(message.blocks[1]["text"]["text"], "<!here>");
    assert_eq!(message.blocks[2]["fields"][0]["text"], "*Metric*\nm&lt;1&gt;");
}

#[test]
fn the_longest_names_stay_within_the_limits() {
    let long = "&".repeat(255);
    let alert = Alert { rule: &long, metric: &long, source: &long, tags: &long, ..alert() };
    for block in alert.message().blocks {
        for field in block["fields"].as_array().into_iter().flatten() {
            assert!(field["text"].as_str().unwrap().chars().count() <= 2_000);
        }
        if block["type"] == "header" {
            assert_eq!(block["text"]["text"].as_str().unwrap().chars().count(), 150);
        }
    }
    let all = vec![alert; 20];
    let message = list(&all, (20, 20), (Status::Firing, 20), &[]);
    let texts = message.blocks.iter().filter_map(|block| block["text"]["text"].as_str());
    assert!(texts.map(|text| text.chars().count()).sum::<usize>() <= 11_200);
    assert!(message.text.chars().count() <= 4_000);
}

#[test]
fn a_list_names_its_alerts_and_counts_the_rest() {
    let rows: Vec<_> = (0..21).map(|_| alert()).collect();
    let message = list(&rows, (30, 37), (Status::Firing, 20), &[]);
    let header = &message.blocks[0]["text"]["text"];
    assert_eq!(header, ":red_circle: FIRING web.response_time: 30 of 37 alerts");
    let text = message.blocks[1]["text"]["text"].as_str().unwrap();
    let first = text.lines().next().unwrap();
    assert_eq!(first, ":red_circle: *web.nginx.response_time* `▁▂▁▅█` 231 (threshold &gt; 200)");
    let last = message.blocks.last().unwrap();
    assert_eq!(last["elements"][0]["text"], "and 17 more");
    // What all have in common is said once.
    assert_eq!(last["elements"][1]["text"], "on web-01");
    assert!(message.text.ends_with("30 of 37 alerts on web-01"), "{}", message.text);
}

#[test]
fn a_list_names_each_of_its_sources_once() {
    let on = |sources: &[&'static str]| {
        let alerts: Vec<_> = sources.iter().map(|source| Alert { source, ..alert() }).collect();
        let message = list(&alerts, (1_500, 1_500), (Status::Firing, 20), &[]);
        let row = message.blocks[1]["text"]["text"].as_str().unwrap().to_owned();
        (message.text.split_once("1,500 alerts ").unwrap().1.to_owned(), row)
    };
    let (text, row) = on(&["a", "b", "a"]);
    assert_eq!(text, "on a, b");
    assert!(row.contains("_a_") && row.contains("_b_"), "{row}");
    assert_eq!(on(&["a", "b", "c", "a"]).0, "on a, b, c");
    assert_eq!(on(&["a", "b", "c", "d"]).0, "on a, b, c, …");
    assert!(!on(&["a", "a"]).1.contains("_a_"));
}
