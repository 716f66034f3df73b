//! A fake of Librato's `POST /v1/metrics` and `/v1/measurements`, which rejects what the real one
//! rejects, and of `GET /v1/metrics`, which lists what it has accepted.

mod body;

use super::http::{Reply, Request, Server, Service};
use body::{Entry, entries, params, tagged};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

/// The `Authorization` of [`FakeLibrato::USERNAME`] and [`FakeLibrato::APITOKEN`].
const AUTHORIZATION: &str = "Basic dXNlckBleGFtcGxlLmNvbTp0b2sxMjM=";

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

    /// Answers the next delivery with this, whatever it is. Several answers are queued.
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

    /// From now on, a body with a time more than `past_s` ago or `future_s` ahead is rejected.
    pub fn accept_times(&self, past_s: u64, future_s: u64) {
        self.server.change(|state| state.times = Some((past_s, future_s)));
    }

    /// Every delivery so far: requests that only ask, such as a worker's at its start, are not
    /// recorded.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.server.look(|state| state.requests.clone())
    }

    /// The accepted gauges: by source and name (both in lower case, because the service ignores
    /// case), then by time of measurement. The source of a tagged measurement is its tag `source`;
    /// other tags follow the name: `logins;dc=fra`.
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
    /// Every delivery so far.
    pub requests: Vec<Request>,
    /// The accepted gauges; see [`FakeLibrato::gauges`].
    pub gauges: BTreeMap<(String, String), BTreeMap<u64, Total>>,
    /// Part of names that are rejected, and whether the rest of a body is accepted.
    refused: Option<(String, bool)>,
    /// Seconds in the past and in the future beyond which times are rejected.
    times: Option<(u64, u64)>,
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
        let is_tagged = match (&*request.method, &*request.path) {
            ("GET", "/v1/metrics") => return self.list(),
            ("POST", "/v1/metrics") => false,
            ("POST", "/v1/measurements") => true,
            _ => return refuse(404, &json!({"request": ["Not Found"]})),
        };
        if !request.is("application/json") {
            return refuse(415, &json!({"request": ["Content-Type must be application/json"]}));
        }
        let Some(Value::Object(body)) = &request.json else {
            return refuse(400, &json!({"request": ["is no JSON object"]}));
        };
        let bad = |entry: &Entry| {
            self.refused.as_ref().is_some_and(|(part, _)| entry.name.contains(&**part))
        };
        let all = if is_tagged { tagged(body) } else { entries(body) };
        let all = all.and_then(|all| match all.iter().find_map(|entry| self.late(entry)) {
            Some(why) => Err(params("measure_time", why)),
            None => Ok(all),
        });
        match all {
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
        if self.kept.is_none() && is_delivery(&request) {
            self.requests.push(request);
        }
    }

    fn may_be_scripted(&self, request: &Request) -> bool {
        is_delivery(request)
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

    /// Why the time of an entry is rejected.
    fn late(&self, entry: &Entry) -> Option<&'static str> {
        let (past, future) = self.times?;
        let now = zibrato::clock::unix_ms() / 1000;
        if entry.measure_time < now.saturating_sub(past) {
            Some("is too far in the past")
        } else if entry.measure_time > now + future {
            Some("is too far in the future")
        } else {
            None
        }
    }

    fn list(&self) -> Reply {
        let metric = |(_, name): &(String, String)| json!({"name": name, "type": "gauge"});
        let metrics: Vec<_> = self.gauges.keys().map(metric).collect();
        let length = metrics.len();
        let query = json!({"found": length, "length": length, "offset": 0, "total": length});
        Reply::json(200, &json!({"query": query, "metrics": metrics}))
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

fn is_delivery(request: &Request) -> bool {
    request.method == "POST"
}

fn refuse(status: u16, errors: &Value) -> Reply {
    Reply::json(status, &json!({ "errors": errors }))
}
