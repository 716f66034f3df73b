//! The program `zibrato-broker`.

use std::process::ExitCode;
use zibrato_broker::{Flags, run};

fn main() -> ExitCode {
    let flags = match zibrato::daemon::parse::<Flags>() {
        Ok(flags) => flags,
        Err(code) => return code,
    };
    match run(flags) {
        Ok(code) => code,
        Err(failure) => failure.report("zibrato-broker"),
    }
}
