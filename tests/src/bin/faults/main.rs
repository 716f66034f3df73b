//! Breaks a running Zibrato on purpose, and accounts for every reading; see `--help`.

mod books;
mod disk;
mod judge;
mod librato;
mod lives;
mod pipe;
mod plan;
mod process;
mod proxy;
mod publisher;
mod report;
mod run;
mod stage;
mod tally;

use clap::Parser;
use std::process::ExitCode;

/// Breaks a running Zibrato on purpose, and accounts for every reading
///
/// Two publishers count, a broker keeps a journal, zibrato-carbon delivers to a real Carbon and
/// zibrato-librato to a fake. Meanwhile one or two things at a time are broken: programs are killed
/// or stopped and started again, backends refuse, hang or break off, connections stall, are reset or
/// half open, the disk of the journal (and of the broker's log) is full, gives EIO, is read-only or
/// unmounted, the journal's folder is moved away, dead letters cannot be written, a program may open no
/// further descriptors, a clock is an hour ahead or back. In the end all is mended, and what was
/// recorded is compared with what has arrived.
///
/// The table says how long it took at most, when something was mended, until both backends had all
/// that had been recorded by then; what else was broken meanwhile counts too, and so do the waits
/// between two tries, up to a minute after a 401.
///
/// The last line says how many readings were recorded, how many of them both backends have, how
/// many were lost with a publisher that was killed (at most one interval, unless it had no broker
/// then), how many payloads came to Librato again (with the same key and the same body), and how
/// many of all these differences nothing explains. Unless that is 0, the exit code is 1, and the
/// folder with all logs is kept.
#[derive(Debug, Parser)]
#[command(name = "tests/faults", args_conflicts_with_subcommands = true)]
struct Program {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    run: run::Flags,
}

/// What other processes of a run do.
#[derive(Debug, clap::Subcommand)]
enum Role {
    #[command(hide = true)]
    Librato(librato::Librato),
    #[command(hide = true)]
    Publish(publisher::Publish),
}

#[expect(clippy::print_stderr, reason = "a program for people")]
fn main() -> ExitCode {
    let Program { role, run } = Program::parse();
    let result = match role {
        None => run::run(&run),
        Some(Role::Librato(flags)) => librato::run(&flags),
        Some(Role::Publish(flags)) => publisher::run(flags),
    };
    result.unwrap_or_else(|error| {
        eprintln!("tests/faults: {error:#}");
        ExitCode::FAILURE
    })
}
