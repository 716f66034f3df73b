//! Calls of python-librato and of AppOptics' client, and what Zibrato's client of that API does:
//! groups `python-librato 3.1.0` and `appoptics-api-python 5.1.0`.
//!
//! Each call is made against a server that gives the recorded answers. Its requests and its result
//! must be the recorded ones, or those that the rules make of them.

mod aggregates;
mod calls;
mod given;
mod objects;
mod queues;
mod records;
mod requests;
mod results;
mod rules;

use crate::compare::{Differences, Outcome};
use anyhow::Context as _;
use calls::Called;
use records::{Record, Sent, recorded};
use results::Ended;
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zibrato_tests::fake::ScriptedServer;
use zibrato_workers::librato::client::{
    Client, ClientBuilder, Credentials, RetryPolicy, sanitize_metric_name,
};

/// A case while it runs.
struct Run<'a> {
    case: &'a Value,
    args: &'a Value,
    call: &'a str,
    server: ScriptedServer,
}

impl<'a> Run<'a> {
    fn new(case: &'a Value) -> anyhow::Result<Self> {
        let call = case["call"].as_str().context("the case has no field `call`")?;
        Ok(Self { case, args: &case["args"], call, server: ScriptedServer::start()? })
    }

    /// A client like the connection of the case.
    fn builder(&self) -> anyhow::Result<ClientBuilder> {
        let credentials = if self.is_appoptics() {
            Credentials::appoptics("tok123")?
        } else if let Some(variables) = self.args["env"].as_object() {
            let variable = |name: &str| variables.get(name)?.as_str().map(str::to_owned);
            Credentials::from_variables("", "", variable)?
        } else {
            Credentials::new("user@example.com", "tok123")?
        };
        self.with(credentials)
    }

    fn with(&self, credentials: Credentials) -> anyhow::Result<ClientBuilder> {
        let path = self.args["base_path"].as_str().unwrap_or("/v1/");
        let retries = RetryPolicy::default().first_wait(Duration::from_millis(1));
        let builder = Client::builder(credentials)
            .url(format!("{}{path}", self.server.url()))
            .retries(retries.within(Duration::from_secs(8)));
        let connection = &self.case["connection"];
        let tags = given::tags(&connection["tags"])?.or(given::tags(&self.args["conn_tags"])?);
        let builder = builder.tags(tags.unwrap_or_default());
        Ok(match connection["sanitizer"].as_str() {
            Some("sanitize_metric_name") => builder.sanitizer(sanitize_metric_name),
            Some(other) => anyhow::bail!("the sanitizer `{other}` is unknown"),
            None => builder,
        })
    }

    fn client(&self) -> anyhow::Result<Client> {
        Ok(self.builder()?.build()?)
    }

    fn is_appoptics(&self) -> bool {
        self.case["group"].as_str().is_some_and(|group| group.starts_with("appoptics"))
    }
}

/// Runs one case.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let run = Run::new(case)?;
    let record = recorded(case)?;
    records::script(&run.server, case)?;
    let before = unix_s()?;
    let ended = match calls::call(&run)? {
        Called::Ended(ended) => ended,
        Called::Impossible(why) => return impossible(&run, &record, why),
    };
    let sent: Vec<Sent> = run.server.requests().into_iter().map(Sent::from).collect();
    let found = Found { sent, ended };
    let mut differences = Differences::default();
    let frozen = run.args["now"].as_f64().is_some();
    let times = if frozen { vec![before, unix_s()?] } else { vec![0] };
    // The clock of such a case is frozen, and ours is not.
    let at = |time: u64| if frozen { record.at(time, run.args) } else { record.clone() };
    let whys: Vec<_> = times.iter().filter_map(|time| compare(&run, at(*time), &found)).collect();
    match whys.into_iter().min_by_key(|(why, _)| why.is_some()) {
        Some((None, reasons)) => reasons.iter().for_each(|reason| differences.by_design(reason)),
        Some((Some(why), _)) => differences.fail(why),
        None => differences.fail("there is nothing to compare"),
    }
    Ok(differences.outcome())
}

/// What a call did.
#[derive(Debug)]
struct Found {
    sent: Vec<Sent>,
    ended: Ended,
}

/// What is different in spite of the rules, if anything is, and the reasons of the rules.
fn compare(
    run: &Run<'_>,
    record: Record,
    found: &Found,
) -> Option<(Option<String>, Vec<&'static str>)> {
    let difference = |record: &Record| {
        requests::difference(&record.sent, &found.sent)
            .or_else(|| results::difference(&record.ended, &found.ended))
    };
    let first = difference(&record);
    if first.is_none() {
        return Some((None, Vec::new()));
    }
    let (mut expected, mut reasons) = (record, Vec::new());
    for (reason, rule) in rules::RULES {
        let before = expected.clone();
        rule(run, &mut expected, found);
        if expected != before {
            reasons.push(*reason);
        }
    }
    Some((difference(&expected), reasons))
}

/// A call that cannot be written must have failed, before a request.
fn impossible(run: &Run<'_>, record: &Record, why: &str) -> anyhow::Result<Outcome> {
    let mut differences = Differences::default();
    let is_error = matches!(record.ended, Ended::Failed { .. });
    // A request that the server rejects is no better.
    if is_error && record.sent.is_empty() && run.server.requests().is_empty() {
        differences.by_design(why);
    } else {
        differences.fail(format!("the call cannot be written: {why}"));
    }
    Ok(differences.outcome())
}

fn unix_s() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}
