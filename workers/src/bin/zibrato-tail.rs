//! `zibrato-tail`: prints the measurements that a broker publishes.

use std::process::ExitCode;

fn main() -> ExitCode {
    zibrato_workers::tail::main()
}
