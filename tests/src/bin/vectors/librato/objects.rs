//! Calls about annotations, alerts, services, spaces and charts.

use super::Run;
use super::calls::Called;
use super::given;
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use zibrato_workers::librato::client::{
    Alert, Annotation, AnnotationQuery, Chart, Client, Condition, Error, Id, Service, Stream,
};

/// Makes the call of a case, if it is about one of these.
pub(super) fn call(run: &Run<'_>) -> anyhow::Result<Option<Called>> {
    let client = run.client()?;
    if let Some(called) = annotations(run, &client)? {
        return Ok(Some(called));
    }
    if let Some(called) = alerts(run, &client)? {
        return Ok(Some(called));
    }
    spaces(run, &client)
}

fn json_of(value: Result<Value, serde_json::Error>) -> Value {
    value.unwrap_or_default()
}

fn annotations(run: &Run<'_>, client: &Client) -> anyhow::Result<Option<Called>> {
    let args = run.args;
    let name = || args["name"].as_str().context("the case has no name");
    let annotations = client.annotations();
    let value = |stream| json_of(serde_json::to_value(stream));
    let call = run.call.split([' ', ';']).next().unwrap_or_default();
    Ok(Some(match call {
        "list_annotation_streams" => {
            let page = annotations.streams(&given::list(args));
            Called::of(page.map(|page| json_of(serde_json::to_value(page.items))))
        }
        "get_annotation_stream" => {
            let mut query = AnnotationQuery::default();
            for (field, value) in args.as_object().into_iter().flatten() {
                query = match (&**field, value) {
                    ("name", _) => query,
                    ("sources", Value::Array(sources)) => {
                        let sources = sources.iter().filter_map(Value::as_str);
                        sources.fold(query, AnnotationQuery::source)
                    }
                    (field, Value::String(text)) => query.param(field, text),
                    (field, value) => query.param(field, value.to_string()),
                };
            }
            Called::of(annotations.stream(name()?, &query).map(value))
        }
        "get_annotation" => {
            let id = args["id"].as_u64().context("an identifier")?;
            let got = annotations.get(name()?, &Id::from(id));
            Called::of(got.map(|one| json_of(serde_json::to_value(one))))
        }
        // The case is about an annotation.
        "post_annotation" | "get_alert"
            if args["title"].is_string() || call == "post_annotation" =>
        {
            let mut fields = args.clone();
            fields.as_object_mut().context("arguments")?.remove("name");
            let annotation: Annotation = serde_json::from_value(fields)?;
            let posted = annotations.post(name()?, &annotation);
            Called::of(posted.map(|one| json_of(serde_json::to_value(one))))
        }
        "update_annotation_stream" => {
            let updated = annotations.update_stream(name()?, args["display_name"].as_str());
            Called::of(updated.map(|stream| json_of(serde_json::to_value(stream))))
        }
        "delete_annotation_stream" => Called::done(annotations.delete_stream(name()?)),
        _ => return Ok(None),
    }))
}

/// An alert with its identifier, which is not in what is sent.
fn shown(alert: &Alert) -> Value {
    let mut value = json_of(serde_json::to_value(alert));
    value["id"] = json_of(serde_json::to_value(&alert.id));
    value
}

fn stored() -> Alert {
    let mut alert = Alert::new("my.alert");
    alert.id = Some(Id::from(123));
    alert
}

fn alerts(run: &Run<'_>, client: &Client) -> anyhow::Result<Option<Called>> {
    let args = run.args;
    let name = || args["name"].as_str().context("the case has no name");
    let alerts = client.alerts();
    let above = |metric| Condition::above(metric, 1);
    let saved = |alert: Alert| Called::done(alerts.update(&alert));
    Ok(Some(match run.call {
        "list_alerts" => {
            let page = alerts.list(&given::list(args));
            Called::of(page.map(|page| page.items.iter().map(shown).collect()))
        }
        "create_alert" => {
            let mut alert = Alert::new(name()?);
            for condition in args["conditions"].as_array().into_iter().flatten() {
                let Some(condition) = condition_of(condition)? else {
                    return Ok(Some(Called::Impossible(
                        "a condition has a kind by its constructor",
                    )));
                };
                alert = alert.condition(condition);
            }
            for service in args["services"].as_array().into_iter().flatten() {
                alert = alert.service(serde_json::from_value::<Id>(service.clone())?);
            }
            if let Some(text) = args["description"].as_str() {
                alert = alert.description(text);
            }
            alert.rearm_seconds = args["rearm_seconds"].as_u64();
            alert.active = args["active"].as_bool().unwrap_or(true);
            alert.md = args["md"].as_bool().unwrap_or_default();
            if !args["attributes"].is_null() {
                alert.attributes = serde_json::from_value(args["attributes"].clone())?;
            }
            Called::of(alerts.create(&alert).map(|alert| shown(&alert)))
        }
        "add_condition_for(m).above(1); save" => saved(stored().condition(above("metric_name"))),
        "add_condition_for(m).above(1,\"sum\"); save" => {
            saved(stored().condition(above("metric_name").summary_function("sum")))
        }
        "add_condition_for(m,\"web*\").below(1); save" => {
            saved(stored().condition(Condition::below("metric_name", 1).source("web*")))
        }
        "add_condition_for(m).stops_reporting_for(300); save" => {
            saved(stored().condition(Condition::absent("metric_name", 300)))
        }
        "above, below, absent + service; save" => {
            let alert = stored()
                .condition(above("m1"))
                .condition(Condition::below("m2", 2))
                .condition(Condition::absent("m3", 60));
            saved(alert.service(Id::from("849")).service(Service::from(Id::from(7))))
        }
        "add_condition_for(m) only; save" => {
            Called::Impossible("a condition has a kind by its constructor")
        }
        "get_alert" => {
            let found = alerts.find(name()?);
            Called::of(found.map(|alert| alert.as_ref().map_or(Value::Null, shown)))
        }
        "update_alert" => {
            let mut alert = stored();
            alert.conditions = serde_json::from_value(args["alert"]["conditions"].clone())?;
            alert.rearm_seconds = Some(600);
            alert.active = args["active"].as_bool().context("the case changes `active`")?;
            saved(alert)
        }
        "delete_alert" => Called::done(alerts.delete_named(name()?)),
        "list_services" => {
            let page = client.services().list(&given::list(args));
            Called::of(page.map(|page| json_of(serde_json::to_value(page.items))))
        }
        _ => return Ok(None),
    }))
}

