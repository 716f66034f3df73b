//! What Carbon's relay does: destinations, hashes, rules and what it writes. Kinds
//! `carbon_add_duplicate`, `carbon_consistent_hash`, `carbon_destination`, `carbon_fast_hash`,
//! `carbon_hash`, `carbon_hash_ring`, `carbon_relay_line`, `carbon_relay_pickle` and
//! `carbon_relay_rules`.

use super::outputs::{Sample, compare, delivered, recorded_line};
use super::pickles::frames;
use super::points::Point;
use crate::compare::{Differences, Outcome};
use crate::json::{bytes, list, some_number, text, texts};
use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum as _;
use serde_json::{Value, json};
use zibrato_workers::carbon::{Address, HashType, Protocol, RelayMethod, Router};

/// How the relay writes values in lines.
const DECIMALS: usize = 10;

/// A destination: `host:port:instance`.
pub(crate) fn check_destination(case: &Value) -> anyhow::Result<Outcome> {
    let text = text(&case["input"], "string")?;
    let mut differences = Differences::default();
    let raised = case["expect"].get("raised").is_some();
    match text.parse::<Address>() {
        Ok(found) => {
            let found = json!([found.host(), found.port(), found.instance()]);
            if raised || found != case["expect"]["result"] {
                differences.fail(format!("`{text}` is {found}"));
            }
        }
        Err(_) if raised => {}
        Err(error) => {
            let is_strange = text.trim().contains(|c: char| c.is_whitespace() || c == ',');
            let is_zero = case["expect"]["result"][1] == 0;
            if is_strange {
                differences.by_design("destinations have no blanks and commas inside");
            } else if is_zero {
                differences.by_design("port 0 is no destination");
            } else {
                differences.fail(error.to_string());
            }
        }
    }
    Ok(differences.outcome())
}

/// The position of a name on the ring.
pub(crate) fn check_hash(case: &Value) -> anyhow::Result<Outcome> {
    let key = text(&case["input"], "key")?;
    let hash = hash(&case["config"]["hash_type"])?.context("`config.hash_type`")?;
    let mut differences = Differences::default();
    let found = hash.position(key);
    if case["expect"]["position"] != found {
        differences.fail(format!("the position of {key} is {found}"));
    }
    Ok(differences.outcome())
}

/// The points on the ring.
pub(crate) fn check_ring(case: &Value) -> anyhow::Result<Outcome> {
    let nodes = list(&case["input"], "nodes")?.iter();
    let address = |(port, node): (usize, &Value)| {
        let host = node[0].as_str().context("a node has no host")?;
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let instance = node[1].as_str().map(|instance| format!(":{instance}"));
        Ok(format!("{host}:{port}{}", instance.unwrap_or_default()))
    };
    let texts: Vec<_> = (1..).zip(nodes).map(address).collect::<anyhow::Result<_>>()?;
    let hash = hash(&case["config"]["hash_type"])?.context("`config.hash_type`")?;
    let router = router(&texts, RelayMethod::ConsistentHashing, Some(hash), &json!({}))?;
    let mut differences = Differences::default();
    if case["config"]["replica_count"].as_u64().is_some_and(|count| count != 100) {
        differences
            .by_design("each destination has 100 points, as with Carbon's own configuration");
        return Ok(differences.outcome());
    }
    let node = |text: &str| -> anyhow::Result<Value> {
        let address: Address = text.parse()?;
        Ok(json!([address.host(), address.instance()]))
    };
    let points = router.points().into_iter().map(|(at, text)| Ok(json!([at, node(&text)?])));
    let points: Vec<_> = points.collect::<anyhow::Result<_>>()?;
    let expect = &case["expect"];
    if expect.get("size").is_some_and(|size| *size != points.len()) {
        differences.fail(format!("the ring has {} points", points.len()));
    }
    let some = |key: &str| expect.get(key).and_then(Value::as_array).map_or(&[][..], |all| all);
    let (first, last) = (some("first"), some("last"));
    if !points.starts_with(first) || !points.ends_with(last) {
        let shown = |points: &[Value]| points.iter().map(Value::to_string).collect::<String>();
        let (begin, end) = (first.len().min(points.len()), points.len().saturating_sub(last.len()));
        let found = (
            shown(points.get(..begin).unwrap_or_default()),
            shown(points.get(end..).unwrap_or_default()),
        );
        differences.fail(format!("the first points and the last are {found:?}"));
    }
    Ok(differences.outcome())
}

/// The destinations of names by their hashes.
pub(crate) fn check_hashing(case: &Value) -> anyhow::Result<Outcome> {
    let method = match case["kind"].as_str() {
        Some("carbon_fast_hash") => RelayMethod::FastHashing,
        _ => RelayMethod::ConsistentHashing,
    };
    let all = texts(&case["input"]["destinations"]);
    let config = &case["config"];
    let router = router(&all, method, hash(&config["ROUTER_HASH_TYPE"])?, config)?;
    let mut differences = Differences::default();
    destinations(case, &case["expect"], &router, &mut differences)?;
    Ok(differences.outcome())
}

