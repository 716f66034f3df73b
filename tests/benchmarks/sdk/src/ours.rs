//! Zibrato's cases, and a check that everything timed was recorded.

use crate::measure::{Case, Run, Who, looped, on_threads};
use std::error::Error;
use std::hint::black_box;
use std::net::TcpListener;
use std::time::Duration;
use zibrato::{Guard, Zibrato, count, gauge, time};

/// A port on which no program listens, so that no broker on this machine receives the measurements.
pub fn unused_port() -> Result<u16, Box<dyn Error>> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().min(u16::MAX - 1))
}

/// Installs an instrument that wants level `info`.
pub fn install(port: u16) -> Result<Guard, Box<dyn Error>> {
    let guard = Zibrato::builder()
        .port(port)
        .levels(["info"])
        .flush_deadline(Duration::from_millis(10))
        .install()?;
    // By then the sender has measured the length of a tick, as in any program that runs longer than
    // this.
    std::thread::sleep(Duration::from_millis(2500));
    Ok(guard)
}

pub fn cases(zibrato: &Zibrato) -> Vec<Case> {
    let case = |row, run: Run| Case::new(row, Who::Ours, run);
    let (handle, name) = (zibrato.clone(), black_box("benchmark.handle".to_owned()));
    let route = black_box("/cart/items".to_owned());
    let kept = zibrato.counter("info", "benchmark.handle.kept");
    vec![
        case("count", looped(|| count!("info", "benchmark.count"))),
        case("time", looped(|| time!("info", "benchmark.time", black_box(())))),
        case("gauge", looped(|| gauge!("info", "benchmark.gauge", 17))),
        case("unwanted", looped(|| count!("debug", "benchmark.unwanted"))),
        case("handle", looped(move || kept.increment(1))),
        case("handle, looked up", looped(move || handle.count("info", black_box(&name), 1))),
        case(
            "tags",
            looped(move || {
                let (route, status) = (black_box(&*route), black_box(200_u16));
                count!("info", "benchmark.tags", tags(route = route, status = status));
            }),
        ),
        case("count, 2 threads", on_threads(2, || count!("info", "benchmark.threads"))),
        case("count, 4 threads", on_threads(4, || count!("info", "benchmark.more.threads"))),
        case(
            "time, 2 threads",
            on_threads(2, || time!("info", "benchmark.timing.threads", black_box(()))),
        ),
    ]
}

/// Compares the number of recorded readings with the number of operations, including those `before`
/// the cases.
pub fn prove(zibrato: &Zibrato, before: u64, cases: &[Case]) -> Result<(), String> {
    let ours = cases.iter().filter(|case| case.who == Who::Ours && case.row != "unwanted");
    let done = before + ours.map(Case::done).sum::<u64>();
    let recorded = zibrato.stats().recorded;
    if recorded != done {
        return Err(format!("{done} readings were made, but {recorded} recorded"));
    }
    Ok(())
}
