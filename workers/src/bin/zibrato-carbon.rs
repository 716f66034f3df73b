//! `zibrato-carbon`: delivers measurements to Carbon.

use std::process::ExitCode;
use zibrato_workers::carbon::Carbon;

fn main() -> ExitCode {
    zibrato_workers::main::<Carbon>()
}