/// The destinations of names by rules.
pub(crate) fn check_rules(case: &Value) -> anyhow::Result<Outcome> {
    let rules = text(&case["input"], "rules")?;
    let all = texts(&case["input"]["destinations"]);
    let all: Vec<_> = all.iter().map(|text| &**text).collect();
    let raised = case["expect"].get("raised").is_some();
    let mut differences = Differences::default();
    match Router::by_rules(&all, rules) {
        Ok(_) if raised => differences.fail("the rules are accepted"),
        Ok(router) => destinations(case, &case["expect"]["result"], &router, &mut differences)?,
        Err(_) if raised => {}
        Err(error) => differences.fail(error),
    }
    Ok(differences.outcome())
}

/// Two destinations with the same host and instance.
pub(crate) fn check_duplicate(case: &Value) -> anyhow::Result<Outcome> {
    let all = texts(&case["input"]["destinations"]);
    let found = router(&all, RelayMethod::ConsistentHashing, None, &json!({}));
    let mut differences = Differences::default();
    if found.is_err() != case["expect"].get("raised").is_some() {
        differences.fail(format!("the destinations give {found:?}"));
    }
    Ok(differences.outcome())
}

/// What the relay writes as a line.
pub(crate) fn check_line(case: &Value) -> anyhow::Result<Outcome> {
    let input = &case["input"];
    let sample = sample(&json!([input["metric"], input["datapoint"]]))?;
    let result = text(&case["expect"], "result")?;
    let mut recorded = recorded_line(result.trim_end())?;
    let mut differences = Differences::default();
    let decimals: Option<f64> = format!("{:.DECIMALS$}", sample.value).parse().ok();
    if sample.value.is_finite()
        && decimals == Some(recorded.value)
        && recorded.value != sample.value
    {
        differences.by_design("a value has all its digits, and carbon-relay writes ten decimals");
        recorded.value = sample.value;
    }
    let flags = ["--names=zibrato".to_owned()];
    let samples = [sample];
    let found = delivered(&samples, Protocol::Tcp, &flags)?.points;
    compare(&samples, &[], &[recorded], &found, &mut differences);
    Ok(differences.outcome())
}

/// What the relay writes as a pickle.
pub(crate) fn check_pickle(case: &Value) -> anyhow::Result<Outcome> {
    let samples: Vec<_> =
        list(&case["input"], "datapoints")?.iter().map(sample).collect::<anyhow::Result<_>>()?;
    let recorded = bytes(text(&case["expect"], "result_hex")?)?;
    let recorded = frames(&recorded).into_iter().flat_map(|frame| frame.items);
    let recorded: Vec<_> = recorded.filter_map(|item| item.point).collect();
    let flags = ["--names=zibrato".to_owned()];
    let found = delivered(&samples, Protocol::Pickle, &flags)?.points;
    let mut differences = Differences::default();
    compare(&samples, &[], &recorded, &found, &mut differences);
    Ok(differences.outcome())
}

/// A sample: `[NAME, [TIME, VALUE]]`.
fn sample(point: &Value) -> anyhow::Result<Sample> {
    let Point { name, value, time } = Point::recorded(point)?;
    Ok(Sample { host: String::new(), name, value, time })
}

fn hash(name: &Value) -> anyhow::Result<Option<HashType>> {
    let Some(name) = name.as_str() else { return Ok(None) };
    HashType::from_str(name, false).map(Some).map_err(|why| anyhow!(why))
}

/// The router of a configuration of carbon-relay.
fn router(
    all: &[String],
    method: RelayMethod,
    hash: Option<HashType>,
    config: &Value,
) -> anyhow::Result<Router> {
    let all: Vec<_> = all.iter().map(|text| &**text).collect();
    let factor = config.get("REPLICATION_FACTOR").map_or(Ok(1.0), some_number)?;
    let diverse = config.get("DIVERSE_REPLICAS").and_then(Value::as_bool).unwrap_or(true);
    Router::hashed(&all, method, hash, factor as usize, diverse).map_err(|why| anyhow!(why))
}

/// Compares the destinations of names, in their order.
fn destinations(
    case: &Value,
    recorded: &Value,
    router: &Router,
    differences: &mut Differences,
) -> anyhow::Result<()> {
    for name in texts(&case["input"]["keys"]) {
        let Some(recorded) = recorded.get(&name) else { bail!("there is no result for {name}") };
        let recorded = texts(recorded);
        let mut once = recorded.clone();
        let mut seen = Vec::new();
        once.retain(|one| {
            !seen.contains(one) && {
                seen.push(one.clone());
                true
            }
        });
        if once != recorded {
            differences.by_design("a destination gets each point once");
        }
        let found = router.of(&name);
        if found != once {
            differences.fail(format!("{name} goes to {found:?}"));
        }
    }
    Ok(())
}
