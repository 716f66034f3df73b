//! A recipe of docs/recipes.md: a command that runs for milliseconds, with or without a broker.
#![expect(clippy::print_stdout, reason = "what the command prints")]

use std::error::Error;
use std::time::Duration;
use zibrato::{Zibrato, count_me, time_me};

#[time_me(name = "words.count")]
#[count_me(name = "words.calls", outcomes)]
fn words(path: &str) -> std::io::Result<usize> {
    Ok(std::fs::read_to_string(path)?.split_whitespace().count())
}

fn main() -> Result<(), Box<dyn Error>> {
    let _zibrato = Zibrato::builder()
        .source("words")
        .flush_deadline(Duration::from_millis(100)) // the longest wait for a broker at the end
        .install()
        .ok(); // the command works even if it cannot be measured
    let path = std::env::args().nth(1).ok_or("which file?")?;
    println!("{}", words(&path)?);
    Ok(())
}
