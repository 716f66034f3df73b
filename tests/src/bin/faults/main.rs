//! Injects faults into a running Zibrato and accounts for every reading; see `--help`.

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

/// Injects faults into a running Zibrato and accounts for every reading
///
/// Two publishers count, a broker keeps a journal, zibrato-carbon delivers to a real Carbon and
/// zibrato-librato to a fake. Meanwhile one or two faults at a time are active: programs are
/// killed, or stopped and restarted; backends reject, hang or disconnect; connections stall, are
/// reset or half open; the disk of the journal (and of the broker's log) is full, gives EIO, is
/// read-only or unmounted; the journal's folder is moved away; dead letters cannot be written; a
/// program cannot open more descriptors; a clock is an hour ahead or behind. At the end all faults
/// are repaired, and what was recorded is compared with what has arrived.
///
/// The table shows the longest recovery: the time from the repair of a fault until both backends
/// had everything recorded before it. It includes other faults during that time, and the waits
/// between two attempts, up to a minute after a 401.
///
/// The last line has the number of readings that were recorded, that both backends have, and that
/// were lost with a killed publisher (at most one interval, unless it had no broker then); the
/// number of payloads that Librato received again (with the same key and body); and the number of
/// unexplained differences. Unless the last one is 0, the exit code is 1, and the folder with all
/// logs is kept.
#[derive(Debug, Parser)]
#[command(name = "tests/faults", args_conflicts_with_subcommands = true)]
struct Program {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    run: run::Flags,
}

/// The other processes of a run.
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
