//! What was recorded: requests, answers, and the result of a call.

use super::results::Ended;
use anyhow::Context as _;
use serde_json::Value;
use zibrato_tests::fake::{Reply, Request, ScriptedServer};

/// What a call did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) sent: Vec<Sent>,
    pub(super) ended: Ended,
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sent {
    pub(super) method: String,
    pub(super) path: String,
    /// Decoded fields, ordered.
    pub(super) query: Vec<(String, String)>,
    pub(super) authorization: Option<String>,
    pub(super) content_type: Option<String>,
    /// JSON, or `null` if there is none.
    pub(super) body: Value,
}

impl From<Request> for Sent {
    fn from(request: Request) -> Self {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let header = |name: &str| request.header(name).map(str::to_owned);
        Self {
            authorization: header("authorization"),
            content_type: header("content-type"),
            query: fields(&request.query),
            body: request.json.unwrap_or(if text.is_empty() { Value::Null } else { text.into() }),
            method: request.method,
            path: request.path,
        }
    }
}

/// The fields of a query, ordered, because their order has no meaning.
fn fields(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut fields: Vec<_> = pairs
        .map(|(name, value)| (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " "))))
        .collect();
    fields.sort();
    fields
}

/// A text without its escapes.
pub(super) fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%');
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn requests(case: &Value) -> impl Iterator<Item = &Value> {
    let first = Some(case).filter(|case| case["method"].is_string());
    first.into_iter().chain(case["more_requests"].as_array().into_iter().flatten())
}

/// The requests and the result of a case.
pub(super) fn recorded(case: &Value) -> anyhow::Result<Record> {
    let sent = requests(case).map(|request| {
        let text = |field: &str| request[field].as_str().map(str::to_owned);
        let header = |name: &str| request["headers"][name].as_str().map(str::to_owned);
        Ok(Sent {
            method: text("method").context("a request without a method")?,
            path: text("path").context("a request without a path")?,
            query: fields(&text("query").unwrap_or_default()),
            authorization: header("Authorization"),
            content_type: header("Content-Type"),
            body: request["body"].clone(),
        })
    });
    let sent = sent.collect::<anyhow::Result<_>>()?;
    Ok(Record { sent, ended: Ended::recorded(&case["result"])? })
}

/// Makes a server give the answers of a case; the last one again and again.
pub(super) fn script(server: &ScriptedServer, case: &Value) -> anyhow::Result<()> {
    let replies = requests(case).map(reply).collect::<anyhow::Result<Vec<_>>>()?;
    server.answer_always(replies.last().cloned());
    replies.into_iter().for_each(|reply| server.answer_with(reply));
    Ok(())
}

fn reply(request: &Value) -> anyhow::Result<Reply> {
    let response = &request["response"];
    let Some(status) = response["status"].as_u64() else {
        // The connection is closed without an answer.
        return Ok(Reply::status(200).cut_after(0));
    };
    let status = u16::try_from(status).context("the status of an answer")?;
    let headers = response["headers"].as_object().into_iter().flatten();
    let reply = Reply::status(status).body(response["body"].as_str().unwrap_or_default());
    let value = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(headers.fold(reply, |reply, (name, text)| reply.header(name, &value(text))))
}

impl Record {
    /// The same at another time than the one at which the clock was frozen.
    pub(super) fn at(&self, now: u64, args: &Value) -> Self {
        let mut record = self.clone();
        let period = args["period"].as_u64().unwrap_or(1).max(1);
        for sent in &mut record.sent {
            for field in ["measure_time", "time"] {
                if let Some(time) = sent.body.get_mut(field) {
                    *time = (now - now % period).into();
                }
            }
        }
        record
    }
}
