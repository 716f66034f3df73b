//! Compares Zibrato with recorded inputs and outputs of other programs: `vectors FILE…`.
//!
//! A file has one case per line, a JSON object with at least `id`, `kind`, `input` or `input_hex`,
//! `config` and `expect`. The kind selects the check. A difference is by design if a rule of the
//! check explains it; each rule has a reason. Cases of unknown kinds are counted apart. Everything
//! goes through the product: packets through a broker, and its batches through the window and the
//! encoder of `zibrato-carbon`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of tests, which prints")]

mod carbon;
mod compare;
mod names;
mod prefixes;
mod statsd;
mod through;

use anyhow::Context;
use compare::Outcome;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

/// Number of cases that run at the same time. Most of the time they wait for a second to end.
const AT_ONCE: usize = 16;

type Check = fn(&Value) -> anyhow::Result<Outcome>;

/// The check of a kind.
fn check_of(kind: &str) -> Option<Check> {
    Some(match kind {
        "names" => names::check,
        "statsd" | "statsd_2.3.1_dev" | "statsd_js" => statsd::check,
        "statsd_prefix" => prefixes::check,
        _ => return None,
    })
}

fn cases(files: &[String]) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| file.clone())?;
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = || format!("{file}, line {}", at + 1);
            all.push(serde_json::from_str(line).with_context(place)?);
        }
    }
    Ok(all)
}

/// The outcome of each case, in the order of the file; `None` if its kind is unknown.
fn outcomes(cases: &[Value]) -> Vec<Option<Outcome>> {
    let next = Mutex::new(cases.iter().enumerate());
    let found = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((at, case)) = next.lock().ok().and_then(|mut next| next.next()) else {
                        return;
                    };
                    let outcome = check_of(kind(case)).map(|check| {
                        check(case).unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")))
                    });
                    if let Ok(mut found) = found.lock() {
                        found.insert(at, outcome);
                    }
                }
            });
        }
    });
    found.into_inner().map(BTreeMap::into_values).into_iter().flatten().collect()
}

fn kind(case: &Value) -> &str {
    case["kind"].as_str().unwrap_or_default()
}

fn main() -> anyhow::Result<ExitCode> {
    let files: Vec<_> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("vectors: name at least one file of cases");
        return Ok(ExitCode::from(64));
    }
    let cases = cases(&files)?;
    let outcomes = outcomes(&cases);
    let (mut passed, mut failed, mut by_design) = (0, 0, 0);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut unknown: BTreeMap<&str, usize> = BTreeMap::new();
    for (case, outcome) in cases.iter().zip(&outcomes) {
        match outcome {
            None => *unknown.entry(kind(case)).or_default() += 1,
            Some(Outcome::Passed) => passed += 1,
            Some(Outcome::ByDesign(why)) => {
                by_design += 1;
                why.iter().for_each(|why| *reasons.entry(why.clone()).or_default() += 1);
            }
            Some(Outcome::Failed(why)) => {
                failed += 1;
                let (id, note) = (&case["id"], &case["note"]);
                println!("failed {id} {} {note}: {why}", kind(case));
            }
        }
    }
    for (reason, times) in reasons {
        println!("by design, {times} times: {reason}");
    }
    for (kind, times) in unknown {
        println!("not checked, {times} of kind {kind}: there is no check for this kind");
    }
    println!("{passed} passed, {failed} failed, {by_design} by design");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
