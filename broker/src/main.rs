//! The program `zibrato-broker`.

use std::process::ExitCode;

fn main() -> ExitCode {
    zibrato::daemon::main::<zibrato_broker::Flags>()
}
