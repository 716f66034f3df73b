//! The program `zibrato-broker`.

#[cfg(target_os = "linux")]
mod accept;

use std::process::ExitCode;

fn main() -> ExitCode {
    zibrato::daemon::main::<zibrato_broker::Flags>()
}
