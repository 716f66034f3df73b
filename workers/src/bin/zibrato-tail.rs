//! `zibrato-tail`: prints what passes through a broker.

use std::process::ExitCode;

fn main() -> ExitCode {
    zibrato_workers::tail::main()
}
