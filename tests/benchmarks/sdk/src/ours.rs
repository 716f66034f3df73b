//! Zibrato's cases, and the proof that what was timed was also recorded.

use crate::measure::{Case, Who, looped, on_two_threads};
use std::error::Error;
use std::hint::black_box;
use std::net::TcpListener;
use std::time::Duration;
use zibrato::{Guard, Zibrato, count, gauge, time};

/// Installs an instrument that wants level `info`, for a broker that is not there.
pub fn install() -> Result<Guard, Box<dyn Error>> {
    // A port that nobody listens on, so that no broker of this machine gets what is measured.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().min(u16::MAX - 1);
    let guard = Zibrato::builder()
        .port(port)
        .levels(["info"])
        .flush_deadline(Duration::from_millis(10))
        .install()?;
    // By then the sender has found out how long a tick is, as it has in any program that runs for
    // longer than that.
    std::thread::sleep(Duration::from_millis(2500));
    Ok(guard)
}

pub fn cases(zibrato: &Zibrato) -> Vec<Case> {
    let case = |row, run| Case::new(row, Who::Ours, run);
    let (handle, name) = (zibrato.clone(), black_box("benchmark.handle".to_owned()));
    vec![
        case("count", looped(|| count!("info", "benchmark.count"))),
        case("time", looped(|| time!("info", "benchmark.time", black_box(())))),
        case("gauge", looped(|| gauge!("info", "benchmark.gauge", 17))),
        case("unwanted", looped(|| count!("debug", "benchmark.unwanted"))),
        case("handle", looped(move || handle.count("info", black_box(&name), 1))),
        case("count, 2 threads", on_two_threads(|| count!("info", "benchmark.threads"))),
    ]
}

/// Compares what the instrument says it recorded with what was done.
pub fn prove(zibrato: &Zibrato, cases: &[Case]) -> Result<(), String> {
    let ours = cases.iter().filter(|case| case.who == Who::Ours && case.row != "unwanted");
    let threads = |case: &Case| if case.row == "count, 2 threads" { 2 } else { 1 };
    let done: u64 = ours.map(|case| case.done * threads(case)).sum();
    let recorded = zibrato.stats().recorded;
    if recorded != done {
        return Err(format!("{done} readings were made, but {recorded} recorded"));
    }
    Ok(())
}
