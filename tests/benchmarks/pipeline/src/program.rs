//! What the main functions of benchmarks have in common.

use crate::{Failure, Row, json, text};
use std::process::ExitCode;

/// A part of a benchmark: its word for `--only`, and its rows at a pace.
pub type Part<P> = (&'static str, fn(P) -> Result<Vec<Row>, Failure>);

/// Runs a benchmark, and prints its error.
pub fn program(name: &str, run: impl FnOnce() -> Result<(), Failure>) -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The rows of the part with this word or, without one, of all parts but `alone`, which is run only by
/// itself.
pub fn rows<P: Copy>(
    parts: &[Part<P>],
    only: Option<&str>,
    alone: Option<&str>,
    pace: P,
) -> Result<Vec<Row>, Failure> {
    if let Some(only) = only.filter(|only| !parts.iter().any(|(word, _)| word == only)) {
        return Err(format!("unknown part {only}").into());
    }
    let is_meant = |word: &str| only.map_or(alone != Some(word), |only| only == word);
    let mut rows = Vec::new();
    for (word, part) in parts.iter().filter(|(word, _)| is_meant(word)) {
        eprintln!("part {word}");
        rows.extend(part(pace)?);
    }
    Ok(rows)
}

/// Prints rows as JSON, or as a table with a note.
pub fn print(rows: &[Row], as_json: bool, note: &str) {
    if as_json {
        println!("{}", json(rows));
    } else {
        print!("{}", text(rows));
        println!("{note}");
    }
}
