//! `zibrato-slack`: posts a digest of the measurements to Slack, or uses a channel as a metric bus.

use std::process::ExitCode;

fn main() -> ExitCode {
    match zibrato_workers::slack::bus::arguments(std::env::args_os()) {
        Some(arguments) => zibrato_workers::slack::bus::main(arguments),
        None => zibrato_workers::main::<zibrato_workers::slack::Slack>(),
    }
}
