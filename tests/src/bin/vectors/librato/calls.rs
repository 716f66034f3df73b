//! Calls about the client itself, metrics and measurements.

use super::results::Ended;
use super::{Run, aggregates, given, objects, queues};
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::time::Duration;
use zibrato_tests::fake::Reply;
use zibrato_workers::librato::client::{
    Client, CompositeQuery, Credentials, Error, Measurement, MetricKind, MetricProperties,
    sanitize_metric_name,
};

/// What became of a call.
#[derive(Debug)]
pub(super) enum Called {
    Ended(Ended),
    /// It cannot be written in Rust; the reason.
    Impossible(&'static str),
}

impl Called {
    /// A call of the client, with its result.
    pub(super) fn of(result: Result<Value, Error>) -> Self {
        Self::Ended(Ended::of(result))
    }

    /// A call without a result.
    pub(super) fn done<T>(result: Result<T, Error>) -> Self {
        Self::of(result.map(|_| Value::Null))
    }
}

/// Makes the call of a case, if it is one of this kind.
type Kind = fn(&Run<'_>) -> anyhow::Result<Option<Called>>;

/// Makes the call of a case.
pub(super) fn call(run: &Run<'_>) -> anyhow::Result<Called> {
    let kinds: [Kind; 5] = [connection, metrics, queues::call, aggregates::call, objects::call];
    for kind in kinds {
        if let Some(called) = kind(run)? {
            return Ok(called);
        }
    }
    bail!("the call `{}` is unknown", run.call)
}

fn connection(run: &Run<'_>) -> anyhow::Result<Option<Called>> {
    let name = || run.args["name"].as_str().context("the case has no name");
    Ok(Some(match run.call {
        "connect() without credentials; list_metrics" => {
            match Credentials::from_variables("", "", |_| None) {
                Ok(_) => bail!("no credentials are credentials"),
                Err(error) => {
                    Called::Ended(Ended::failed("Credentials", None, Some(&error.to_string())))
                }
            }
        }
        "connect(protocol=\"ftp\")" => {
            let url = format!("{}://127.0.0.1/v1", run.args["protocol"].as_str().unwrap_or(""));
            match run.builder()?.url(url).build() {
                Ok(_) => Called::Ended(Ended::nothing()),
                Err(error) => Called::Ended(Ended::failed("Build", None, Some(&error.to_string()))),
            }
        }
        "get_instrument (removed API)" => {
            Called::Impossible("a method that does not exist does not compile")
        }
        "set_timeout" => {
            let seconds = run.args["timeout"].as_u64().context("a timeout")?;
            let set = run.builder()?.timeout(Duration::from_secs(seconds)).build()?;
            let times = [run.client()?.timeout(), set.timeout()].map(|time| time.as_secs());
            Called::of(Ok(json!(times)))
        }
        "sanitize_metric_name" => Called::of(Ok(json!(sanitize_metric_name(name()?)))),
        "sanitize_no_op" => {
            // A client without a sanitizer sends names as they are.
            let other = Run::new(run.case)?;
            other.server.answer_with(Reply::status(200));
            other.client()?.submit(Measurement::gauge(name()?, 1))?;
            let sent = other.server.requests().pop().and_then(|request| request.json);
            let sent = sent.context("nothing was sent")?["gauges"][0]["name"].clone();
            Called::of(Ok(sent))
        }
        _ => return Ok(None),
    }))
}

/// `list_metrics (response has no "metrics" key)` is `list_metrics`.
fn plain(call: &str) -> &str {
    let call = call.split(" (").next().unwrap_or(call);
    let call = call.split(';').next().unwrap_or(call);
    call.split(" with ").next().unwrap_or(call).trim()
}

fn metrics(run: &Run<'_>) -> anyhow::Result<Option<Called>> {
    let args = run.args;
    let text = |field: &str| args[field].as_str().with_context(|| format!("`{field}` is no text"));
    let is_listing = run.call.ends_with("; list_metrics");
    let call = if is_listing { "list_metrics" } else { plain(run.call) };
    if call == "list_all_metrics" && run.call.contains("not iterated") {
        drop(run.client()?.metrics().all(&given::list(args)));
        return Ok(Some(Called::Ended(Ended::nothing())));
    }
    let client = run.client()?;
    let metrics = client.metrics();
    Ok(Some(match call {
        "list_metrics" => {
            let listed = metrics.list(&given::list(args));
            Called::of(listed.and_then(|page| json_of(page.items)))
        }
        "list_all_metrics" => {
            let names: Result<Vec<_>, _> =
                metrics.all(&given::list(args)).map(|metric| Ok(metric?.name)).collect();
            Called::of(names.map(|names: Vec<String>| json!(names)))
        }
        "submit" | "submit_tagged" => {
            if !matches!(args["type"].as_str(), None | Some("gauge" | "counter")) {
                return Ok(Some(Called::Impossible(
                    "there are gauges and counters, and no other types",
                )));
            }
            let one = given::measurement(text("name")?, &args["value"], args)?;
            let submitted =
                if call == "submit" { client.submit(one) } else { client.submit_tagged(one) };
            Called::done(submitted)
        }
        "add_tags, set_tags, add_tags, submit" => steps(client, args)?,
        "Counter.add" => Called::done(
            client.submit(Measurement::counter(text("name")?, given::number(&args["value"])?)),
        ),
        "get" => {
            let metric = metrics.get_with(text("name")?, &given::metric(args));
            Called::of(metric.and_then(json_of))
        }
        "get_tagged" | "get_measurements" => {
            let Some(query) = given::measurements(args)? else {
                return Ok(Some(Called::Impossible(
                    "a span has a start or a duration, and not three times",
                )));
            };
            Called::of(client.measurements().get(text("name")?, &query).and_then(json_of))
        }
        "get_composite" if client.tags().is_empty() => {
            let Some(start) = args["start_time"].as_i64() else {
                return Ok(Some(Called::Impossible("a query of a composite has a start")));
            };
            let mut query = CompositeQuery::since(start);
            query = args["end_time"].as_i64().into_iter().fold(query, CompositeQuery::until);
            query = args["resolution"].as_u64().into_iter().fold(query, CompositeQuery::resolution);
            Called::of(metrics.composite(text("compose")?, &query).and_then(json_of))
        }
        "get_composite" | "get_composite_tagged" => {
            let query = given::measurements(args)?.context("a composite has a start")?;
            Called::of(client.measurements().composite(text("compose")?, &query).and_then(json_of))
        }
        "update" => Called::done(metrics.update(text("name")?, &MetricProperties::new())),
        "create_metric" => {
            let period = args["period"].as_u64().into_iter();
            let properties = period.fold(MetricProperties::new(), MetricProperties::period);
            let created = metrics.create(text("name")?, MetricKind::Gauge, properties);
            Called::of(created.and_then(json_of))
        }
        "delete" => match &args["names"] {
            Value::String(name) => Called::done(metrics.delete(name)),
            names => {
                let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
                Called::done(metrics.delete_many(names))
            }
        },
        _ => return Ok(None),
    }))
}

/// A value as JSON.
fn json_of<T: ToJson>(value: T) -> Result<Value, Error> {
    Ok(value.to_json())
}

/// What becomes JSON. The fields of the client's types can always be written.
trait ToJson {
    fn to_json(&self) -> Value;
}

macro_rules! to_json {
    ($($of:ty),*) => {$(
        impl ToJson for $of {
            fn to_json(&self) -> Value {
                serde_json::to_value(self).unwrap_or_default()
            }
        }
    )*};
}

to_json!(
    Vec<zibrato_workers::librato::client::Metric>,
    Option<zibrato_workers::librato::client::Metric>,
    zibrato_workers::librato::client::Composite,
    zibrato_workers::librato::client::Metric,
    zibrato_workers::librato::client::SeriesList
);

/// A connection whose tags change.
fn steps(mut client: Client, args: &Value) -> anyhow::Result<Called> {
    let mut submitted = Ok(());
    for step in args["steps"].as_array().context("the case has no steps")? {
        let given = &step[1];
        let tags = || given::tags(given).map(Option::unwrap_or_default);
        match step[0].as_str().unwrap_or_default() {
            "connect" => client.set_tags(given::tags(&given["tags"])?.unwrap_or_default()),
            "set_tags" => client.set_tags(tags()?),
            "add_tags" => client.add_tags(tags()?),
            "submit" => {
                let name = given[0].as_str().context("a name")?;
                submitted = client.submit(Measurement::gauge(name, given::number(&given[1])?));
            }
            other => bail!("the step `{other}` is unknown"),
        }
    }
    Ok(Called::done(submitted))
}