/// A condition in the form of a dictionary; `None` if it has no kind.
fn condition_of(given: &Value) -> anyhow::Result<Option<Condition>> {
    let metric = given["metric_name"].as_str().unwrap_or_default();
    let threshold = || given::number(&given["threshold"]);
    let mut condition = match given["type"].as_str() {
        None => return Ok(None),
        Some("above") => Condition::above(metric, threshold()?),
        Some("below") => Condition::below(metric, threshold()?),
        Some("absent") => Condition::absent(metric, given["duration"].as_u64().unwrap_or_default()),
        Some(other) => bail!("the kind `{other}` of a condition"),
    };
    condition.summary_function = given["summary_function"].as_str().map(str::to_owned);
    condition.duration = given["duration"].as_u64();
    Ok(Some(condition))
}

/// A chart with its identifier.
fn chart_value(chart: &Chart) -> Value {
    let mut value = json_of(serde_json::to_value(chart));
    value["id"] = json_of(serde_json::to_value(&chart.id));
    value
}

fn spaces(run: &Run<'_>, client: &Client) -> anyhow::Result<Option<Called>> {
    let args = run.args;
    let name = || args["name"].as_str().context("the case has no name");
    let id = |field: &str| args[field].as_u64().map(Id::from).context("an identifier");
    let space = |space| json_of(serde_json::to_value(space));
    let spaces = client.spaces();
    let chart = |found: Result<Chart, Error>| Called::of(found.map(|chart| chart_value(&chart)));
    Ok(Some(match run.call {
        "list_spaces" => {
            let page = spaces.list(&given::list(args));
            Called::of(page.map(|page| json_of(serde_json::to_value(page.items))))
        }
        "get_space" => Called::of(spaces.get(&id("id")?).map(space)),
        "find_space" if !args["name"].is_string() => Called::Impossible("a name is a text"),
        "find_space" => {
            let found = spaces.find(name()?);
            Called::of(found.map(|space| json_of(serde_json::to_value(space))))
        }
        "create_space" => Called::of(spaces.create(name()?).map(space)),
        "Space.rename" => Called::done(spaces.rename(&id("id")?, name()?)),
        "delete_space" => Called::done(spaces.delete(&id("id")?)),
        "list_charts_in_space" => {
            let listed = client.charts(id("space_id")?).list();
            Called::of(listed.map(|charts| charts.iter().map(chart_value).collect()))
        }
        "get_chart" if !args["space_id"].is_u64() => {
            Called::Impossible("the identifier of a space is that which the server gave")
        }
        "get_chart" => chart(client.charts(id("space_id")?).get(&id("chart_id")?)),
        "find_chart" => {
            let found = client.charts(id("space_id")?).find(name()?);
            Called::of(found.map(|chart| chart.as_ref().map_or(Value::Null, chart_value)))
        }
        "get_chart, rename" => {
            let charts = client.charts(id("space_id")?);
            let mut chart = charts.get(&id("chart_id")?)?;
            chart.name = name()?.to_owned();
            Called::done(charts.update(&chart))
        }
        "delete_chart" => Called::done(client.charts(id("space_id")?).delete(&id("chart_id")?)),
        "Space.add_bignumber_chart"
        | "Space.add_single_stacked_chart"
        | "Space.add_single_line_chart" => {
            let space = spaces.get(&Id::from(129))?;
            let metric = args["metric"].as_str().context("a metric")?;
            let mut stream = Stream::metric(metric);
            let text = |field: &str| args[field].as_str();
            stream = text("source").into_iter().fold(stream, Stream::source);
            stream = text("group_function").into_iter().fold(stream, Stream::group_function);
            stream = text("summary_function").into_iter().fold(stream, Stream::summary_function);
            let new = match run.call {
                "Space.add_bignumber_chart" => Chart::bignumber(name()?, metric),
                "Space.add_single_stacked_chart" => Chart::stacked(name()?).stream(stream),
                _ => Chart::line(name()?).stream(stream),
            };
            chart(client.charts(space.id).create(&new))
        }
        "Stream(metric).get_payload" => {
            let metric = args["metric"].as_str().context("a metric")?;
            Called::of(Ok(json!(serde_json::to_value(Stream::metric(metric))?)))
        }
        _ => return Ok(None),
    }))
}
