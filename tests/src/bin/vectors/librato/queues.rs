//! Calls of queues.

use super::calls::Called;
use super::results::Ended;
use super::{Run, given};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use zibrato_workers::librato::client::{Client, Measurement, Queue, Tags};

/// Makes the call of a case, if it is about a queue.
pub(super) fn call(run: &Run<'_>) -> anyhow::Result<Option<Called>> {
    let call = run.call;
    let is_counted = call.contains(" adds, submit") || call.contains(" adds; ");
    let is_about_queues =
        call.contains("queue") || is_counted || call.contains("auto_submit_count");
    if !is_about_queues || call.contains("aggregator") {
        return Ok(None);
    }
    let client = run.client()?;
    if call == "with new_queue() and an exception inside" {
        return unwinding(run, &client).map(Some);
    }
    let mut queue = client.queue();
    if let Some(tags) = given::tags(&run.args["queue_tags"])? {
        queue = queue.tags(tags);
    }
    if let Some(count) = run.args["auto_submit_count"].as_u64() {
        queue = queue.auto_submit_count(count.try_into()?);
    }
    let added = added(run)?;
    let mut sent = Vec::new();
    for one in added {
        let result = queue.add(one);
        if let Err(error) = result {
            queue.clear();
            return Ok(Some(Called::of(Err(error))));
        }
        sent.push(run.server.requests().len());
    }
    if call.starts_with("auto_submit_count") {
        // What is left at the end of the scope is not a part of these cases.
        queue.clear();
        let result = match run.args["count"].as_u64() {
            Some(count) => {
                let [.., before, after] = sent[..] else { anyhow::bail!("there are no adds") };
                json!({ format!("requests_after_{}", count - 1): before, format!("requests_after_{count}"): after })
            }
            None => json!(sent),
        };
        return Ok(Some(Called::of(Ok(result))));
    }
    if call == "with new_queue()" {
        drop(queue);
        return Ok(Some(Called::Ended(Ended::nothing())));
    }
    if call.contains("the second POST fails") {
        return failing(queue).map(Some);
    }
    let submitted = queue.submit();
    queue.clear();
    Ok(Some(Called::done(submitted)))
}

/// Two submissions, the first of which fails.
fn failing(mut queue: Queue) -> anyhow::Result<Called> {
    let error = queue.submit().err().context("the submission did not fail")?.to_string();
    let left = queue.len();
    queue.submit()?;
    Ok(Called::of(Ok(json!({ "first_error": error, "left_after_error": left }))))
}

/// A queue whose scope ends with a panic.
fn unwinding(run: &Run<'_>, client: &Client) -> anyhow::Result<Called> {
    let added = added(run)?;
    let scope = || -> anyhow::Result<()> {
        let mut queue = client.queue();
        for one in added {
            queue.add(one)?;
        }
        // Unwinds without a message on the standard error.
        resume_unwind(Box::new("boom"))
    };
    match catch_unwind(AssertUnwindSafe(scope)) {
        Ok(ended) => ended.map(|()| Called::Ended(Ended::nothing())),
        Err(panic) => {
            let message = panic.downcast_ref::<&str>().copied();
            Ok(Called::Ended(Ended::failed("ValueError", None, message)))
        }
    }
}

/// The measurements that a case adds.
fn added(run: &Run<'_>) -> anyhow::Result<Vec<Measurement>> {
    let args = run.args;
    if let Some(all) = args["add"].as_array() {
        return all.iter().zip(1..).map(|(given, at)| one(given, at)).collect();
    }
    if let Some(count) = args["count"].as_i64() {
        let tags = match given::tags(&args["tags"])? {
            None if run.is_appoptics() => Some(Tags::from([("a", "b")])),
            tags => tags,
        };
        let is_mixed = run.call.contains("mixed");
        let is_same_name = run.call.starts_with("auto_submit_count");
        return Ok((0..count)
            .map(|at| {
                let name = if is_same_name { "m".to_owned() } else { format!("m{at}") };
                let is_counter = is_mixed && at % 2 == 1;
                let one = if is_counter {
                    Measurement::counter(name, at)
                } else {
                    Measurement::gauge(name, at)
                };
                tags.iter().cloned().fold(one, Measurement::tags)
            })
            .collect());
    }
    Ok(match run.call {
        "auto_submit_count counts legacy and tagged together" => {
            vec![Measurement::gauge("a", 1), Measurement::gauge("b", 1).tags([("x", "y")])]
        }
        _ => vec![
            Measurement::gauge("t", 1),
            Measurement::gauge("t", 2).tags([("l", "d")]),
            Measurement::gauge("t", 3).tags([("l", "d")]).inherit_tags(),
        ],
    })
}

/// A name, whose value is its place, or a name, a value and keyword arguments.
fn one(given: &Value, place: i64) -> anyhow::Result<Measurement> {
    if let Some(name) = given.as_str() {
        return Ok(Measurement::gauge(name, place));
    }
    let name = given[0].as_str().context("an add has a name")?;
    given::measurement(name, &given[1], &given[2])
}
