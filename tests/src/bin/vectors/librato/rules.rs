//! Where the client differs from python-librato by design: rules that make of what was recorded what
//! the client does instead.
//!
//! A rule changes only what it is about, and only if it was recorded as it says; so a difference that
//! no rule explains is a failure.

use super::records::{Record, Sent, decoded};
use super::results::Ended;
use super::{Found, Run};
use serde_json::{Value, json};

type Rule = fn(&Run<'_>, &mut Record, &Found);

/// The rules and their reasons.
pub(super) const RULES: &[(&str, Rule)] = &[
    ("credentials that are missing are an error that names the variables", no_credentials),
    ("the error of a URL names the possible ones", bad_url),
    ("an answer without the list is an error", no_list),
    ("a list ends with what matches, without a request for the rest of the total", no_more_pages),
    ("a summary has no value, where python-librato writes null", no_null),
    ("a value is a number, also if it was written as a text", no_text),
    ("a number that is not finite is refused before it is sent", not_finite),
    ("inherit_tags is not sent", no_inherit),
    ("names are escaped in paths", escaped),
    ("booleans are true and false", booleans),
    ("a composite metric can be read", composite),
    ("a metric without a period can be read", no_period),
    ("an annotation can be read, which has no name", event),
    ("an answer without a body is a success", no_body),
    ("an identifier that is a text is not divided into characters", text_service),
    (
        "a chart is saved without reading its space first, and keeps everything of its streams",
        chart,
    ),
    ("a stream without a source gets none", no_source),
    ("the tags of the client apply to its queues", queue_tags),
    ("what was accepted is not sent again", accepted),
    ("the sanitizer applies to the names of aggregators", aggregator),
    ("an empty rejection says so", empty),
    ("what is not JSON is an error", no_json),
    ("a redirect is an error", moved),
    ("429 is answered by another attempt", limited),
    ("503 is answered by another attempt, on a connection that stays open too", busy),
    ("a lost connection is answered by another attempt", dropped),
];

fn failed(class: &str, code: Option<u64>) -> Ended {
    Ended::failed(class, code, None)
}

fn is_to(sent: &Sent, method: &str, path: &str, query: &[(&str, &str)]) -> bool {
    let fields = sent.query.iter().map(|(name, value)| (&**name, &**value));
    sent.method == method && sent.path == path && fields.eq(query.iter().copied())
}

fn is_failed(record: &Record, class: &str) -> bool {
    record.ended.class() == Some(class)
}

fn no_credentials(run: &Run<'_>, record: &mut Record, _: &Found) {
    let is_empty = record.sent.iter().all(|sent| {
        sent.authorization.as_deref() == Some("Basic Og==")
            && is_to(sent, "GET", "/v1/metrics", &[])
            && sent.body.is_null()
    });
    if run.call.contains("without credentials") && is_empty && is_failed(record, "Unauthorized") {
        record.sent.clear();
        let message = "no user name; pass it, or set LIBRATO_USER";
        record.ended = Ended::failed("Credentials", None, Some(message));
    }
}

fn bad_url(_: &Run<'_>, record: &mut Record, _: &Found) {
    let message = "Unsupported protocol: ftp";
    if record.ended == Ended::failed("ValueError", None, Some(message)) {
        let ours = "the URL: must begin with https://, or with http:// for this machine";
        record.ended = Ended::failed("Build", None, Some(ours));
    }
}

fn no_list(run: &Run<'_>, record: &mut Record, _: &Found) {
    let is_raw = matches!(&record.ended, Ended::Returned(value) if value.is_object());
    if run.call.starts_with("list_metrics") && is_raw && record.ended == read(run) {
        record.ended = failed("Unreadable", Some(200));
    }
}

fn no_more_pages(run: &Run<'_>, record: &mut Record, _: &Found) {
    let answer = run.case["response"]["body"].as_str();
    let answer: Value = answer.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let query = &answer["query"];
    let ends = query["found"].is_u64() && query["length"].as_u64() >= query["found"].as_u64();
    let offset = query["length"].to_string();
    let fields = [("name", run.args["name"].as_str().unwrap_or_default()), ("offset", &*offset)];
    let is_more = record
        .sent
        .get(1)
        .is_some_and(|sent| is_to(sent, "GET", "/v1/metrics", &fields) && sent.body.is_null());
    if run.call.starts_with("list_all_metrics") && ends && is_more {
        record.sent.truncate(1);
    }
}

/// The entries of each list in the bodies.
fn entries(record: &mut Record) -> impl Iterator<Item = &mut serde_json::Map<String, Value>> {
    let bodies = record.sent.iter_mut().filter_map(|sent| sent.body.as_object_mut());
    let lists = bodies.flat_map(|body| body.values_mut()).filter_map(Value::as_array_mut);
    lists.flatten().filter_map(Value::as_object_mut)
}

fn no_null(_: &Run<'_>, record: &mut Record, _: &Found) {
    for entry in entries(record) {
        if entry.contains_key("sum") && entry.get("value") == Some(&Value::Null) {
            entry.remove("value");
        }
    }
}

fn no_text(_: &Run<'_>, record: &mut Record, _: &Found) {
    for entry in entries(record) {
        let number = entry.get("value").and_then(Value::as_str).and_then(|text| text.parse().ok());
        if let Some(number) = number.and_then(serde_json::Number::from_f64) {
            entry.insert("value".to_owned(), Value::Number(number));
        }
    }
}

fn not_finite(_: &Run<'_>, record: &mut Record, _: &Found) {
    let is_nan = |body: &Value| body["__raw__"].as_str().is_some_and(|raw| raw.contains(": NaN"));
    let [sent] = &record.sent[..] else { return };
    let is_submission = is_to(sent, "POST", "/v1/metrics", &[]) && is_nan(&sent.body);
    if record.ended == Ended::nothing() && is_submission {
        record.sent.clear();
        record.ended = failed("NotFinite", None);
    }
}

fn no_inherit(_: &Run<'_>, record: &mut Record, _: &Found) {
    for entry in entries(record) {
        entry.remove("inherit_tags");
    }
}

/// The target of a request, as it was before it was parsed.
fn unescaped(sent: &Sent) -> String {
    let fields: Vec<_> = sent.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if fields.is_empty() {
        sent.path.clone()
    } else {
        format!("{}?{}", sent.path, fields.join("&"))
    }
}

/// The path of a metric whose name python-librato does not escape.
fn escaped(run: &Run<'_>, record: &mut Record, found: &Found) {
    let name = run.args["name"].as_str().unwrap_or_default();
    if run.call != "get" || !name.contains([' ', '/', '?']) {
        return;
    }
    let [ours] = &found.sent[..] else { return };
    let is_escaped = decoded(&ours.path) == format!("/v1/metrics/{name}")
        && !ours.path.trim_start_matches("/v1/metrics/").contains([' ', '/', '?']);
    if !is_escaped || !ours.query.is_empty() {
        return;
    }
    if is_failed(record, "http.client.InvalidURL") && record.sent.is_empty() {
        // There is no answer for a request that was not made.
        record.sent.push(ours.clone());
        record.ended = failed("NotFound", Some(404));
    } else if let [theirs] = &mut record.sent[..]
        && unescaped(theirs) == format!("/v1/metrics/{name}")
    {
        (theirs.path, theirs.query) = (ours.path.clone(), Vec::new());
    }
}

fn booleans(_: &Run<'_>, record: &mut Record, _: &Found) {
    for (_, value) in record.sent.iter_mut().flat_map(|sent| &mut sent.query) {
        if matches!(&**value, "True" | "False") {
            *value = value.to_lowercase();
        }
    }
}

/// The answer of the server, which the client can read.
fn read(run: &Run<'_>) -> Ended {
    let answer = run.case["response"]["body"].as_str();
    Ended::Returned(answer.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
}

fn composite(run: &Run<'_>, record: &mut Record, _: &Found) {
    let message = "The server sent me something that is not a Gauge nor a Counter.";
    if record.ended == Ended::failed("Exception", None, Some(message)) {
        record.ended = read(run);
    }
}

fn no_period(run: &Run<'_>, record: &mut Record, _: &Found) {
    if run.call == "get" && record.ended == Ended::failed("KeyError", None, Some("'period'")) {
        record.ended = read(run);
    }
}

fn event(run: &Run<'_>, record: &mut Record, _: &Found) {
    let error = Ended::failed("KeyError", None, Some("'name'"));
    if run.call == "get_annotation" && record.ended == error {
        record.ended = read(run);
    }
}

fn no_body(run: &Run<'_>, record: &mut Record, _: &Found) {
    let is_empty = run.case["response"]["status"] == 204;
    if is_empty && is_failed(record, "TypeError") && run.call.contains("204") {
        record.ended = Ended::nothing();
    }
}

fn text_service(run: &Run<'_>, record: &mut Record, _: &Found) {
    let given = &run.args["services"];
    let texts = given.as_array().into_iter().flatten().filter_map(Value::as_str);
    let first: Vec<_> = texts.filter_map(|text| text.get(..1)).collect();
    if first.is_empty() {
        return;
    }
    for sent in record.sent.iter_mut().filter(|sent| sent.body["services"] == json!(first)) {
        sent.body["services"] = given.clone();
    }
}

fn chart(run: &Run<'_>, record: &mut Record, _: &Found) {
    if run.call != "get_chart, rename" {
        return;
    }
    let space = format!("/v1/spaces/{}", run.args["space_id"]);
    record.sent.retain(|sent| sent.path != space);
    let answer = run.case["response"]["body"].as_str();
    let answer: Value = answer.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    for sent in record.sent.iter_mut().filter(|sent| sent.method == "PUT") {
        let Some(streams) = sent.body["streams"].as_array_mut() else { continue };
        for (stream, read) in
            streams.iter_mut().zip(answer["streams"].as_array().into_iter().flatten())
        {
            let Some(fields) = stream.as_object_mut() else { continue };
            if read.get("source").is_none() && fields.get("source") == Some(&json!("*")) {
                fields.remove("source");
            }
            if let Some(tags) = read.get("tags") {
                fields.insert("tags".to_owned(), tags.clone());
            }
        }
    }
}

/// The default that python-librato shows for streams without a source.
fn no_source(_: &Run<'_>, record: &mut Record, found: &Found) {
    let (Ended::Returned(theirs), Ended::Returned(ours)) = (&mut record.ended, &found.ended) else {
        return;
    };
    let charts = |value: &Value| match value {
        Value::Array(charts) => charts.len(),
        _ => 1,
    };
    for at in 0..charts(ours) {
        let (theirs, ours) =
            if theirs.is_array() { (&mut theirs[at], &ours[at]) } else { (&mut *theirs, ours) };
        let Some(streams) = theirs.get_mut("streams").and_then(Value::as_array_mut) else { return };
        for (place, stream) in streams.iter_mut().enumerate() {
            let is_default = stream["class"] == "Stream" && stream["source"] == "*";
            if is_default && ours["streams"][place].get("source").is_none() {
                stream["source"] = Value::Null;
            }
        }
    }
}

fn queue_tags(run: &Run<'_>, record: &mut Record, _: &Found) {
    let (tags, none) = (&run.case["connection"]["tags"], &run.args["queue_tags"]);
    if !run.call.contains("queue") || !tags.is_object() || !none.is_null() {
        return;
    }
    for sent in record.sent.iter_mut().filter(|sent| sent.path == "/v1/metrics") {
        let gauges = sent.body["gauges"].as_array().cloned().unwrap_or_default();
        let tagged: Vec<_> = gauges
            .iter()
            .map(|gauge| json!({ "name": gauge["name"], "sum": gauge["value"], "count": 1, "tags": tags }))
            .collect();
        sent.path = "/v1/measurements".to_owned();
        sent.body = json!({ "measurements": tagged });
    }
}

fn accepted(run: &Run<'_>, record: &mut Record, _: &Found) {
    if !run.call.contains("the second POST fails") {
        return;
    }
    let Ended::Returned(result) = &mut record.ended else { return };
    let [first, _, again, _] = &record.sent[..] else { return };
    if first == again && result["chunks_left_after_error"] == json!([300, 1]) {
        record.sent.remove(2);
        *result = json!({ "first_error": result["first_error"], "left_after_error": 1 });
    }
}

fn aggregator(run: &Run<'_>, record: &mut Record, _: &Found) {
    let is_on = run.case["connection"]["sanitizer"].is_string();
    if !run.call.contains("Aggregator") || !is_on {
        return;
    }
    for entry in entries(record) {
        if entry.get("name") == Some(&json!("a b")) {
            entry.insert("name".to_owned(), json!("a-b"));
        }
    }
}

fn empty(_: &Run<'_>, record: &mut Record, _: &Found) {
    if let Ended::Failed { code: Some(code), message, .. } = &mut record.ended
        && message.as_deref() == Some(&*format!("[{code}] None"))
    {
        *message = Some(format!("[{code}] the answer is empty"));
    }
}

fn no_json(run: &Run<'_>, record: &mut Record, _: &Found) {
    let response = &run.case["response"];
    let is_html = response["headers"]["Content-Type"] == "text/html" && response["status"] == 200;
    let is_text = record.ended == Ended::Returned(response["body"].clone());
    if is_failed(record, "json.decoder.JSONDecodeError") || is_html && is_text {
        record.ended = failed("Unreadable", Some(200));
    }
}

fn moved(run: &Run<'_>, record: &mut Record, _: &Found) {
    let response = &run.case["response"];
    let code = response["status"].as_u64().filter(|code| (300..400).contains(code));
    if code.is_some() && record.ended == Ended::Returned(response["body"].clone()) {
        record.ended = failed("Moved", code);
    }
}

/// More of the same request.
fn repeated(record: &mut Record, found: &Found) {
    if let [first] = &record.sent[..] {
        let first = first.clone();
        record.sent.resize(found.sent.len().clamp(2, 5), first);
    }
}

fn limited(run: &Run<'_>, record: &mut Record, found: &Found) {
    if run.case["response"]["status"] == 429 {
        repeated(record, found);
    }
}

fn busy(run: &Run<'_>, record: &mut Record, _: &Found) {
    let is_busy = run.case["response"]["status"] == 503;
    if is_busy && is_failed(record, "http.client.ResponseNotReady") && record.sent.len() == 2 {
        record.ended = Ended::nothing();
    }
}

fn dropped(run: &Run<'_>, record: &mut Record, found: &Found) {
    let is_dropped = run.case["method"].is_string() && run.case["response"]["status"].is_null();
    if is_dropped && is_failed(record, "http.client.RemoteDisconnected") {
        repeated(record, found);
        record.ended = failed("Connection", None);
    }
}
