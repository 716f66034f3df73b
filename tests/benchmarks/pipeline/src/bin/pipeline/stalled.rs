//! One stalled subscriber, and two others that read.

use crate::Pace;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use zibrato_benchmark_pipeline::{
    Failure, Loop, Measured, Memory, Peer, Process, Row, batches, broker, median, scratch,
};

/// Memory limit of the broker with a stalled subscriber.
const BUDGET: f64 = (256 << 20) as f64;

pub fn rows(pace: Pace) -> Result<Vec<Row>, Failure> {
    let journal = scratch("stalled")?;
    let journal = journal.to_string_lossy();
    let flags = [
        "--journal",
        &journal,
        "--keep-levels",
        "info",
        "--journal-max-size",
        "1",
        "--journal-min-free",
        "1",
    ];
    let (process, port) = broker(&flags)?;
    let mut readers = Loop::new(batches(1), port, 2)?;
    readers.run(&process, pace.round / 4)?;
    let before = process.memory();
    let alone = some(&mut readers, &process, pace)?;
    let mut stalled = Peer::connect(port + 1, "SUB")?;
    stalled.subscribe("zb1|info|")?;
    let (beside, peak) = watched(&process, || readers.run(&process, pace.stall))?;
    let after_stall = process.memory();
    drop(stalled);
    thread::sleep(Duration::from_secs(2));
    let after = process.memory();
    let again = some(&mut readers, &process, pace)?;
    let beside_ns = beside.cpu_ns();
    let alone_ns = median(alone.iter().chain(&again).map(Measured::cpu_ns).collect());
    let alone = median(alone.iter().chain(&again).map(Measured::per_second).collect());
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let peers = vec![
        // The loop ends with an error if a message is missing.
        ("messages lost by those that read".to_owned(), 0.0),
        ("CPU ns each, ratio".to_owned(), beside_ns / alone_ns),
        ("seconds".to_owned(), beside.took.as_secs_f64()),
    ];
    let memory = vec![
        ("before, MiB".to_owned(), mib(before.resident)),
        ("at the end of the stall, MiB".to_owned(), mib(after_stall.resident)),
        ("two seconds after it disconnected, MiB".to_owned(), mib(after.resident)),
    ];
    Ok(vec![
        Row {
            name: "two readers with a stalled one",
            unit: "batches/s",
            ours: beside.per_second(),
            floor: ("the two alone", alone),
            peers,
            target: 0.9,
        },
        Row {
            name: "peak memory of the broker meanwhile",
            unit: "MiB",
            ours: mib(peak.resident),
            floor: ("the budget", BUDGET / f64::from(1 << 20)),
            peers: memory,
            target: -1.0,
        },
    ])
}

fn some(readers: &mut Loop, process: &Process, pace: Pace) -> Result<Vec<Measured>, Failure> {
    (0..pace.rounds).map(|_| readers.run(process, pace.round)).collect()
}

/// Executes something, and returns the peak memory of the process.
fn watched<T>(
    process: &Process,
    run: impl FnOnce() -> Result<T, Failure>,
) -> Result<(T, Memory), Failure> {
    let (over, most) = (AtomicBool::new(false), AtomicU64::new(0));
    let number = process.id().to_string();
    let done = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(Memory::of(&number).resident, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
        });
        let done = run();
        over.store(true, Ordering::Relaxed);
        done
    });
    let resident = most.load(Ordering::Relaxed);
    Ok((done?, Memory { resident, ..process.memory() }))
}
