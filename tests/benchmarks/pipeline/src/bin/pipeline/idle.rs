//! The memory of an idle broker and an idle worker.

use crate::Pace;
use std::process::Command;
use std::thread;
use std::time::Duration;
use zibrato_benchmark_pipeline::{Failure, Process, Row, broker, scratch};

/// After this time, memory that is needed only at the start has been freed.
const IDLE: Duration = Duration::from_secs(5);

pub fn rows(_: Pace) -> Result<Vec<Row>, Failure> {
    let journal = scratch("idle")?;
    let (broker, port) =
        broker(&["--http", "127.0.0.1:0", "--journal", &journal.to_string_lossy()])?;
    let program = std::env::current_exe()?.with_file_name("zibrato-carbon");
    let state = scratch("idle-worker")?;
    let mut command = Command::new(program);
    command.env("STATE_DIRECTORY", state).args(["--port", &(port + 1).to_string()]);
    command.args(["--carbon", "127.0.0.1:9"]);
    let worker = Process::start(&mut command, true)?;
    thread::sleep(IDLE);
    let mut rows = Vec::new();
    for (name, process, budget) in [("broker, idle", broker, 15.0), ("worker, idle", worker, 12.0)]
    {
        let memory = process.memory();
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let peers = vec![("of that its own, without libraries".to_owned(), mib(memory.own))];
        let (ours, floor) = (mib(memory.resident), ("the budget", budget));
        rows.push(Row { name, unit: "MiB", ours, floor, peers, target: -1.0 });
        process.stop()?;
    }
    Ok(rows)
}
