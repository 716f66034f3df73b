//! Calls of aggregators.

use super::calls::Called;
use super::{Run, given};
use anyhow::Context as _;
use serde_json::{Value, json};
use zibrato_workers::librato::client::Aggregator;

/// Makes the call of a case, if it is about an aggregator.
pub(super) fn call(run: &Run<'_>) -> anyhow::Result<Option<Called>> {
    let is_about = run.call.contains("Aggregator") || run.call.contains("aggregator");
    if !is_about {
        return Ok(None);
    }
    let client = run.client()?;
    let args = run.args;
    let mut aggregator = client.aggregator();
    if let Some(source) = args["source"].as_str() {
        aggregator = aggregator.source(source);
    }
    aggregator = args["period"].as_u64().into_iter().fold(aggregator, Aggregator::period);
    let time = args["measure_time"].as_i64().or_else(|| args["time"].as_i64());
    aggregator = time.into_iter().fold(aggregator, Aggregator::measure_time);
    if let Some(tags) = given::tags(&args["tags"])? {
        aggregator = aggregator.tags(tags);
    }
    for (field, add) in [
        ("add", Aggregator::add as fn(&mut Aggregator, &str, _) -> _),
        ("add_tagged", Aggregator::add_tagged),
    ] {
        for one in args[field].as_array().into_iter().flatten() {
            let name = one[0].as_str().context("an add has a name")?;
            add(&mut aggregator, name, given::number(&one[1])?)?;
        }
    }
    let state = |aggregator: &Aggregator| {
        // An empty one, without a time, sends no time.
        let payload: Value = serde_json::from_str(&aggregator.payload()).unwrap_or_default();
        json!({ "left": payload["gauges"], "measure_time": payload["measure_time"] })
    };
    let called = match run.call {
        "Aggregator.to_payload" => Called::of(Ok(serde_json::from_str(&aggregator.payload())?)),
        "Aggregator.to_md_payload" => {
            Called::of(Ok(serde_json::from_str(&aggregator.tagged_payload())?))
        }
        call if call.starts_with("queue") => {
            let mut queue = client.queue();
            let added = queue.add_aggregator(&mut aggregator);
            let submitted = added.and_then(|()| queue.submit());
            queue.clear();
            // With a period, the next time is the current one.
            let left = json!({ "left": aggregator.is_empty().then_some(Value::Null) });
            Called::of(submitted.map(|()| left))
        }
        _ if run.is_appoptics() => Called::done(aggregator.submit()),
        _ => {
            let submitted = aggregator.submit();
            let has_period = args["period"].is_u64();
            let mut found = state(&aggregator);
            if has_period {
                found["measure_time"] = Value::Null;
            }
            let measurements = found["left"].clone();
            let (source, period) = (args["source"].clone(), args["period"].clone());
            let time = found["measure_time"].clone();
            let kept = json!({
                "measurements": measurements, "measure_time": time, "source": source, "period": period,
            });
            Called::of(submitted.map(|()| kept))
        }
    };
    aggregator.clear();
    Ok(Some(called))
}
