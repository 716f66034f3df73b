//! A fake of Librato's `POST /v1/metrics`, which rejects what the real one rejects.

use super::http::{Reply, Request, Server, Service};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

/// The `Authorization` of [`FakeLibrato::USERNAME`] and [`FakeLibrato::APITOKEN`].
const AUTHORIZATION: &str = "Basic dXNlckBleGFtcGxlLmNvbTp0b2sxMjM=";

/// Larger numbers are rejected.
const MAX_NUMBER: f64 = 1e126;

/// Accepts gauges and counters like Librato. Dropping it stops it.
///
/// ```
/// use zibrato_tests::fake::{FakeLibrato, Reply};
/// let librato = FakeLibrato::start().unwrap();
/// librato.answer_with(Reply::status(503));
/// assert!(librato.url().starts_with("http://127.0.0.1:"));
/// assert!(librato.requests().is_empty());
/// ```
#[derive(Debug)]
pub struct FakeLibrato {
    server: Server<LibratoState>,
}

impl FakeLibrato {
    /// The valid user name.
    pub const USERNAME: &str = "user@example.com";

    /// The token of that user.
    pub const APITOKEN: &str = "tok123";

    /// Starts on a free port.
    ///
    /// # Errors
    /// If there is no free port, or no thread can be started.
    pub fn start() -> anyhow::Result<Self> {
        Ok(Self { server: Server::start(LibratoState::default())? })
    }

    /// Starts on this port, and appends each accepted request to `kept` before it answers, instead
    /// of recording it: a line of its `Idempotency-Key`, a tab, and its body.
    ///
    /// # Errors
    /// If the port is not free, or no thread can be started.
    pub fn start_keeping(port: u16, kept: File) -> anyhow::Result<Self> {
        let state = LibratoState { kept: Some(kept), ..LibratoState::default() };
        Ok(Self { server: Server::start_at(port, state)? })
    }

    /// The value for `--api-url`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Answers the next request with this, whatever it is. Several answers are queued.
    pub fn answer_with(&self, reply: Reply) {
        self.server.answer_with(reply);
    }

    /// The answer to every request while the queue is empty; `None` answers like the service.
    pub fn answer_always(&self, reply: Option<Reply>) {
        self.server.answer_always(reply);
    }

    /// From now on, gauges whose names contain `part` are rejected. A body with one of them is
    /// rejected completely or, with `in_part`, accepted without them, with an answer that lists
    /// them.
    pub fn refuse_names_with(&self, part: &str, in_part: bool) {
        self.server.change(|state| state.refused = Some((part.to_owned(), in_part)));
    }

    /// From now on, all names are accepted again.
    pub fn take_all_names(&self) {
        self.server.change(|state| state.refused = None);
    }

    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.server.look(|state| state.requests.clone())
    }

    /// The accepted gauges: by source and name (both in lower case, because the service ignores
    /// case), then by time of measurement.
    #[must_use]
    pub fn gauges(&self) -> BTreeMap<(String, String), BTreeMap<u64, Total>> {
        self.server.look(|state| state.gauges.clone())
    }

    /// Waits until `done` returns true. It is called with the state after each request.
    ///
    /// # Errors
    /// If the deadline passes first.
    pub fn wait_until(
        &self,
        done: impl Fn(&LibratoState) -> bool,
        deadline: Duration,
    ) -> anyhow::Result<()> {
        self.server.wait_until(done, deadline)
    }
}

/// The records of the fake.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct LibratoState {
    /// Every request so far.
    pub requests: Vec<Request>,
    /// The accepted gauges; see [`FakeLibrato::gauges`].
    pub gauges: BTreeMap<(String, String), BTreeMap<u64, Total>>,
    /// Part of names that are rejected, and whether the rest of a body is accepted.
    refused: Option<(String, bool)>,
    /// The file for requests, if they are not recorded here.
    kept: Option<File>,
}

/// The sum of one gauge at one time, added up like the service does.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Total {
    /// Number of readings.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Service for LibratoState {
    fn answer(&mut self, request: &Request) -> Reply {
        if request.header("authorization") != Some(AUTHORIZATION) {
            return refuse(401, &json!({"request": ["Authorization Required"]}));
        }
        if (&*request.method, &*request.path) != ("POST", "/v1/metrics") {
            return refuse(404, &json!({"request": ["Not Found"]}));
        }
        if !request.is("application/json") {
            return refuse(415, &json!({"request": ["Content-Type must be application/json"]}));
        }
        let Some(Value::Object(body)) = &request.json else {
            return refuse(400, &json!({"request": ["is no JSON object"]}));
        };
        let bad = |entry: &Entry| {
            self.refused.as_ref().is_some_and(|(part, _)| entry.name.contains(&**part))
        };
        match entries(body) {
            Ok(all) if all.iter().any(bad) => {
                let (bad, good): (Vec<_>, Vec<_>) = all.into_iter().partition(bad);
                if !self.refused.as_ref().is_some_and(|(_, in_part)| *in_part) {
                    return refuse(400, &params("name", "is invalid"));
                }
                good.into_iter().for_each(|entry| self.take(entry));
                let error = |entry: &Entry| json!({"param": "name", "value": entry.name});
                let errors: Vec<_> = bad.iter().map(error).collect();
                Reply::json(202, &json!({ "errors": errors }))
            }
            Ok(taken) => match self.keep(request) {
                Ok(()) => {
                    taken.into_iter().for_each(|entry| self.take(entry));
                    Reply::status(200)
                }
                Err(why) => refuse(500, &json!({"request": [why.to_string()]})),
            },
            Err(errors) => refuse(400, &errors),
        }
    }

    fn record(&mut self, request: Request) {
        if self.kept.is_none() {
            self.requests.push(request);
        }
    }
}

