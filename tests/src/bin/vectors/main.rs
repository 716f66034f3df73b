//! Compares Zibrato with recorded inputs and outputs of other programs: `vectors FILE…`.
//!
//! A file has one case per line, a JSON object with at least `id`, `kind`, `input` or `input_hex`,
//! `config` and `expect`; calls of clients have `group`, `call`, `args`, requests with their answers,
//! and `result` instead, and messages of Slack their own. The kind or group selects the check. A difference is by design if a rule of the
//! check explains it; each rule has a reason, and what it does not explain fails. Everything goes
//! through the product: StatsD's packets through a broker, those of CollectD and MetricsD through
//! the decoders, state and publishing of their intakes at the recorded times, and the batches
//! through the window and the encoder of `zibrato-carbon`; configurations and scripts through
//! `zibrato-broker`; what concerns Carbon through the whole backend, into sockets of this program.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of tests, which prints")]

mod batches;
mod bucky;
mod carbon;
mod cases;
mod cli;
mod collectd;
mod compare;
mod json;
mod librato;
mod metricsd;
mod names;
mod prefixes;
mod processor;
mod python_zibrato;
mod slack;
mod statsd;
mod through;
mod to_carbon;

use cases::Case;
use compare::Outcome;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

/// Number of cases that run at the same time. Most of the time they wait for a second to end.
const AT_ONCE: usize = 16;

const HELP: &str = "\
Compares Zibrato with recorded inputs and outputs of other programs.

Usage: tests/vectors FILE...

FILE has one case per line, a JSON object. Its `kind` selects the check. The last line of the output
says how many cases passed, failed, or differ by design; the reasons are above it.";

/// The exit code for errors in arguments and files.
const USAGE: u8 = 64;

type Check = fn(&Value) -> anyhow::Result<Outcome>;

/// The checks, by kind.
const CHECKS: &[(&str, Check)] = &[
    ("appoptics-api-python 5.1.0", librato::check),
    ("carbon-slack-original", slack::check_original),
    ("carbon_add_duplicate", to_carbon::relay::check_duplicate),
    ("carbon_connect", to_carbon::links::check_connect),
    ("carbon_consistent_hash", to_carbon::relay::check_hashing),
    ("carbon_destination", to_carbon::relay::check_destination),
    ("carbon_fast_hash", to_carbon::relay::check_hashing),
    ("carbon_hash", to_carbon::relay::check_hash),
    ("carbon_hash_ring", to_carbon::relay::check_ring),
    ("carbon_out_pickle", to_carbon::outputs::check),
    ("carbon_out_plaintext", to_carbon::outputs::check),
    ("carbon_recv_line", to_carbon::receivers::check),
    ("carbon_recv_pickle", to_carbon::receivers::check),
    ("carbon_recv_udp", to_carbon::receivers::check),
    ("carbon_relay_line", to_carbon::relay::check_line),
    ("carbon_relay_pickle", to_carbon::relay::check_pickle),
    ("carbon_relay_rules", to_carbon::relay::check_rules),
    ("carbon_resend", to_carbon::links::check_resend),
    ("carbon_tags", to_carbon::tags::check),
    ("carbon_tags_encode", to_carbon::tags::check_file),
    ("chunk-outbound", slack::check_chunks),
    ("cli", cli::check),
    ("collectd", collectd::check),
    ("collectd_auth", collectd::files::check_auth),
    ("collectd_types", collectd::files::check_types),
    ("decode-inbound", slack::check_decode),
    ("escape-outbound", slack::check_escape),
    ("message-parse", slack::check_message),
    ("metricsd_as_is", metricsd::check_as_is),
    ("metricsd_handlers", metricsd::handlers::check),
    ("metricsd_intended", metricsd::check),
    ("names", names::check),
    ("outbound-alert", slack::check_alert),
    ("outbound-digest", slack::check_digest),
    ("processor", processor::check),
    ("python-librato 3.1.0", librato::check),
    ("sparkline", slack::check_sparkline),
    ("statsd", statsd::check),
    ("statsd_2.3.1_dev", statsd::check),
    ("statsd_js", statsd::check),
    ("statsd_prefix", prefixes::check),
    ("ts-compare", slack::check_ts),
    ("web-api", slack::check_call),
    ("zibrato", python_zibrato::check),
];

/// Checks that a case has the fields of its kind that are the same everywhere.
fn complete(case: &Case) -> anyhow::Result<()> {
    if slack::KINDS.contains(&case.kind()) { Ok(()) } else { case.complete() }
}

/// The outcome of a case.
fn outcome(case: &Case) -> Outcome {
    let kind = case.kind();
    let Some((_, check)) = CHECKS.iter().find(|(known, _)| *known == kind) else {
        return Outcome::Failed(format!("the kind `{kind}` is unknown"));
    };
    let failed = |error: anyhow::Error| Outcome::Failed(format!("{error:#}"));
    complete(case).and_then(|()| check(&case.value)).unwrap_or_else(failed)
}

/// The outcome of each case, in the order of the file.
fn outcomes(cases: &[Case]) -> Vec<Outcome> {
    let next = Mutex::new(cases.iter().enumerate());
    let found = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((at, case)) = next.lock().ok().and_then(|mut next| next.next()) else {
                        return;
                    };
                    let outcome = outcome(case);
                    if let Ok(mut found) = found.lock() {
                        found.insert(at, outcome);
                    }
                }
            });
        }
    });
    found.into_inner().map(BTreeMap::into_values).into_iter().flatten().collect()
}

fn main() -> ExitCode {
    let files: Vec<_> = std::env::args().skip(1).collect();
    if files.iter().any(|file| file == "--help" || file == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let error = match cases::read(&files) {
        Ok(_) if files.is_empty() => "name at least one file of cases".to_owned(),
        Ok(cases) => return report(&cases, &outcomes(&cases)),
        Err(error) => format!("{error:#}"),
    };
    eprintln!("vectors: {error}");
    ExitCode::from(USAGE)
}

/// Prints the outcomes.
fn report(cases: &[Case], outcomes: &[Outcome]) -> ExitCode {
    let (mut passed, mut failed, mut by_design) = (0, 0, 0);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (case, outcome) in cases.iter().zip(outcomes) {
        match outcome {
            Outcome::Passed => passed += 1,
            Outcome::ByDesign(why) => {
                by_design += 1;
                why.iter().for_each(|why| *reasons.entry(why).or_default() += 1);
            }
            Outcome::Failed(why) => {
                failed += 1;
                println!("failed {case}: {}", why.replace('\n', " "));
            }
        }
    }
    for (reason, times) in reasons {
        println!("by design, {times} times: {reason}");
    }
    println!("{passed} passed, {failed} failed, {by_design} by design");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
