//! `zibrato-slack`: posts a digest of the measurements to Slack.

use std::process::ExitCode;

fn main() -> ExitCode {
    zibrato_workers::main::<zibrato_workers::slack::Slack>()
}
