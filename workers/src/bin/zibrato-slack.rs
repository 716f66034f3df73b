//! `zibrato-slack`: posts digests of the measurements, or alerts about them, to Slack, or uses a channel
//! as a metric bus.

use std::process::ExitCode;

fn main() -> ExitCode {
    zibrato_workers::slack::main()
}