impl LibratoState {
    /// A single write, so that it is complete or missing if the process is killed.
    fn keep(&mut self, request: &Request) -> io::Result<()> {
        let Some(kept) = &mut self.kept else { return Ok(()) };
        let mut line = request.header("idempotency-key").unwrap_or_default().as_bytes().to_vec();
        line.push(b'\t');
        line.extend(&request.body);
        line.push(b'\n');
        kept.write_all(&line)
    }

    fn take(&mut self, entry: Entry) {
        let key = (entry.source.to_ascii_lowercase(), entry.name.to_ascii_lowercase());
        let times = self.gauges.entry(key).or_default();
        let more = entry.total;
        let total = times.entry(entry.measure_time);
        total
            .and_modify(|total| {
                total.count += more.count;
                total.sum += more.sum;
                total.min = total.min.min(more.min);
                total.max = total.max.max(more.max);
            })
            .or_insert(more);
    }
}

fn refuse(status: u16, errors: &Value) -> Reply {
    Reply::json(status, &json!({ "errors": errors }))
}

struct Entry {
    name: String,
    source: String,
    measure_time: u64,
    total: Total,
}

/// Every gauge and counter of a body, or the first error: a single invalid one makes the service
/// reject all.
fn entries(body: &Map<String, Value>) -> Result<Vec<Entry>, Value> {
    if !body.contains_key("gauges") && !body.contains_key("counters") {
        return Err(json!({"request": ["has neither gauges nor counters"]}));
    }
    let mut all = Vec::new();
    for (kind, may_be_folded) in [("gauges", Folded::May), ("counters", Folded::MayNot)] {
        match body.get(kind) {
            None => {}
            Some(Value::Array(list)) => {
                for one in list {
                    all.push(entry(body, None, one, may_be_folded)?);
                }
            }
            Some(Value::Object(by_name)) => {
                for (name, one) in by_name {
                    all.push(entry(body, Some(name), one, may_be_folded)?);
                }
            }
            Some(_) => return Err(params(kind, "is neither a list nor an object")),
        }
    }
    Ok(all)
}

#[derive(Clone, Copy, PartialEq)]
enum Folded {
    May,
    MayNot,
}

fn params(what: &str, why: &str) -> Value {
    json!({"params": {what: [why]}})
}

fn entry(
    body: &Map<String, Value>,
    name: Option<&str>,
    one: &Value,
    folded: Folded,
) -> Result<Entry, Value> {
    let Value::Object(one) = one else { return Err(params("gauges", "is no object")) };
    let name = one.get("name").and_then(Value::as_str).or(name).unwrap_or_default();
    if !is_legal(name) {
        return Err(params("name", "is invalid"));
    }
    let source = match one.get("source").or_else(|| body.get("source")) {
        None | Some(Value::Null) => "unassigned",
        Some(Value::String(source)) if is_legal(source) && !source.eq_ignore_ascii_case("all") => {
            source
        }
        Some(_) => return Err(params("source", "is invalid")),
    };
    let measure_time = match one.get("measure_time").or_else(|| body.get("measure_time")) {
        None | Some(Value::Null) => zibrato::clock::unix_ms() / 1000,
        Some(time) => time.as_u64().ok_or_else(|| params("measure_time", "is not an integer"))?,
    };
    let total = total(one, folded)?;
    Ok(Entry { name: name.to_owned(), source: source.to_owned(), measure_time, total })
}

fn total(one: &Map<String, Value>, folded: Folded) -> Result<Total, Value> {
    let number = |key: &str| match one.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(number) if number.abs() <= MAX_NUMBER => Ok(Some(number)),
            Some(_) => Err(params(key, "is too large")),
            None => Err(params(key, "is not a number")),
        },
    };
    let (value, sum) = (number("value")?, number("sum")?);
    let (min, max) = (number("min")?, number("max")?);
    number("sum_squares")?;
    let count = match one.get("count") {
        None => None,
        Some(count) => match count.as_u64() {
            Some(count) if count > 0 => Some(count),
            _ => return Err(params("count", "is not a positive integer")),
        },
    };
    match (value, count, sum) {
        (Some(value), None, None) => Ok(Total { count: 1, sum: value, min: value, max: value }),
        (None, Some(count), Some(sum)) if folded == Folded::May => {
            let mean = sum / count as f64;
            Ok(Total { count, sum, min: min.unwrap_or(mean), max: max.unwrap_or(mean) })
        }
        _ => Err(params("value", "is required, or count and sum together in its place")),
    }
}

fn is_legal(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_');
    (1..=255).contains(&text.len()) && text.chars().all(legal)
}
