//! `zibrato-librato`: delivers measurements to Librato.

use std::process::ExitCode;

fn main() -> ExitCode {
    zibrato_workers::main::<zibrato_workers::librato::Librato>()
}
