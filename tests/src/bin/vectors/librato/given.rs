//! Arguments of recorded calls, as the client takes them.

use anyhow::{Context as _, bail};
use serde_json::Value;
use zibrato_workers::librato::client::{
    Attributes, Extra, ListQuery, Measurement, MeasurementsQuery, MetricQuery, Number, Span,
    Summary, Tags,
};

/// Tags, if there are some.
pub(super) fn tags(value: &Value) -> anyhow::Result<Option<Tags>> {
    let Some(fields) = value.as_object() else { return Ok(None) };
    let tag = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    let tags: Option<Vec<_>> = fields.iter().map(tag).collect();
    Ok(Some(tags.context("tags are texts")?.into_iter().collect()))
}

/// A number, which may be written as a text.
pub(super) fn number(value: &Value) -> anyhow::Result<Number> {
    if let Some(whole) = value.as_i64() {
        return Ok(whole.into());
    }
    if value == "NaN (float)" {
        return Ok(f64::NAN.into());
    }
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    number.map(Number::from).with_context(|| format!("`{value}` is not a number"))
}

/// A measurement with these keyword arguments.
pub(super) fn measurement(name: &str, value: &Value, args: &Value) -> anyhow::Result<Measurement> {
    let given = |field: &str| args.get(field).filter(|value| !value.is_null());
    let mut one = if value.is_null() {
        let count = given("count").and_then(Value::as_u64).context("a summary has a count")?;
        let mut summary = Summary::new(count, number(&args["sum"])?);
        for (field, set) in SUMMARY {
            if let Some(value) = given(field) {
                summary = set(summary, number(value)?);
            }
        }
        Measurement::summary(name, summary)
    } else if given("type").is_some_and(|kind| kind == "counter") {
        Measurement::counter(name, number(value)?)
    } else {
        Measurement::gauge(name, number(value)?)
    };
    let mut extra = Extra::new();
    for (field, value) in args.as_object().into_iter().flatten() {
        let text = || value.as_str().with_context(|| format!("`{field}` is not a text"));
        let whole = || value.as_i64().with_context(|| format!("`{field}` is not a number"));
        one = match &**field {
            "name" | "value" | "type" | "count" | "sum" => one,
            known if SUMMARY.iter().any(|(name, _)| *name == known) => one,
            "source" => one.source(text()?),
            "measure_time" | "time" => one.time(whole()?),
            "period" => one.period(whole()?.try_into()?),
            "description" => one.description(text()?),
            "display_name" => one.display_name(text()?),
            "attributes" => one.attributes(attributes(value)?),
            "tags" => match tags(value)? {
                Some(tags) => one.tags(tags),
                None => one,
            },
            "inherit_tags" if value == true => one.inherit_tags(),
            "inherit_tags" => one,
            other => {
                extra = extra.with_json(other, &value.to_string())?;
                one
            }
        };
    }
    Ok(one.extra(extra))
}

type Set = fn(Summary, Number) -> Summary;

/// The fields of a summary.
const SUMMARY: [(&str, Set); 5] = [
    ("min", Summary::min),
    ("max", Summary::max),
    ("sum_squares", Summary::sum_squares),
    ("last", Summary::last),
    ("stddev", Summary::stddev),
];

fn attributes(value: &Value) -> anyhow::Result<Attributes> {
    Ok(serde_json::from_value(value.clone())?)
}

/// A text of a query: Python's `True` is a boolean, which is `true`.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The fields of a query, without those in `except`.
fn fields(args: &Value, except: &[&str]) -> Vec<(String, String)> {
    let fields = args.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| !except.contains(&name.as_str()));
    fields
        .flat_map(|(name, value)| match value {
            Value::Array(items) => {
                items.iter().map(|item| (format!("{name}[]"), text(item))).collect::<Vec<_>>()
            }
            value => vec![(name.clone(), text(value))],
        })
        .collect()
}

/// What to list.
pub(super) fn list(args: &Value) -> ListQuery {
    let query = ListQuery::new();
    let query = args["offset"].as_u64().into_iter().fold(query, ListQuery::offset);
    // The list of alerts of python-librato has an argument without effect.
    let except = ["offset", "active_only", "env", "base_path"];
    fields(args, &except).into_iter().fold(query, |query, (name, value)| match &*name {
        "name" => query.name(value),
        "length" => query.length(value.parse().unwrap_or_default()),
        _ => query.param(name, value),
    })
}

/// Which measurements of a metric.
pub(super) fn metric(args: &Value) -> MetricQuery {
    let fields = fields(args, &["name"]);
    fields.into_iter().fold(MetricQuery::new(), |query, (name, value)| query.param(name, value))
}

/// Which measurements with tags; `None` if the times are contradictory or missing.
pub(super) fn measurements(args: &Value) -> anyhow::Result<Option<MeasurementsQuery>> {
    let time = |field: &str| args[field].as_i64();
    let duration = args["duration"].as_u64();
    let span = match (time("start_time"), time("end_time"), duration) {
        (Some(start), None, None) => Span::since(start),
        (Some(start), Some(end), None) => Span::between(start, end),
        (Some(start), None, Some(seconds)) => Span::since_for(start, seconds),
        (None, None, Some(seconds)) => Span::last(seconds),
        (None, Some(end), Some(seconds)) => Span::last_until(seconds, end),
        (None, _, None) | (Some(_), Some(_), Some(_)) => return Ok(None),
    };
    let mut query = MeasurementsQuery::new(span);
    for (name, value) in args.as_object().into_iter().flatten() {
        query = match (&**name, value) {
            ("name" | "compose" | "start_time" | "end_time" | "duration", _) => query,
            ("resolution", value) => query.resolution(value.as_u64().context("a resolution")?),
            ("tags", Value::Object(tags)) => {
                tags.iter().fold(query, |query, (tag, value)| match value {
                    Value::Array(values) => query.tag_any(tag, values.iter().map(text)),
                    value => query.tag(tag, text(value)),
                })
            }
            ("tags_search", value) => query.tags_search(text(value)),
            (name, Value::String(value)) => query.param(name, value),
            (name, value) => bail!("the parameter `{name}` is {value}"),
        };
    }
    Ok(Some(query))
}
