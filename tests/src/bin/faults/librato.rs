//! A Librato that can be killed: the fake in its own process. It keeps accepted payloads in a file,
//! and another file determines its answers.

use std::fs::{File, read_to_string};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use zibrato_tests::fake::{FakeLibrato, Reply};

/// Interval in which it checks the file with its answer.
const LOOK: Duration = Duration::from_millis(10);

/// The flags of the fake.
#[derive(Debug, clap::Args)]
pub(crate) struct Librato {
    #[arg(long)]
    port: u16,
    /// File for accepted payloads
    #[arg(long)]
    taken: PathBuf,
    /// File that determines the answers
    #[arg(long)]
    answer: PathBuf,
}

/// Runs until it is killed.
pub(crate) fn run(flags: &Librato) -> anyhow::Result<ExitCode> {
    let librato = FakeLibrato::start_keeping(flags.port, keep(&flags.taken)?)?;
    let mut before = None;
    loop {
        let answer = read_to_string(&flags.answer).unwrap_or_default();
        if before.as_ref() != Some(&answer) {
            match answer.trim() {
                "one" => librato.refuse_names_with("faults.logins", false),
                _ => librato.take_all_names(),
            }
            librato.answer_always(reply(&answer));
            before = Some(answer);
        }
        std::thread::park_timeout(LOOK);
    }
}

fn reply(answer: &str) -> Option<Reply> {
    match answer.trim() {
        "400" => Some(Reply::status(400).body(r#"{"errors":{"request":["not today"]}}"#)),
        "401" => Some(Reply::status(401)),
        "429" => Some(Reply::status(429).header("Retry-After", "1")),
        "500" => Some(Reply::status(500)),
        "hang" => Some(Reply::hang()),
        _ => None,
    }
}

/// Opens the file, after a complete line: the previous process may have ended in the middle of a
/// line.
fn keep(path: &Path) -> std::io::Result<File> {
    let mut file = File::options().create(true).append(true).read(true).open(path)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(file)
}
